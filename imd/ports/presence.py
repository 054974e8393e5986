"""Who is online where."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from zope.interface import Interface


class Location(NamedTuple):
    """Where a session is."""

    node: str
    session_id: str


class IPresence(Interface):
    """Who is online where: at most one session for each (uid, client_type)."""

    async def login(uid: int, client_type: int, location: Location) -> Location | None:
        """Put ``location`` in, atomically, and return the one it replaces."""

    async def logout(uid: int, client_type: int, location: Location) -> None:
        """Take ``location`` out, unless a newer login has replaced it."""

    async def locations(uid: int) -> Mapping[int, Location]:
        """The user's sessions by client type."""

    async def client_types(uids: Sequence[int]) -> Mapping[int, Sequence[int]]:
        """The client types, ascending, of each of ``uids``; empty for who is offline."""

    def on_change(callback: Callable[[int], None]) -> None:
        """Call ``callback`` with the uid whenever a user's client types have changed."""
