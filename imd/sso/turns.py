"""Turns: how much goes on at once. The rest waits, in order."""

from collections import deque

from twisted.internet.defer import Deferred, succeed


class Turns:
    """Hands out ``count`` turns.

    Unlike Twisted's semaphore it hands on many that are given back at once without recursion, however many wait.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[Deferred[None]] = deque()
        self._is_handing_on = False

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def take(self) -> "Deferred[None]":
        """Fire when it is the caller's turn, who then calls ``give_back`` once; cancelled, it is nobody's."""
        if self._free:
            self._free -= 1
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def give_back(self) -> None:
        """End a turn."""
        self._free += 1
        if self._is_handing_on:
            return
        self._is_handing_on = True
        try:
            while self._free and self._waiting:
                self._free -= 1
                self._waiting.popleft().callback(None)
        finally:
            self._is_handing_on = False
