"""What a node counts: GET /v1/statistics, and the same as Prometheus wants it."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from msgspec import Struct
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from imd.http.routing import NoBody, NoParameters, Route
from imd.http.scopes import Scope

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds, up to which answers are counted."""


class Figure(NamedTuple):
    """Something that is counted; a ``counter`` only rises, while the node runs."""

    name: str
    says: str
    is_counter: bool
    read: Callable[[], float]


class Statistics(Struct, frozen=True):
    """What the node that answers has counted since its start; ``seconds`` is how long that is."""

    node: str
    version: str
    seconds: float
    figures: dict[str, float]


class Served:
    """Counts answers by route and status, and how long they took by route."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, int], int] = {}
        self.buckets: dict[str, list[int]] = {}
        self.seconds: dict[str, float] = {}

    def __call__(self, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self.answers[route, status] = self.answers.get((route, status), 0) + 1
        buckets = self.buckets.setdefault(route, [0] * (len(BUCKETS) + 1))
        place = next((place for place, limit in enumerate(BUCKETS) if seconds <= limit), len(BUCKETS))
        buckets[place] += 1
        self.seconds[route] = self.seconds.get(route, 0.0) + seconds


class Metrics:
    """Tells ``figures`` and what was ``served`` as Prometheus wants it."""

    def __init__(self, figures: Iterable[Figure], served: Served, about: Mapping[str, str]) -> None:
        self._figures = tuple(figures)
        self._served = served
        self._about = dict(about)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def describe(self) -> list[Metric]:
        """Tell nothing before it is asked for."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Return what is counted now."""
        about = GaugeMetricFamily("imd_info", "This node.", labels=list(self._about))
        about.add_metric(list(self._about.values()), 1)
        yield about
        for figure in self._figures:
            family = CounterMetricFamily if figure.is_counter else GaugeMetricFamily
            yield family(f"imd_{figure.name}", figure.says, value=float(figure.read()))
        answers = CounterMetricFamily("imd_http_answers", "Answers of the HTTP API.", labels=["route", "status"])
        for (route, status), count in self._served.answers.items():
            answers.add_metric([route, str(status)], count)
        yield answers
        took = HistogramMetricFamily("imd_http_seconds", "How long answers of the HTTP API took.", labels=["route"])
        for route, counts in self._served.buckets.items():
            total, buckets = 0, []
            for limit, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
                total += count
                buckets.append((limit, total))
            took.add_metric([route], buckets, self._served.seconds[route])
        yield took

    def latest(self) -> bytes:
        """Return them in the text format."""
        return generate_latest(self._registry)


class StatisticsRoutes:
    """Tells what a node counts. ``seconds`` gives how long it has run."""

    def __init__(self, figures: Iterable[Figure], node: str, version: str, seconds: Callable[[], float]) -> None:
        self._figures = tuple(figures)
        self._node = node
        self._version = version
        self._seconds = seconds

    def routes(self) -> list[Route]:
        """Return the table."""
        return [
            Route(
                "GET",
                "/v1/statistics",
                "Tell what the node that answers counts",
                self.statistics,
                Statistics,
                Scope.STATISTICS,
            )
        ]

    async def statistics(self, _parameters: NoParameters, _body: NoBody) -> Statistics:
        """Tell what is counted."""
        figures = {figure.name: float(figure.read()) for figure in self._figures}
        return Statistics(self._node, self._version, round(self._seconds(), 3), figures)
