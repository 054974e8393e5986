"""The load's side of the HTTP API: one connection that is kept, one request under way."""

import socket
from collections.abc import Callable

from imd.cli.bench.load import Loop, Target
from imd.cli.bench.wire import LoadError, Wire

_CONNECT_SECONDS = 10.0
_END = b"\r\n\r\n"
_LENGTH = b"\r\nContent-Length: "

Answered = Callable[[int, bytes], None]
"""Takes the status and the body of an answer."""


class ApiLink(Wire):
    """Posts JSON to the API of ``target``; ``is_free`` while nothing is under way. Raises LoadError."""

    def __init__(self, loop: Loop, target: Target) -> None:
        if not target.api_port:
            raise LoadError("The load needs the HTTP API on plain TCP: start the daemon with its [http] listen.")
        super().__init__(loop)
        self._answered: Answered | None = None
        self._unread = b""
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
        self.send(start + self._head + b"\r\n" + body)

    @property
    def whose(self) -> str:
        """A business server."""
        return "a business server"

    def received(self, chunk: bytes) -> None:
        """Take an answer, once it is there as a whole."""
        self._unread += chunk
        head, end, rest = self._unread.partition(_END)
        if not end:
            return
        length = int(head.partition(_LENGTH)[2].partition(b"\r\n")[0])
        answered = self._answered
        if len(rest) >= length and answered is not None:
            self._unread, self._answered = rest[length:], None
            answered(int(head[9:12]), rest[:length])
