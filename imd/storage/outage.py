"""An outage: while the database is away everything is refused at once, and a probe looks whether it is back."""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall

from imd.batching import IReactor
from imd.errors import UnavailableError

PROBE_SECONDS = 0.25


class Outage:
    """Begins when somebody finds the database away, and ends when ``probe``, called now and then, has found it back."""

    def __init__(self, reactor: IReactor, probe: Callable[[], None]) -> None:
        self._reactor = reactor
        self._probe = probe
        self._next: IDelayedCall | None = None
        self.is_on = False

    def check(self) -> None:
        """Raise UnavailableError during an outage."""
        if self.is_on:
            raise UnavailableError("the store is away; send it again later")

    def begin(self) -> None:
        """Refuse everything from now on, and probe in a while; said again, it goes on."""
        self.is_on = True
        if self._next is None:
            self._next = self._reactor.callLater(PROBE_SECONDS, self._look)

    def end(self) -> None:
        """Refuse nothing any more."""
        self.is_on = False
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look(self) -> None:
        self._next = None
        self._probe()
