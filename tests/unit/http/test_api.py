"""From a request to its answer, over a transport that keeps what is written."""

import json
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from imd.errors import ConflictError, NotFoundError, UnavailableError
from imd.http.api import Api, takes_body
from imd.http.auth import Keys, new_key
from imd.http.routing import NoParameters, Route
from imd.http.scopes import Scope
from imd.http.site import LimitedSite
from imd.wire.results import Result

from .test_auth import NOW, KeyStore

SECONDS = 5.0
TIMEOUT = 10.0
MAX_BODY = 1000


class Body(Struct, frozen=True):
    text: str = ""


class ApiTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        store = KeyStore()
        self.key, kept = new_key(lambda size: b"\7" * size, 'sh"op\n', ("notices",), NOW, 0, 0)
        store.keys[kept.prefix] = kept
        self.respond: Callable[[Any], Any] = lambda body: body
        self.served: list[tuple[str, int, float]] = []
        table = [
            Route(
                "POST",
                "/v1/echo",
                "",
                self.echo,
                Body,
                Scope.NOTICES,
                body=Body,
                errors=frozenset({Result.CONFLICT}),
                audited=True,
            ),
            Route("GET", "/v1/forbidden", "", self.echo, Body, Scope.TOKENS),
        ]
        keys = Keys(store, self.clock.seconds, lambda: NOW, 1000)
        api = Api(self.clock, keys, table, SECONDS, lambda *served: self.served.append(served))
        self.site = LimitedSite(
            self.clock, api, timeout=TIMEOUT, max_body=MAX_BODY, max_connections=2, takes_body=takes_body
        )
        self.logged: list[str] = []
        globalLogPublisher.addObserver(self.note)
        self.addCleanup(globalLogPublisher.removeObserver, self.note)

    def note(self, event: Any) -> None:
        self.logged.append(str(event.get("log_format", "")).format(**event))

    async def echo(self, _parameters: NoParameters, body: Any) -> Any:
        answer = self.respond(body)
        return await answer if isinstance(answer, Deferred) else answer

    def connect(self) -> tuple[Any, StringTransport]:
        channel = self.site.buildProtocol(IPv4Address("TCP", "10.0.0.9", 1))
        transport = StringTransport(peerAddress=IPv4Address("TCP", "10.0.0.9", 1))
        channel.makeConnection(transport)
        return channel, transport

    def request(self, content: bytes = b'{"text":"hi"}', method: str = "POST", path: str = "/v1/echo") -> bytes:
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.key}\r\n"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content

    def ask(self, **what: Any) -> tuple[int, Any]:
        """Return the status and the body of the answer to a request."""
        channel, transport = self.connect()
        channel.dataReceived(self.request(**what))
        answer = transport.value()
        self.site.channels.discard(channel)
        return status_of(answer), json.loads(answer.partition(b"\r\n\r\n")[2])


def status_of(answer: bytes) -> int:
    return int(answer[9:12])


class AnswerTests(ApiTestCase):
    def test_an_answer_is_what_the_responder_returns(self) -> None:
        assert self.ask() == (200, {"text": "hi"})
        assert self.served == [("POST /v1/echo", 200, 0.0)]

    def test_an_answer_may_come_later(self) -> None:
        later: Deferred[Any] = Deferred()
        self.respond = lambda _: later
        channel, transport = self.connect()
        channel.dataReceived(self.request())
        assert transport.value() == b""
        self.clock.advance(1)
        later.callback(Body("late"))
        assert transport.value().endswith(b'{"text":"late"}')
        assert self.served == [("POST /v1/echo", 200, 1.0)]

    def test_one_that_takes_too_long_is_unavailable_and_what_comes_after_is_dropped(self) -> None:
        later: Deferred[Any] = Deferred()
        self.respond = lambda _: later
        channel, transport = self.connect()
        channel.dataReceived(self.request())
        self.clock.advance(SECONDS)
        assert status_of(transport.value()) == 503
        assert b"Retry-After: 1\r\n" in transport.value()
        later.callback(Body("too late"))
        assert b"too late" not in transport.value()

    def test_a_client_that_is_gone_is_answered_no_more(self) -> None:
        later: Deferred[Any] = Deferred()
        self.respond = lambda _: later
        channel, _ = self.connect()
        channel.dataReceived(self.request())
        channel.connectionLost(Failure(ConnectionDone()))
        later.callback(Body("to nobody"))
        assert self.served == [("POST /v1/echo", 200, 0.0)]

    def test_what_is_done_is_logged_in_one_line(self) -> None:
        self.ask()
        assert [line for line in self.logged if "/v1/echo" in line] == [
            'key "sh\\"op\\n" (0707070707070707): POST /v1/echo {}'
        ]


