"""A login system as a company may have one: a real HTTP server, with every fault that such a server can show."""

import itertools
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from twisted.internet import reactor as _reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

reactor: Any = _reactor
Fault = Callable[[Request], Any]


@dataclass
class Known:
    """What the login system knows of a token it has issued."""

    uid: int
    expires: float
    name: str = ""
    is_admin: bool = False


@dataclass
class Seen:
    """A request that has come."""

    path: str
    headers: dict[str, str]
    body: bytes = field(repr=False)


class LoginServer(Resource):
    """Answers at ``/login`` and ``/introspect`` of the tokens it has issued, and at ``/jwks`` with ``jwks``.

    While ``fault`` is set, that answers. ``seen`` is all that was asked, ``most`` how many questions were open at once.
    """

    isLeaf = True

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.now = now
        self.tokens: dict[str, Known] = {}
        self.jwks: Any = {"keys": []}
        self.fault: Fault | None = None
        self.seen: list[Seen] = []
        self.open = self.most = 0
        self.is_tls = False
        self._port: IListeningPort | None = None
        self._number = 0
        self._site = _Site(self, parsePOSTFormSubmission=False)
        self._serials = itertools.count(1)

    def start(self, port: int = 0, certificate: tuple[str, str] | None = None) -> "LoginServer":
        """Listen on 127.0.0.1, over TLS where there is a key and a certificate."""
        if certificate is None:
            self._port = reactor.listenTCP(port, self._site, interface="127.0.0.1")
        else:
            self.is_tls = True
            context = DefaultOpenSSLContextFactory(*certificate)
            self._port = reactor.listenSSL(port, self._site, context, interface="127.0.0.1")
        return self

    async def stop(self) -> None:
        """Close the port and every connection; what is asked from now on finds nobody."""
        if self._port is not None:
            self._number = self.address
            await maybeDeferred(self._port.stopListening)
            self._port = None
        self._site.abort()

    @property
    def address(self) -> int:
        """The port it listens on, or listened on last."""
        return self._number if self._port is None else self._port.getHost().port

    def url(self, path: str) -> str:
        """Where it can be asked."""
        return f"{'https' if self.is_tls else 'http'}://127.0.0.1:{self.address}/{path}"

    def issue(self, uid: int, seconds: float = 60, *, name: str = "", is_admin: bool = False) -> str:
        """Return a new token."""
        token = f"opaque-{uid}-{next(self._serials)}-{os.urandom(8).hex()}"
        self.tokens[token] = Known(uid, int(self.now() + seconds), name, is_admin)
        return token

    def render(self, request: Request) -> Any:
        body = request.content.read()  # type: ignore[union-attr]
        path = request.path.decode().strip("/")
        headers = {
            name.decode().lower(): values[0].decode() for name, values in request.requestHeaders.getAllRawHeaders()
        }
        self.seen.append(Seen(path, headers, body))
        self.open += 1
        self.most = max(self.most, self.open)
        request.notifyFinish().addBoth(self._closed)
        if self.fault is not None:
            return self.fault(request)
        answer = {"login": self._login, "introspect": self._introspect, "jwks": lambda *_: self.jwks}[path](
            request, body
        )
        request.setHeader("Content-Type", "application/json")
        return json.dumps(answer).encode()

    def _closed(self, _: object) -> None:
        self.open -= 1

    def _login(self, request: Request, body: bytes) -> Any:
        asked = json.loads(body)
        known = self.tokens.get(asked["token"])
        if known is None or known.uid != asked["uid"]:
            request.setResponseCode(401)
            return {"ok": False}
        if self.now() >= known.expires:
            return {"ok": False, "expired": True}
        return {
            "ok": True,
            "name": known.name,
            "role": "admin" if known.is_admin else "user",
            "expires": known.expires,
        }

    def _jwks(self, _request: Request, _body: bytes) -> Any:
        return self.jwks

    def _introspect(self, _request: Request, body: bytes) -> Any:
        [token] = parse_qs(body.decode()).get("token", [""])
        known = self.tokens.get(token)
        if known is None or self.now() >= known.expires:
            return {"active": False}
        answer = {"active": True, "sub": str(known.uid), "exp": known.expires, "iat": int(self.now())}
        if known.name:
            answer["username"] = known.name
        if known.is_admin:
            answer["scope"] = "chat imd_admin"
        return answer


class _Site(Site):
    """Knows its connections, so that they can be cut."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._channels: list[Any] = []

    def buildProtocol(self, addr: Any) -> Any:
        self._channels.append(super().buildProtocol(addr))
        return self._channels[-1]

    def abort(self) -> None:
        """Cut them."""
        channels, self._channels = self._channels, []
        for channel in channels:
            if channel._channel.transport is not None:
                with suppress(AttributeError):  # of a TLS connection that is closed already
                    channel._channel.transport.abortConnection()


def says(body: bytes, status: int = 200, **headers: str) -> Fault:
    """Return what answers so."""

    def answer(request: Request) -> bytes:
        request.setResponseCode(status)
        for name, value in headers.items():
            request.setHeader(name, value)
        return body

    return answer


def hangs(request: Request) -> int:
    """Never answer."""
    return NOT_DONE_YET


def hangs_half_way(request: Request) -> int:
    """Begin an answer and never end it."""
    request.setHeader("Content-Length", "100")
    request.write(b'{"ok": true, "active": true, "keys": [')
    return NOT_DONE_YET


def breaks_off(request: Request) -> int:
    """Cut the connection in the middle of an answer."""
    hangs_half_way(request)
    request.loseConnection()
    return NOT_DONE_YET


def hangs_up(request: Request) -> int:
    """Cut the connection without an answer."""
    request.channel.forceAbortClient()
    return NOT_DONE_YET


def never_ends(request: Request) -> int:
    """Answer without end."""

    def more() -> None:
        if not request._disconnected:
            request.write(b" " * 65536)
            reactor.callLater(0, more)

    more()
    return NOT_DONE_YET


def late(seconds: float) -> Fault:
    """Return what answers 200 with a word, late."""

    def answer(request: Request) -> int:
        def finish() -> None:
            if not request._disconnected:
                request.write(b'{"ok": false, "active": false, "keys": []}')
                request.finish()

        reactor.callLater(seconds, finish)
        return NOT_DONE_YET

    return answer
