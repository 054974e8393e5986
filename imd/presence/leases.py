"""Which nodes are alive, as one node knows it from Redis."""

from collections.abc import Collection, Iterable, Mapping

from twisted.internet.interfaces import IReactorTime


class Leases:
    """The leases of all nodes, in the seconds of this node's clock.

    A node is named by its incarnation, NAME:TOKEN, which a restart changes. That one is dead is only believed of
    Redis: a lease that seems to be over has to be asked for.
    """

    def __init__(self, clock: IReactorTime, own: bytes) -> None:
        self._clock = clock
        self._own = own
        self._ends: dict[bytes, float] = {}
        self._gone: set[bytes] = set()

    def learn(self, leases: Mapping[bytes, int]) -> list[bytes]:
        """Take what Redis says, the milliseconds each lease has still; return who was alive before and isn't now."""
        now, before = self._clock.seconds(), self._ends
        self._ends = {incarnation: now + left / 1000 for incarnation, left in leases.items() if left > 0}
        self._gone.difference_update(self._ends)
        return [incarnation for incarnation in before if incarnation not in self._ends]

    def bury(self, incarnations: Collection[bytes]) -> None:
        """Those of them that Redis has just not named among the living are gone."""
        self._gone.update(incarnation for incarnation in incarnations if incarnation not in self._ends)

    def leave(self, incarnation: bytes) -> None:
        """That node has ended its lease itself."""
        self._ends.pop(incarnation, None)
        self._gone.add(incarnation)

    def forget_gone(self) -> None:
        """Ask again for those who were gone, should they be met again; so that their number stays small."""
        self._gone.clear()

    def are_known(self, incarnations: Iterable[bytes]) -> bool:
        """Return whether there is nobody among them for whom Redis has to be asked."""
        now = self._clock.seconds()
        return all(self._ends.get(incarnation, 0.0) > now or incarnation in self._gone for incarnation in incarnations)

    def alive(self, incarnations: Iterable[bytes]) -> dict[bytes, str]:
        """Return those who are alive, and their nodes' names."""
        now = self._clock.seconds()
        return {
            incarnation: name(incarnation) for incarnation in incarnations if self._ends.get(incarnation, 0.0) > now
        }

    def holds(self, incarnation: bytes) -> bool:
        """Return whether that node holds its lease, as far as is known here."""
        return self._ends.get(incarnation, 0.0) > self._clock.seconds()

    def next_end(self) -> float:
        """Return in how many seconds the first lease of another node ends, if it isn't renewed."""
        ends = [end for incarnation, end in self._ends.items() if incarnation != self._own]
        return max(0.0, min(ends) - self._clock.seconds()) if ends else float("inf")


def name(incarnation: bytes) -> str:
    """Return the name of the node."""
    return incarnation.decode().rpartition(":")[0]
