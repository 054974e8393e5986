"""A storm of logins by users the server knows."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

from imd.cli.bench.load import LOGIN_WINDOW, Connection, Loop, Target
from imd.cli.bench.outcome import Outcome, Progress, spread
from imd.cli.bench.server import SETTLE_SECONDS, Meter, resident_bytes


class Visitor(Connection):
    """Logs in, and leaves as soon as it is in; ``latencies`` takes the seconds from connecting to the ACK."""

    __slots__ = ("_came", "_latencies")

    def __init__(self, loop: Loop, uid: int, latencies: "array[float]") -> None:
        self._latencies = latencies
        self._came = monotonic()
        super().__init__(loop, uid)

    def logged_in(self) -> None:
        """Leave."""
        self._latencies.append(monotonic() - self._came)
        self.close()


@dataclass(frozen=True, slots=True)
class Logins:
    """Each of ``users`` logs in once, unmeasured; then they take turns until there were ``logins`` more."""

    logins: int = 10_000
    users: int = 1_000

    @property
    def label(self) -> str:
        """What the work is, with its parameters."""
        return f"login storm, {self.users:,} known users, {LOGIN_WINDOW} at once"

    def run(self, target: Target, progress: Progress) -> Outcome:
        """Log in, and count the accepted ones. Raises LoadError where one is not."""
        latencies: array[float] = array("d")

        def visits(logins: int, done: int) -> Iterator[Connection]:
            for number in range(logins):
                progress(done + number, self.users + self.logins)
                yield Visitor(loop, target.first_uid + number % self.users, latencies)

        with Loop(target) as loop:
            loop.log_in(visits(self.users, 0))
            loop.wait(SETTLE_SECONDS)
            del latencies[:]
            meter = Meter(target)
            loop.log_in(visits(self.logins, self.users))
            used = meter.stop(loop)
            return Outcome(self.label, "login", len(latencies), used, resident_bytes(target), latency=spread(latencies))
