"""The circuit breaker: a server that fails again and again is left alone for a while."""

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from imd.errors import UnavailableError

FAILURES = 5
PAUSE = 5.0


class Breaker:
    """Opens after so many ``failures`` in a row; after ``pause`` seconds one request may try whether it is over.

    ``what`` names the server in the log.
    """

    _log = Logger(namespace="imd.sso")

    def __init__(self, clock: IReactorTime, what: str, failures: int = FAILURES, pause: float = PAUSE) -> None:
        self._clock = clock
        self._what = what
        self._limit = failures
        self._pause = pause
        self._failures = 0
        self._opened: float | None = None
        self._is_probing = False

    def check(self) -> None:
        """Raise UnavailableError where a request would be refused now."""
        if self._opened is not None and (self._is_probing or 0 <= self._clock.seconds() - self._opened < self._pause):
            raise UnavailableError("the login system can't be reached; try again later")

    def enter(self) -> None:
        """Begin a request, which ends with ``succeeded`` or ``failed``. Raises UnavailableError."""
        self.check()
        self._is_probing = self._opened is not None

    def succeeded(self) -> None:
        """The server has answered."""
        if self._opened is not None:
            self._log.info("{what} answers again", what=self._what)
        self._failures, self._opened, self._is_probing = 0, None, False

    def failed(self, reason: object) -> None:
        """The server has not, or in a way that can't be understood."""
        self._failures += 1
        if self._failures == 1:
            self._log.warn("{what} could not be asked: {reason}", what=self._what, reason=reason)
        if self._is_probing or (self._opened is None and self._failures >= self._limit):
            if self._opened is None:
                self._log.warn(
                    "{what} failed {n} times in a row and is left alone, {pause:g} s at a time; last: {reason}",
                    what=self._what,
                    n=self._failures,
                    pause=self._pause,
                    reason=reason,
                )
            self._opened, self._is_probing = self._clock.seconds(), False
