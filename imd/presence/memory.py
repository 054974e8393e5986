"""Presence in memory: for one node."""

from collections.abc import Callable, Mapping, Sequence

from zope.interface import implementer

from imd.ports.presence import IPresence, Location


@implementer(IPresence)
class MemoryPresence:
    """IPresence for the one process that holds it; it is empty after a restart, as the sessions are."""

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

    def on_change(self, callback: Callable[[int], None]) -> None:
        """Call ``callback`` with the uid whose client types have changed."""
        self._tell = callback
