"""The table of works, and what is asked of each."""

from collections.abc import Iterable
from dataclasses import dataclass

from imd.cli.bench.api import ApiMessages, ApiNotices
from imd.cli.bench.broadcast import Broadcast
from imd.cli.bench.chat import Pace
from imd.cli.bench.drain import Drain
from imd.cli.bench.group import Group
from imd.cli.bench.idle import Idle
from imd.cli.bench.listing import Listing
from imd.cli.bench.logins import Logins
from imd.cli.bench.outcome import Outcome, Work
from imd.cli.bench.pairs import Pairs
from imd.cli.bench.reports import Reports
from imd.cli.bench.sdk import Sdk


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that one figure of an Outcome may be; times ``scale`` it is told in ``unit``."""

    figure: str
    at_most: float
    unit: str
    scale: float = 1.0

    def __str__(self) -> str:
        return f"{self.at_most * self.scale:,g} {self.unit}"

    def met(self, outcome: Outcome) -> bool:
        """Tell whether the outcome keeps to it."""
        value = outcome.figures().get(self.figure)
        return value is not None and value <= self.at_most

    def is_open(self, outcome: Outcome) -> bool:
        """Tell whether the outcome has no such figure, since it could not be measured."""
        return self.figure not in outcome.figures()


def table(seconds: float) -> dict[Work, tuple[Limit, ...]]:
    """Return every work, in the order they are reported, with its limits; each lasts about ``seconds``.

    They hold for the server on one core, the load on another, and 500,000 messages stored before.
    """
    pace = Pace(seconds)
    return {
        Pairs(pace): (_server(32.5),),
        Pairs(pace, uuid4=True): (_server(60),),
        Pairs(Pace(seconds, rate=2000)): (_server(200), _p99(10)),
        Pairs(Pace(seconds, rate=200)): (_p99(5),),
        Group(pace, window=4): (_server(14),),
        Group(pace, window=1): (_server(32),),
        Idle(seconds=2 * seconds): (Limit("connection_kib", 4, "KiB"), Limit("server_core", 12, "% core")),
        Logins(): (_server(200),),
        Drain(): (_server(15),),
        Listing(): (_server_ms(30),),
        Listing(changed=10, times=200): (_server_ms(2),),
        Broadcast(Pace(seconds, rate=2000)): (_p99(50),),
        ApiNotices(pace): (_server(100),),
        ApiMessages(Pace(seconds, rate=100)): (_p99(15),),
        Sdk(seconds=seconds): (Limit("load_us", 200, "µs of load"),),
    }


def cluster_table(seconds: float) -> dict[Work, tuple[Limit, ...]]:
    """Return the works on several nodes, in the order they are reported, with limits; each lasts about ``seconds``.

    They hold for CPU, however many cores there are.
    """
    pace = Pace(seconds)
    return {
        Pairs(pace): (_of("nodes", 60), _of("PostgreSQL", 35), _of("Redis", 10)),
        Group(pace, window=4): (_of("nodes", 25),),
    }


def business_table(seconds: float, redis_port: int = 0) -> dict[Work, tuple[Limit, ...]]:
    """Return the works with a business behind the daemon, with their limits; each lasts about ``seconds``."""
    return {
        Reports(seconds): (_server(40),),
        Reports(seconds, is_carried_on=True, redis_port=redis_port): (_server(70),),
    }


def limits_of(outcome: Outcome) -> tuple[Limit, ...]:
    """Return what is asked of a work with these parameters, nothing where the table doesn't have it."""
    asked = table(0) | business_table(0) if outcome.nodes == 1 else cluster_table(0)
    return next((limits for work, limits in asked.items() if work.label == outcome.work), ())


def _server(microseconds: float) -> Limit:
    return Limit("server_us", microseconds, "µs")


def _of(whose: str, microseconds: float) -> Limit:
    figure = "server_us" if whose == "nodes" else f"{whose.lower()}_us"
    return Limit(figure, microseconds, f"µs {whose}")


def _server_ms(milliseconds: float) -> Limit:
    return Limit("server_us", milliseconds * 1000, "ms", 1e-3)


def _p99(milliseconds: float) -> Limit:
    return Limit("p99_ms", milliseconds, "ms p99")


def in_order(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return ``outcomes`` in the order of the table; those it doesn't have come first."""
    places = {work.label: place for place, work in enumerate(table(0) | business_table(0))}
    return sorted(outcomes, key=lambda outcome: places.get(outcome.work, -1))
