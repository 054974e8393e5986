"""Whether another node runs under this node's name, which none may."""

from collections.abc import Mapping

from imd.presence.leases import name

RENEWALS = 2
"""How often another one has to renew its lease until it is known to live: once, a dead node's last word may be late."""


class Rivals:
    """Those of this node's name who held a lease when this node got its own: it came later, so it gives way to them.

    That lease alone proves nothing, for a dead node's runs on when it is started again; but only the living renew.
    ``ends`` are the ends of all leases in Redis's own milliseconds.
    """

    def __init__(self, own: bytes) -> None:
        self._own = own
        self._ends: dict[bytes, int] = {}
        self._renewals: dict[bytes, int] = {}

    def __len__(self) -> int:
        """The number of those of whom it isn't known yet whether they live."""
        return len(self._ends)

    def meet(self, ends: Mapping[bytes, int]) -> None:
        """This node has got its lease, for the first time or anew, and finds these."""
        mine = name(self._own)
        self._ends = {each: end for each, end in ends.items() if each != self._own and name(each) == mine}
        self._renewals = dict.fromkeys(self._ends, 0)

    def see(self, ends: Mapping[bytes, int]) -> bool:
        """Return whether one of them is known to live, given who holds a lease now."""
        for each, end in list(self._ends.items()):
            if each not in ends:
                del self._ends[each]
            elif ends[each] > end:
                self._ends[each] = ends[each]
                self._renewals[each] += 1
        return any(self._renewals[each] >= RENEWALS for each in self._ends)
