"""A signed webhook as a destination: each report is one POST, and a 2xx answer takes it.

What another answer means: 429, 502, 503 and 504 that the destination can't take anything now, any other that it doesn't
want this report.
"""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseNeverReceived
from twisted.web.http_headers import Headers
from zope.interface import implementer

from imd.errors import ConfigError, UnavailableError
from imd.ports.upstream import IUpstreamQueue, Queued, RejectedError, TimedOutError
from imd.queues.signature import signed

KEPT_SECONDS = 1.5
"""How long a connection stays open for the next report: less than servers wait, which close it then."""

MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are read, and thrown away; a longer one is cut off."""

_AWAY = frozenset({429, 502, 503, 504})


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent, as JSON: ``payload`` in base64, ``created`` in ms since the epoch."""

    message_id: str
    uid: int
    destination: str
    content_type: str
    created: int
    payload: bytes


@implementer(IUpstreamQueue)
class Webhook:
    """The URL to which reports are sent, ``width`` at once, signed with ``secret``.

    ``now`` gives seconds since the epoch; an answer is waited for ``timeout`` seconds.
    """

    batch = 1

    def __init__(
        self,
        reactor: Any,
        destination: str,
        url: str,
        secret: bytes,
        now: Callable[[], float],
        *,
        width: int,
        timeout: float,
    ) -> None:
        self.width = width
        self._reactor = reactor
        self._destination = destination
        self._url = url
        self._secret = secret
        self._now = now
        self._timeout = timeout
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = width
        self._pool.cachedConnectionTimeout = KEPT_SECONDS  # type: ignore[assignment]  # callLater takes it
        self._client = HTTPClient(Agent(reactor, connectTimeout=timeout / 2, pool=self._pool))

    def start(self) -> None:
        """Do nothing: a connection is made when there is a report."""

    async def stop(self) -> None:
        """Close what is open."""
        await self._pool.closeCachedConnections()

    def put(self, reports: Sequence[Queued]) -> "Deferred[None]":
        """Send one report. Fails with UnavailableError, RejectedError or TimedOutError."""
        (report,) = reports
        body = msgspec.json.encode(
            Body(
                message_id=report.message_id,
                uid=report.uid,
                destination=self._destination,
                content_type=report.content_type,
                created=report.created,
                payload=report.payload,
            )
        )
        headers = Headers({"Content-Type": ["application/json"]})
        for name, value in signed(self._secret, body, int(self._now())).items():
            headers.addRawHeader(name, value)
        answered: Deferred[Any] = self._client.post(
            self._url, data=body, headers=headers, allow_redirects=False, unbuffered=True
        )
        answered.addCallback(_read)
        answered.addTimeout(self._timeout, self._reactor)
        return answered.addCallbacks(self._judge, self._failed)

    def _judge(self, code: int) -> None:
        if code in _AWAY:
            raise UnavailableError(f"it answered {code}")
        if not 200 <= code < 300:
            raise RejectedError(f"it answered {code}")

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, DeferredTimeoutError | CancelledError):
            raise TimedOutError(f"it did not answer in {self._timeout:g} s") from None
        if isinstance(error, ResponseNeverReceived):
            raise TimedOutError("it closed the connection without an answer") from None
        raise UnavailableError(f"it can't be reached: {str(error) or type(error).__name__}") from None


def check_url(url: str) -> str:
    """Return ``url``. Raises ConfigError, which repeats nothing of it, where nothing can be sent there."""
    try:
        parts = urlsplit(url)
        is_good = bool(parts.hostname) and parts.port != 0 and parts.username is None and not parts.fragment
    except ValueError:
        is_good = False
    if not is_good or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigError("url is none that can be posted to: expected such as https://shop.example/orders.")
    return url


def _read(response: Any) -> "Deferred[int]":
    """Read an answer to its end, so that the connection can be used again; return its code."""
    read: Deferred[int] = Deferred(lambda _: swallow.end())
    swallow = _Swallow(read, response.code)
    response.deliverBody(swallow)
    return read


class _Swallow(Protocol):
    def __init__(self, read: "Deferred[int]", code: int) -> None:
        self._read = read
        self._code = code
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        """Count."""
        self._size += len(data)
        if self._size > MAX_ANSWER:
            self.end()

    def end(self) -> None:
        """Read no further."""
        transport: Any = self.transport
        transport.abortConnection()
        self.connectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002 - Twisted's interface
        """Tell the code: that is what counts, however the rest ended."""
        if not self._read.called:
            self._read.callback(self._code)
