"""The HTTP API of a daemon, asked as a business server does."""

import io
import json
import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool
from twisted.web.http_headers import Headers

from imd.http.auth import new_key
from imd.http.scopes import Scope
from imd.storage import apikeys
from imd.storage import open as storage

from .daemon import Daemon, free_port

ALL = tuple(scope.value for scope in Scope)


class Answer(NamedTuple):
    """What was answered: the status, the headers, and the body, of JSON what it says."""

    status: int
    headers: Headers
    body: Any


def http_settings(api_port: int, watch_port: int = 0) -> dict[str, str]:
    """Return the settings of a daemon that has the API, and what a monitor asks, on these ports."""
    settings = {"IMD_HTTP_LISTEN": f"tcp:{api_port}:interface=127.0.0.1"}
    if watch_port:
        settings["IMD_HTTP_OPERATIONS_LISTEN"] = f"tcp:{watch_port}:interface=127.0.0.1"
    return settings


class Api:
    """Asks the API at ``port``, with ``key`` unless told otherwise."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self.key = key
        self._agent = Agent(reactor, connectTimeout=10, pool=HTTPConnectionPool(reactor, persistent=False))

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        **query: Any,
    ) -> Answer:
        """Return the answer; ``content`` is a body that is no JSON of ours."""
        given = {"Authorization": f"Bearer {self.key if key is None else key}", **(headers or {})}
        if body is not None:
            content = json.dumps(body).encode()
            given.setdefault("Content-Type", "application/json")
        address = f"http://127.0.0.1:{self.port}{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")
        raw = Headers({name: [value] for name, value in given.items()})
        producer = None if content is None else FileBodyProducer(io.BytesIO(content))
        response = await self._agent.request(method.encode(), address.encode(), raw, producer)
        body = _Body()
        response.deliverBody(body)
        found = await body.whole
        media_type = (response.headers.getRawHeaders("Content-Type") or [""])[0]
        return Answer(response.code, response.headers, json.loads(found) if "json" in media_type else found)

    async def done(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Return what is answered, which has to be no refusal."""
        answer = await self.ask(method, path, body, **query)
        assert answer.status == 200, answer.body
        return answer.body


class _Body(Protocol):
    """Fires with a body, once the server has ended it."""

    def __init__(self) -> None:
        self.whole: Deferred[bytes] = Deferred()
        self._parts: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        self._parts.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.whole.callback(b"".join(self._parts))


def make_key(url: str, *scopes: str, per_second: int = 0, lifetime_ms: int = 3_600_000) -> str:
    """Make a key for these scopes, for all where none is named, in the database at ``url``."""
    now = time.time_ns() // 1_000_000
    key, kept = new_key(os.urandom, "tests", scopes or ALL, now, now + lifetime_ms, per_second)
    with storage.transaction(url, "") as connection:
        apikeys.add(connection, kept)
    return key


def database_of(daemon: Daemon) -> str:
    """Return the address of a daemon's SQLite."""
    return f"sqlite:///{daemon.data / 'imd.sqlite'}"


class ApiDaemon:
    """A daemon with the API, and who asks it."""

    def __init__(self, folder: Any, variables: Mapping[str, str] | None = None) -> None:
        self.api_port, self.watch_port = free_port(), free_port()
        self.daemon = Daemon(folder, {**http_settings(self.api_port, self.watch_port), **(variables or {})})

    def start(self) -> "ApiDaemon":
        """Start it, and make a key that may everything."""
        self.daemon.start()
        self.api = Api(self.api_port, self.key())
        self.watch = Api(self.watch_port, "")
        return self

    def key(self, *scopes: str, **limits: int) -> str:
        """Make a key."""
        return make_key(database_of(self.daemon), *scopes, **limits)

    def close(self) -> None:
        """End it."""
        self.daemon.close()
