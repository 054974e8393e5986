"""Work that is done again and again, whatever becomes of it."""

from collections.abc import Callable

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure


class Repeating:
    """Does ``work`` every ``seconds``, first after so many; where it raises that is logged, and the next time comes.

    Where ``work`` returns a coroutine or a Deferred, the next time comes once that is done.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, seconds: float, work: Callable[[], object]) -> None:
        self._seconds = seconds
        self._work = work
        self._loop = LoopingCall(self._once)
        self._loop.clock = clock

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return self._loop.running

    def start(self) -> None:
        """Begin."""
        self._loop.start(self._seconds, now=False)

    def stop(self) -> None:
        """End; what is being done is finished."""
        if self._loop.running:
            self._loop.stop()

    def _once(self) -> "Deferred[object]":
        return maybeDeferred(self._work).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        self._log.failure(
            "{work} failed; it is done again in {seconds:g} s", failure, work=self._work, seconds=self._seconds
        )
