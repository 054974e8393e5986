"""HTTP requests to a server that may be slow, gone or wrong: bounded in time, in size and in connections.

Twisted's own agent, for it follows no redirect, keeps no cookie and inflates nothing.
"""

from collections.abc import Coroutine, Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec
from OpenSSL.SSL import Error as SSLError
from service_identity import VerificationError
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectingCancelledError, DNSLookupError
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    BrowserLikePolicyForHTTPS,
    HTTPConnectionPool,
    ResponseDone,
    _HTTP11ClientFactory,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer, IResponse
from zope.interface import implementer

from imd.authorities import trust_root
from imd.errors import ImdError

IDLE_SECONDS = 30
"""How long a connection is kept for the next request."""

Value = TypeVar("Value")


class FetchError(ImdError):
    """There is no answer; the text says why, and holds nothing of what was sent.

    ``may_repeat``: the same may succeed a moment later.
    """

    def __init__(self, reason: str, *, may_repeat: bool = False) -> None:
        super().__init__(reason)
        self.may_repeat = may_repeat


class Response(NamedTuple):
    """An answer; ``body`` is None where it is larger than was allowed."""

    status: int
    body: bytes | None

    def json(self, kind: type[Value]) -> Value:
        """Return the JSON of a 200 as ``kind``. Raises FetchError where it is anything else."""
        if self.status != 200:
            raise FetchError(f"it answered {self.status}")
        if self.body is None:
            raise FetchError("its answer is too large")
        try:
            return msgspec.json.decode(self.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # whose text may hold what was answered
            raise FetchError("its answer is not the JSON that was expected") from None


class Fetch:
    """Requests to ``url``, over at most ``connections`` of them kept open; ``max_body`` bytes of an answer are read.

    Over TLS the server has to show a certificate for its host, signed by one of ``authorities`` (PEM), or by one that
    the machine trusts where there are none. Raises ConfigError for PEM without a certificate.
    """

    def __init__(
        self,
        reactor: Any,
        url: str,
        *,
        connections: int,
        max_body: int,
        authorities: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._url = url.encode("ascii")
        self.host = urlsplit(url).netloc
        self._max_body = max_body
        self._headers = {"User-Agent": "imd", "Accept": "application/json", **(headers or {})}
        self._pool = HTTPConnectionPool(reactor, persistent=True)
        self._pool.maxPersistentPerHost = connections
        self._pool.cachedConnectionTimeout = IDLE_SECONDS
        self._pool._factory = _Quiet
        self._agent = Agent(reactor, BrowserLikePolicyForHTTPS(trust_root(authorities)), pool=self._pool)

    async def get(self) -> Response:
        """Ask. Raises FetchError."""
        return await self._ask(b"GET", self._headers, None)

    async def post(self, body: bytes, content_type: str) -> Response:
        """Send and ask. Raises FetchError."""
        return await self._ask(b"POST", {**self._headers, "Content-Type": content_type}, body)

    def close(self) -> None:
        """Close the connections that are kept."""
        self._pool.closeCachedConnections()

    async def _ask(self, method: bytes, headers: Mapping[str, str], body: bytes | None) -> Response:
        producer = None if body is None else _Content(body)
        raw = Headers({name: [value] for name, value in headers.items()})
        try:
            response = await self._agent.request(method, self._url, raw, producer)
            return Response(response.code, await _Body.of(response, self._max_body))
        except Exception as error:
            cause = _cause(error)
            if isinstance(cause, CancelledError | ConnectingCancelledError):
                raise CancelledError from None
            # What was sent may have been done there: who repeats it has to know that this does no harm.
            may_repeat = not isinstance(cause, DNSLookupError | VerificationError | SSLError)
            raise FetchError(f"{type(cause).__name__}: {_line(str(cause))}", may_repeat=may_repeat) from None


async def within(clock: Any, seconds: float, work: Coroutine[Any, Any, Value]) -> Value:
    """Return what ``work`` returns; it is cancelled after so many seconds. Raises FetchError then."""

    def too_late(outcome: Any, _seconds: float) -> Any:
        if isinstance(outcome, Failure):
            raise FetchError(f"no answer within {seconds:g} s")
        return outcome

    return await Deferred.fromCoroutine(work).addTimeout(seconds, clock, too_late)


class _Quiet(_HTTP11ClientFactory):
    """Logs no line for each connection."""

    noisy = False


@implementer(IBodyProducer)
class _Content:
    """A small body, written at once."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.length = len(content)

    def startProducing(self, consumer: IConsumer) -> "Deferred[None]":
        """Write it."""
        consumer.write(self._content)
        return succeed(None)

    def pauseProducing(self) -> None:
        """There is nothing to pause."""

    def resumeProducing(self) -> None:
        """Nor to go on with."""

    def stopProducing(self) -> None:
        """Nor to stop."""


class _Body(Protocol):
    """Takes the body of an answer, and hangs up when it is too large."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self.done: Deferred[bytes | None] = Deferred(self._cancel)

    @classmethod
    def of(cls, response: IResponse, limit: int) -> "Deferred[bytes | None]":
        """Return the body, None where it is larger than ``limit``."""
        body = cls(limit)
        response.deliverBody(body)
        return body.done

    def dataReceived(self, data: bytes) -> None:
        """Keep what came."""
        self._size += len(data)
        if self._size <= self._limit:
            self._parts.append(data)
        elif not self.done.called:
            self._parts.clear()
            self.done.callback(None)
            self._abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Hand on what came."""
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(b"".join(self._parts))
        else:
            self.done.errback(reason)

    def _cancel(self, done: "Deferred[bytes | None]") -> None:
        done.errback(CancelledError())
        self._abort()

    def _abort(self) -> None:
        abort = getattr(self.transport, "abortConnection", None)
        if abort is not None:
            abort()


def _cause(error: BaseException) -> BaseException:
    """Return what lies under the failures that Twisted's client wraps."""
    reasons = getattr(error, "reasons", None)
    while reasons:
        error = reasons[0].value
        reasons = getattr(error, "reasons", None)
    return error


def _line(text: str) -> str:
    return " ".join(text.split())[:200]
