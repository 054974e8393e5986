"""Who is online where."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from zope.interface import Attribute, Interface


class Location(NamedTuple):
    """Where a session is; a ``session_id`` has no blanks and no semicolons."""

    node: str
    session_id: str


class Entry(NamedTuple):
    """A session of this node, as presence holds it."""

    uid: int
    client_type: int
    session_id: str


class IPresence(Interface):
    """Who is online where: at most one session for each (uid, client_type).

    Sessions of a node that has died don't count. While presence is away, everything but ``logout`` is refused at once
    with UnavailableError.
    """

    is_connected: bool = Attribute("presence can be used, and this node counts as alive")

    async def login(uid: int, client_type: int, location: Location) -> Location | None:
        """Put ``location`` in, atomically, and return the one it replaces.

        The node of the replaced session learns it from here by the caller, or else by its own ``check``.
        """

    async def logout(uid: int, client_type: int, location: Location) -> None:
        """Take ``location`` out, unless a newer login has replaced it; while presence is away, ``register`` does."""

    async def locations(uid: int) -> Mapping[int, Location]:
        """The user's sessions by client type."""

    async def client_types(uids: Sequence[int]) -> Mapping[int, Sequence[int]]:
        """The client types, ascending, of each of ``uids``; empty for who is offline."""

    async def nodes(uids: Collection[int]) -> Mapping[int, Collection[str]]:
        """The names of the nodes with sessions of those of ``uids`` who are online."""

    async def check() -> Sequence[Entry]:
        """The sessions of this node that logins on other nodes have replaced since this was last asked.

        It costs what it tells, however many sessions there are.
        """

    async def register(entries: Sequence[Entry]) -> Sequence[Entry]:
        """Make this node's sessions those named, which are all it has; return those whose place a newer login holds.

        Needed after a doubt: what is missing is put back, what has ended is taken out, and who comes or goes meanwhile
        is left alone. Bounded steps, one after another.
        """

    def on_change(callback: Callable[[int], None]) -> None:
        """Call ``callback`` with the uid whenever a user's client types have changed, on whatever node."""

    def on_doubt(callback: Callable[[str], None]) -> None:
        """Call ``callback`` with the reason whenever something may have been missed: a change, a push, a session.

        That is when the link was lost and again when it is back, when this node did not count as alive for a while,
        and when another node has died. With ``is_connected`` it is time to register and to look again; without, that
        time is still to come, and it will be told.
        """
