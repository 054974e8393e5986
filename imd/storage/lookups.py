"""Look-ups that gather: what is asked for while one read runs is the next read, so that many cost little."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

Value = TypeVar("Value")

MAX_IN_ONE = 500
"""Keys that one read looks up."""


class Lookups(Generic[Value]):
    """Finds values by a number; ``read`` takes some numbers and returns the values of those that have one.

    A read begins after what it answers was asked for, and one runs at a time.
    """

    def __init__(self, reactor: IReactorTime, read: Callable[[Sequence[int]], Awaitable[Mapping[int, Value]]]) -> None:
        self._reactor = reactor
        self._read = read
        self._waiting: dict[int, list[Deferred[Value | None]]] = {}
        self._is_running = False

    def find(self, number: int) -> "Deferred[Value | None]":
        """Fire with the value of ``number``, None where it has none; fails as the read does."""
        found: Deferred[Value | None] = Deferred()
        self._waiting.setdefault(number, []).append(found)
        if not self._is_running:
            self._is_running = True
            # After this turn of the reactor, so that all it reads goes into one.
            self._reactor.callLater(0, lambda: Deferred.fromCoroutine(self._run()))
        return found

    async def _run(self) -> None:
        try:
            while self._waiting:
                asked = self._take()
                try:
                    found = await self._read(list(asked))
                except BaseException:
                    failure = Failure()
                    for waiters in asked.values():
                        for waiter in waiters:
                            waiter.errback(failure)
                    continue
                for number, waiters in asked.items():
                    value = found.get(number)
                    for waiter in waiters:
                        waiter.callback(value)
        finally:
            self._is_running = False

    def _take(self) -> "dict[int, list[Deferred[Value | None]]]":
        if len(self._waiting) <= MAX_IN_ONE:
            taken, self._waiting = self._waiting, {}
            return taken
        return {number: self._waiting.pop(number) for number in list(self._waiting)[:MAX_IN_ONE]}
