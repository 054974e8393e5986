"""What a work is told, and what it came to."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from imd.cli.bench.load import Target
from imd.cli.bench.server import Usage

Progress = Callable[[float, float], None]
"""Called with what is done and what there is to do, in any one unit; may be called as often as one likes."""


@dataclass(frozen=True, slots=True)
class Latency:
    """The spread of a work's latencies, in seconds."""

    p50: float
    p99: float
    longest: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one work came to.

    ``unit`` names what is counted; ``usage`` is what all ``count`` of them took. ``resident`` is the server's memory at
    the end and ``growth`` what each connection added to it, in bytes. ``repeats`` came more than once and were dropped.
    ``also`` tells what else was counted, by its name in the plural. ``reach`` is how long, in seconds, the slowest
    broadcast took to its last user. Each of ``breaches`` is a sentence that tells of a lost, doubled or misplaced
    message. ``nodes`` is how many daemons shared the work.
    """

    work: str
    unit: str
    count: int
    usage: Usage
    resident: int
    latency: Latency | None = None
    growth: float | None = None
    repeats: int = 0
    also: dict[str, int] = field(default_factory=dict)
    reach: float | None = None
    breaches: tuple[str, ...] = ()
    nodes: int = 1

    def figures(self) -> dict[str, float | None]:
        """Return what follows from the measures; None where there is nothing to tell.

        ``server_us`` (of all nodes together), ``load_us`` and that of what the nodes share, by its name, such as
        ``redis_us``, are CPU for each of what is counted; ``…_core`` are percent of a core.
        """
        used, latency = self.usage, self.latency
        beside: dict[str, float | None] = {}
        for name, seconds in used.beside.items():
            beside[f"{name}_us"] = seconds / self.count * 1e6 if self.count else None
            beside[f"{name}_core"] = seconds / used.wall * 100
        return {
            "per_second": self.count / used.wall,
            "p50_ms": latency.p50 * 1e3 if latency else None,
            "p99_ms": latency.p99 * 1e3 if latency else None,
            "max_ms": latency.longest * 1e3 if latency else None,
            "server_us": used.server / self.count * 1e6 if self.count else None,
            "server_core": used.server / used.wall * 100,
            "load_us": used.load / self.count * 1e6 if self.count else None,
            "load_core": used.load / used.wall * 100,
            "connection_kib": None if self.growth is None else self.growth / 1024,
            "reach_s": self.reach,
            **beside,
        }

    def plural(self) -> str:
        """Return the unit in its plural."""
        return f"{self.unit[:-1]}ies" if self.unit.endswith("y") else f"{self.unit}s"


class Work(Protocol):
    """One kind of load, with its parameters."""

    @property
    def label(self) -> str:
        """What the work is, with its parameters, as the report shows it."""

    def run(self, target: Target, progress: Progress) -> Outcome:
        """Put the load on ``target``. Raises LoadError where it can't go on."""


def spread(latencies: "array[float]") -> Latency | None:
    """Return the percentiles of ``latencies``, None where there are none."""
    if not latencies:
        return None
    ordered = sorted(latencies)
    return Latency(percentile(ordered, 50), percentile(ordered, 99), ordered[-1])


def percentile(ordered: list[float], rank: int) -> float:
    """Return the least of the sorted values that at least ``rank`` percent of them don't exceed (nearest rank)."""
    return ordered[max(-(-len(ordered) * rank // 100), 1) - 1]
