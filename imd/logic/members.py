"""The cache of group members; the store checks its version in each batch."""

from collections import OrderedDict

from imd.ports.messages import Members


class MembersCache:
    """Keeps the members of the ``size`` groups used last."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._groups: OrderedDict[str, Members] = OrderedDict()

    def get(self, group_id: str) -> Members | None:
        """Return what is known of the group; it may be stale."""
        members = self._groups.get(group_id)
        if members is not None:
            self._groups.move_to_end(group_id)
        return members

    def put(self, group_id: str, members: Members) -> None:
        """Keep ``members``, unless something newer is known."""
        known = self._groups.get(group_id)
        if known is None or known.version <= members.version:
            self._groups[group_id] = members
            self._groups.move_to_end(group_id)
            if len(self._groups) > self._size:
                self._groups.popitem(last=False)