class RefusalTests(ApiTestCase):
    def fail_with(self, error: Exception) -> tuple[int, Any]:
        def fail(_: Any) -> Any:
            raise error

        self.respond = fail
        return self.ask()

    def test_a_declared_error_is_told(self) -> None:
        status, problem = self.fail_with(ConflictError("not again"))
        assert status == 409
        assert problem == {"title": "Conflict", "status": 409, "code": "CONFLICT", "detail": "not again"}
        assert self.fail_with(UnavailableError("away"))[0] == 503

    def test_an_undeclared_one_is_logged_and_told_as_a_failure(self) -> None:
        for error in (NotFoundError("secret"), ValueError("secret"), RecursionError("secret")):
            status, problem = self.fail_with(error)
            assert (status, problem["detail"]) == (500, "the server failed; its log says why")
            assert f"{type(error).__name__}: secret" in self.logged[-1]

    def test_a_scope_that_lacks_is_forbidden(self) -> None:
        status, problem = self.ask(method="GET", path="/v1/forbidden")
        assert (status, problem["code"]) == (403, "FORBIDDEN")
        assert self.served == [("GET /v1/forbidden", 403, 0.0)]

    def test_without_a_key_nothing_is_told_of_what_there_is(self) -> None:
        self.key = "x"
        for path in ("/v1/echo", "/nothing"):
            assert self.ask(path=path)[0] == 401
        assert {name for name, _, _ in self.served} == {"none"}


class LimitTests(ApiTestCase):
    def test_a_body_at_the_limit_is_taken_and_one_byte_more_is_not(self) -> None:
        room = MAX_BODY - len(b'{"text":""}')
        assert self.ask(content=b'{"text":"%b"}' % (b"x" * room))[0] == 200
        assert self.ask(content=b'{"text":"%b"}' % (b"x" * (room + 1)))[0] == 413

    def test_without_a_key_no_body_is_kept(self) -> None:
        self.key = "x"
        channel, _ = self.connect()
        channel.dataReceived(self.request(b"x" * 500)[:-100])
        assert channel.requests[-1]._chunks == []

    def test_a_request_has_to_come_in_time_however_many_bytes_come(self) -> None:
        channel, transport = self.connect()
        for byte in self.request()[:40]:
            channel.dataReceived(bytes([byte]))
            self.clock.advance(TIMEOUT / 30)
        assert transport.disconnecting

    def test_the_time_begins_anew_with_each_request(self) -> None:
        channel, transport = self.connect()
        for _ in range(3):
            self.clock.advance(TIMEOUT * 0.9)
            channel.dataReceived(self.request())
        assert not transport.disconnecting
        assert transport.value().count(b"HTTP/1.1 200 OK") == 3
        self.clock.advance(TIMEOUT)
        assert transport.disconnecting

    def test_connections_past_the_limit_are_not_taken(self) -> None:
        self.connect()
        channel, _ = self.connect()
        assert self.site.buildProtocol(None) is None
        self.site.channels.discard(channel)
        assert self.site.buildProtocol(None) is not None

    def test_draining_closes_what_is_idle_and_lets_the_rest_be_answered(self) -> None:
        later: Deferred[Any] = Deferred()
        self.respond = lambda _: later
        busy, transport = self.connect()
        busy.dataReceived(self.request())
        _, idle = self.connect()
        self.site.drain()
        assert (idle.disconnecting, transport.disconnecting) == (True, False)
        later.callback(Body("last"))
        assert b"Connection: close\r\n" in transport.value()
        assert transport.value().endswith(b'{"text":"last"}')
        assert transport.disconnecting
