"""Doing something seldom, however often it is asked for."""

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from imd.client.errors import ClientError


class Pace:
    """Runs ``work`` ``seconds`` after it was asked for, once for all the times it was asked until then.

    ``seconds`` is also the least time between two runs; with ``factor`` over 1 it grows by that with each, until
    ``reset``. What the daemon refuses, or does not answer, is left at that.
    """

    def __init__(
        self, clock: IReactorTime, seconds: float, work: Callable[[], Coroutine[Any, Any, None]], factor: float = 1.0
    ) -> None:
        self._clock = clock
        self._seconds = self._pause = seconds
        self._work = work
        self._factor = factor
        self._earliest = 0.0
        self._timer: IDelayedCall | None = None

    def soon(self) -> None:
        """Ask for a run."""
        if self._timer is None:
            delay = max(self._seconds, self._earliest - self._clock.seconds())
            self._timer = self._clock.callLater(delay, self._fire)

    def reset(self) -> None:
        """Let the next run be soon again."""
        self._pause = self._seconds
        self._earliest = 0.0
        if self.stop():
            self.soon()

    def stop(self) -> bool:
        """Drop the run that was asked for, and return whether there was one."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        return timer is not None

    def _fire(self) -> None:
        self._timer = None
        self._earliest = self._clock.seconds() + self._pause
        self._pause *= self._factor
        in_background(self._work())


def in_background(work: Coroutine[Any, Any, None]) -> Deferred[None]:
    """Run what nobody needs to wait for: a refusal, or a connection that ends, ends it quietly."""
    return Deferred.fromCoroutine(work).addErrback(_pass_over)


def _pass_over(failure: Failure) -> None:
    failure.trap(ClientError)
