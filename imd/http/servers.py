"""The two servers of a node: the API, and what a monitor asks for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource

from imd.http.api import Api, takes_body
from imd.http.auth import Keys
from imd.http.openapi import OpenApi
from imd.http.operations import Operations
from imd.http.site import LimitedRequest, LimitedSite
from imd.http.statistics import Metrics, Served
from imd.http.table import Services, routes
from imd.ports.apikeys import IApiKeyStore


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What bounds requests; seconds, bytes, and counts."""

    max_body: int = 1024 * 1024
    max_connections: int = 200
    request_seconds: float = 10.0
    answer_seconds: float = 10.0
    requests_per_second: float = 1000.0


class HttpServers:
    """The factories of both; ``unready`` returns why the node should get no clients now."""

    def __init__(
        self,
        reactor: IReactorTime,
        services: Services,
        keys: IApiKeyStore,
        unready: Callable[[], Sequence[str]],
        limits: HttpLimits,
    ) -> None:
        self._reactor = reactor
        self._limits = limits
        served = Served()
        known = Keys(keys, reactor.seconds, services.now, limits.requests_per_second)
        table = OpenApi(routes(services), services.version).routes
        about = {"node": services.node, "version": services.version}
        metrics = Metrics(services.figures, served, about)
        self.api = self._site(Api(reactor, known, table, limits.answer_seconds, served), takes_body)
        self.operations = self._site(Operations(unready, metrics.latest), lambda _: False)

    def drain(self) -> None:
        """Take no more requests for the API, and close each connection as soon as its answer is out."""
        self.api.drain()

    @property
    def is_drained(self) -> bool:
        """Whether everything that was asked is answered."""
        return not self.api.channels

    def end(self) -> None:
        """Close every connection of both."""
        self.api.abort()
        self.operations.abort()

    def _site(self, root: Resource, wants: Callable[[LimitedRequest], bool]) -> LimitedSite:
        return LimitedSite(
            self._reactor,
            root,
            timeout=self._limits.request_seconds,
            max_body=self._limits.max_body,
            max_connections=self._limits.max_connections,
            takes_body=wants,
        )
