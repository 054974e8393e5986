"""Look-ups that gather: what is asked for while one read runs is the next read, so that many cost little."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import chain
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

Value = TypeVar("Value")

GAP = 0.003
MAX_IN_ONE = 500
"""Keys that one read looks up."""


class Lookups(Generic[Value]):
    """Finds values by a number; ``read`` takes some numbers and returns the values of those that have one.

    A read begins after what it answers was asked for, and one runs at a time. After one for several, the next begins
    ``gap`` seconds later than that at the earliest: in a storm few reads serve many.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        read: Callable[[Sequence[int]], Awaitable[Mapping[int, Value]]],
        gap: float = GAP,
    ) -> None:
        self._reactor = reactor
        self._read = read
        self._gap = gap
        self._not_before = 0.0
        self._waiting: dict[int, list[Deferred[Value | None]]] = {}
        self._is_due = False

    def find(self, number: int) -> "Deferred[Value | None]":
        """Fire with the value of ``number``, None where it has none; fails as the read does."""
        found: Deferred[Value | None] = Deferred()
        self._waiting.setdefault(number, []).append(found)
        self._schedule()
        return found

    def _schedule(self) -> None:
        # After this turn of the reactor, so that all it reads goes into one.
        if self._waiting and not self._is_due:
            self._is_due = True
            pause = self._not_before - self._reactor.seconds()
            # Never longer than the gap, should the clock have been set back.
            self._reactor.callLater(min(max(0.0, pause), self._gap), lambda: Deferred.fromCoroutine(self._look()))

    async def _look(self) -> None:
        asked = self._take()
        if len(asked) > 1:
            self._not_before = self._reactor.seconds() + self._gap
        try:
            found = await self._read(list(asked))
        except BaseException:
            failure = Failure()
            for waiter in chain.from_iterable(asked.values()):
                waiter.errback(failure)
        else:
            for number, waiters in asked.items():
                for waiter in waiters:
                    waiter.callback(found.get(number))
        finally:
            self._is_due = False
            self._schedule()

    def _take(self) -> "dict[int, list[Deferred[Value | None]]]":
        if len(self._waiting) <= MAX_IN_ONE:
            taken, self._waiting = self._waiting, {}
            return taken
        return {number: self._waiting.pop(number) for number in list(self._waiting)[:MAX_IN_ONE]}
