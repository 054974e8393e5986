"""One timing wheel for all connections: no timer is armed for each, and none re-armed for each packet."""

from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from imd.repeating import Repeating


class Watched(Protocol):
    """Something with a deadline that may have moved on since it was put on the wheel; ``slot`` is the wheel's own."""

    slot: int

    def deadline(self) -> float:
        """When it expires, in the clock's seconds."""

    def expire(self) -> None:
        """It has expired. Called once."""


class Wheel:
    """Looks at each watched object once when its deadline seemed to be due, and expires it or puts it back.

    ``tick`` is the resolution in seconds: an object expires at most two ticks late, never early.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, tick: float) -> None:
        self._clock = clock
        self._tick = tick
        self._slots: dict[int, set[Watched]] = {}
        self._turned = int(clock.seconds() / tick)
        self._turns = Repeating(clock, tick, self._turn)

    def start(self) -> None:
        """Begin to turn."""
        self._turns.start()

    def stop(self) -> None:
        """Stop turning."""
        self._turns.stop()

    def watch(self, watched: Watched) -> None:
        """Put ``watched`` on the wheel; again after its deadline has come nearer."""
        self.forget(watched)
        slot = max(int(watched.deadline() / self._tick) + 1, self._turned + 1)
        self._slots.setdefault(slot, set()).add(watched)
        watched.slot = slot

    def forget(self, watched: Watched) -> None:
        """Take ``watched`` off the wheel."""
        slot = self._slots.get(watched.slot)
        if slot is not None:
            slot.discard(watched)

    def _turn(self) -> None:
        now = self._clock.seconds()
        for watched in self._due(int(now / self._tick)):
            try:
                if watched.deadline() <= now:
                    watched.expire()
                else:
                    self.watch(watched)
            except Exception:  # the wheel turns on for the others
                self._log.failure("a deadline could not be kept")

    def _due(self, now: int) -> list[Watched]:
        due: list[Watched] = []
        while self._turned < now:
            self._turned += 1
            due.extend(self._slots.pop(self._turned, ()))
        return due
