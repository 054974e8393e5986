"""What a monitor asks: alive, ready, and the figures as Prometheus reads them."""

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from imd.http.operations import Operations
from imd.http.site import LimitedSite
from imd.http.statistics import Figure, Metrics, Served


class OperationsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reasons: list[str] = []
        self.served = Served()
        figures = [
            Figure("users_online", "Users.", False, lambda: 3),
            Figure("messages", "Messages.", True, lambda: 7),
        ]
        metrics = Metrics(figures, self.served, {"node": 'im"d1', "version": "1"})
        root = Operations(lambda: self.reasons, metrics.latest)
        self.site = LimitedSite(Clock(), root, timeout=10, max_body=100, max_connections=10, takes_body=lambda _: False)

    def ask(self, path: str, method: str = "GET") -> tuple[int, str]:
        channel = self.site.buildProtocol(None)
        transport = StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head, _, body = transport.value().partition(b"\r\n\r\n")
        return int(head[9:12]), body.decode()

    def test_it_is_alive(self) -> None:
        self.reasons = ["the store is away"]
        assert self.ask("/healthz") == (200, "ok\n")

    def test_it_is_ready_unless_there_is_a_reason(self) -> None:
        assert self.ask("/readyz") == (200, "ok\n")
        self.reasons = ["the node is being stopped", "the store is away"]
        assert self.ask("/readyz") == (503, "the node is being stopped\nthe store is away\n")

    def test_the_figures_are_read_anew(self) -> None:
        self.served("GET /v1/presence", 200, 0.003)
        self.served("GET /v1/presence", 200, 99.0)
        self.served("none", 401, 0.0)
        status, text = self.ask("/metrics")
        assert status == 200
        lines = text.splitlines()
        for line in (
            'imd_info{node="im\\"d1",version="1"} 1.0',
            "imd_users_online 3.0",
            "imd_messages_total 7.0",
            'imd_http_answers_total{route="GET /v1/presence",status="200"} 2.0',
            'imd_http_answers_total{route="none",status="401"} 1.0',
            'imd_http_seconds_bucket{le="0.0025",route="GET /v1/presence"} 0.0',
            'imd_http_seconds_bucket{le="0.005",route="GET /v1/presence"} 1.0',
            'imd_http_seconds_bucket{le="+Inf",route="GET /v1/presence"} 2.0',
            'imd_http_seconds_count{route="GET /v1/presence"} 2.0',
        ):
            assert line in lines, line

    def test_there_is_nothing_else(self) -> None:
        assert self.ask("/")[0] == 404
        assert self.ask("/metrics/")[0] == 404
        assert self.ask("/healthz", "POST")[0] == 405
