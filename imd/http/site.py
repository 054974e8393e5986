"""The server below the API: connections, their deadlines and limits, and requests that hold no more than they may."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from imd.http.problems import MEDIA_TYPE, HttpError, Problem, problem_of

MAX_HEADERS = 64
_encode = msgspec.json.Encoder().encode


class Channel(HTTPChannel):
    """One connection, which speaks HTTP/1: the site's timeout is for a whole request, however slowly it comes."""

    maxHeaders = MAX_HEADERS
    site: "LimitedSite"
    _is_receiving = False

    def connectionMade(self) -> None:
        """Count it."""
        self.site.channels.add(self)
        super().connectionMade()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Count it no more."""
        self.site.channels.discard(self)
        super().connectionLost(reason)

    def resetTimeout(self) -> None:
        """Begin the time anew with the first bytes of a request, and not with each that follow."""
        if not self._is_receiving:
            self._is_receiving = True
            super().resetTimeout()

    def allContentReceived(self) -> None:
        """The request is there."""
        self._is_receiving = False
        super().allContentReceived()

    def lineLengthExceeded(self, _line: bytes) -> None:
        """Say why a request ends whose first line or header is longer than 16 KiB."""
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if self.requests else HTTPStatus.REQUEST_URI_TOO_LONG
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        self.write(head.encode())
        self.loseConnection()

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return bool(self._handlingRequest)


class LimitedRequest(Request):
    """A request whose body is kept in memory, and only as far as it may go; ``body`` is all of it."""

    channel: Channel
    is_too_large = False
    is_gone = False

    def gotLength(self, length: int | None) -> None:  # noqa: ARG002 - what comes counts, not what was announced
        """Begin to take the body."""
        self._chunks: list[bytes] = []
        self._size = 0
        self._takes_body = self.channel.site.takes_body(self)
        super().gotLength(0)

    def handleContentChunk(self, data: bytes) -> None:
        """Keep a part of it."""
        self._size += len(data)
        if self._size > self.channel.site.max_body:
            self.is_too_large = True
            self._chunks.clear()
        elif self._takes_body:
            self._chunks.append(data)

    @property
    def body(self) -> bytes:
        """The whole of it. Raises HttpError where it is too large."""
        if self.is_too_large:
            limit = self.channel.site.max_body
            raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {limit} bytes")
        return b"".join(self._chunks)

    def header(self, name: str) -> str:
        """Return the value of a header, empty where there is none or more than one."""
        values = self.requestHeaders.getRawHeaders(name, ())
        return values[0] if len(values) == 1 else ""

    def connectionLost(self, reason: Failure) -> None:
        """Nobody waits for the answer any more."""
        self.is_gone = True
        super().connectionLost(reason)

    def reply(self, status: int, media_type: str, content: bytes, headers: Mapping[str, str]) -> None:
        """Answer, if somebody still waits for it."""
        if self.is_gone:
            return
        self.setResponseCode(status)
        self.setHeader("Server", "imd")
        self.setHeader("Content-Type", media_type)
        self.setHeader("Content-Length", str(len(content)))
        self.setHeader("X-Content-Type-Options", "nosniff")
        self.setHeader("Cache-Control", "no-store")
        for name, value in headers.items():
            self.setHeader(name, value)
        if self.channel.site.is_draining or self.is_too_large:
            self.channel.persistent = 0
            self.setHeader("Connection", "close")
        self.write(content)
        self.finish()

    def refuse(self, error: Any) -> Problem:
        """Answer with a problem, and return it."""
        problem = problem_of(error)
        headers = dict(getattr(error, "headers", ()))
        if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers["Retry-After"] = "1"
        self.reply(problem.status, MEDIA_TYPE, _encode(problem), headers)
        return problem

    def processingFailed(self, reason: Failure) -> Failure:
        """Say no more than that."""
        self._log.failure("a request could not be served", reason)
        if not self.startedWriting:
            self.refuse(HttpError(HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed; its log says why"))
        return reason


class LimitedSite(Site):
    """Serves ``root`` over ``max_connections`` at most; a request has to come within ``timeout`` seconds.

    ``takes_body`` says of a request whose headers are there whether its body is worth keeping; ``max_body`` is in
    bytes. Requests are not logged.
    """

    _log = Logger()
    protocol: Any = Channel
    noisy = False

    def __init__(
        self,
        reactor: IReactorTime,
        root: Resource,
        *,
        timeout: float,
        max_body: int,
        max_connections: int,
        takes_body: Callable[[LimitedRequest], bool],
    ) -> None:
        super().__init__(root, LimitedRequest, timeout=timeout, reactor=reactor, parsePOSTFormSubmission=False)
        self.max_body = max_body
        self.takes_body = takes_body
        self.channels: set[Channel] = set()
        self.is_draining = False
        self._max_connections = max_connections
        self._is_full = False

    def startFactory(self) -> None:
        """Log no requests."""

    def log(self, request: Any) -> None:
        """Log no requests."""

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Return a connection's protocol, None where there are too many."""
        if len(self.channels) >= self._max_connections:
            if not self._is_full:  # said once, and not for each that is refused
                self._log.warn("refused an HTTP connection: there are {n} already", n=self._max_connections)
            self._is_full = True
            return None
        self._is_full = False
        return super().buildProtocol(addr)

    def drain(self) -> None:
        """Close each connection as soon as what was asked on it is answered."""
        self.is_draining = True
        for channel in list(self.channels):
            if not channel.is_busy:
                channel.loseConnection()

    def abort(self) -> None:
        """Close every connection at once."""
        for channel in list(self.channels):
            channel.forceAbortClient()
