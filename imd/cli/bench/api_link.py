"""The load's side of the HTTP API: one connection that is kept, one request under way."""

import select
import socket
from collections.abc import Callable

from imd.cli.bench.load import LoadError, Loop, Target

_READ_SIZE = 256 * 1024
_CONNECT_SECONDS = 10.0
_END = b"\r\n\r\n"
_LENGTH = b"\r\nContent-Length: "

Answered = Callable[[int, bytes], None]
"""Takes the status and the body of an answer."""


class ApiLink:
    """Posts JSON to the API of ``target``; ``is_free`` while nothing is under way. Raises LoadError."""

    def __init__(self, loop: Loop, target: Target) -> None:
        if not target.api_port:
            raise LoadError("The load needs the HTTP API on plain TCP: start the daemon with its [http] listen.")
        self._loop = loop
        self._answered: Answered | None = None
        self._unread = b""
        self._unsent = b""
        self._head = f"Host: {target.api_host}\r\nAuthorization: Bearer {target.api_key}\r\n".encode()
        try:
            self._socket = socket.create_connection((target.api_host, target.api_port), _CONNECT_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setblocking(False)
        except OSError as error:
            raise LoadError(f"{target.api_host}:{target.api_port} can't be connected to: {error}") from error
        loop.watch(self, self._socket.fileno())

    @property
    def is_free(self) -> bool:
        """Whether the next request may be posted."""
        return self._answered is None

    def post(self, path: str, body: bytes, answered: Answered) -> None:
        """Post ``body``; ``answered`` takes what comes of it."""
        self._answered = answered
        start = f"POST {path} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n".encode()
        self._send(start + self._head + b"\r\n" + body)

    def ready(self, events: int) -> None:
        """Do what ``events`` of epoll allow. Raises LoadError where the server closed the connection."""
        if events & select.EPOLLOUT:
            unsent, self._unsent = self._unsent, b""
            self._loop.await_events(self._socket.fileno(), select.EPOLLIN)
            self._send(unsent)
        if events & ~select.EPOLLOUT:
            self._read()

    def close(self) -> None:
        """Close the connection."""
        self._loop.forget(self, self._socket.fileno())
        self._socket.close()

    def _send(self, content: bytes) -> None:
        try:
            sent = self._socket.send(content)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise LoadError(f"The connection to the API was lost: {error.strerror}") from error
        if sent < len(content):
            self._unsent = content[sent:]
            self._loop.await_events(self._socket.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _read(self) -> None:
        try:
            chunk = self._socket.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            raise LoadError(f"The connection to the API was lost: {error.strerror}") from error
        if not chunk:
            raise LoadError("The server closed a connection to the API.")
        self._unread += chunk
        head, end, rest = self._unread.partition(_END)
        if not end:
            return
        length = int(head.partition(_LENGTH)[2].partition(b"\r\n")[0])
        answered = self._answered
        if len(rest) >= length and answered is not None:
            self._unread, self._answered = rest[length:], None
            answered(int(head[9:12]), rest[:length])
