"""Presence in memory: for one node."""

from collections.abc import Callable, Collection, Mapping, Sequence

from zope.interface import implementer

from imd.ports.presence import Entry, IPresence, Location


@implementer(IPresence)
class MemoryPresence:
    """IPresence for the one process that holds it; it is empty after a restart, as the sessions are."""

    is_connected = True

    def __init__(self) -> None:
        self._locations: dict[int, dict[int, Location]] = {}
        self._tell: Callable[[int], None] = lambda _: None

    async def login(self, uid: int, client_type: int, location: Location) -> Location | None:
        """Put ``location`` in and return the one it replaces."""
        of_user = self._locations.setdefault(uid, {})
        replaced = of_user.get(client_type)
        of_user[client_type] = location
        if replaced is None:
            self._tell(uid)
        return replaced

    async def logout(self, uid: int, client_type: int, location: Location) -> None:
        """Take ``location`` out, unless a newer login has replaced it."""
        of_user = self._locations.get(uid)
        if of_user is not None and of_user.get(client_type) == location:
            del of_user[client_type]
            if not of_user:
                del self._locations[uid]
            self._tell(uid)

    async def locations(self, uid: int) -> Mapping[int, Location]:
        """The user's sessions by client type."""
        return dict(self._locations.get(uid, {}))

    async def client_types(self, uids: Sequence[int]) -> Mapping[int, Sequence[int]]:
        """The client types of each of ``uids``."""
        return {uid: sorted(self._locations.get(uid, ())) for uid in uids}

    async def nodes(self, uids: Collection[int]) -> Mapping[int, Collection[str]]:
        """The names of the nodes of those who are online."""
        return {uid: {at.node for at in self._locations[uid].values()} for uid in uids if uid in self._locations}

    async def check(self) -> Sequence[Entry]:
        """Nobody: there is no other node."""
        return []

    async def register(self, entries: Sequence[Entry]) -> Sequence[Entry]:  # noqa: ARG002
        """Nobody has lost a place: what is here is as old as the sessions."""
        return []

    def on_change(self, callback: Callable[[int], None]) -> None:
        """Call ``callback`` with the uid whose client types have changed."""
        self._tell = callback

    def on_doubt(self, callback: Callable[[str], None]) -> None:
        """Nothing is ever in doubt."""
