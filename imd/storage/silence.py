"""Silence: a server that is paused or cut off says nothing, and whoever waits for it would wait for ever.

libpq has no time limit for an answer, and a server that stands still keeps none of its own. So connections on which an
answer is due are watched, and cut after a while: then the one who waits gets an error.
"""

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from time import monotonic


class Wire:
    """The socket of a connection, seen from beside whoever speaks over it."""

    def __init__(self, wire: socket.socket) -> None:
        self._socket = wire
        self._poll = select.poll()
        self._poll.register(wire, select.POLLIN)

    def has_news(self) -> bool:
        """Whether something waits to be read, or the connection is closed."""
        return bool(self._poll.poll(0))

    def cut(self) -> None:
        """End the connection, for both sides and whoever waits."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of it; the connection itself goes on."""
        self._socket.close()


class Silence:
    """Cuts connections that have been waited for longer than ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[Wire, float] = {}
        self._lock = Lock()
        self._ended = Event()
        self._thread = Thread(target=self._run, name="imd-silence", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    @contextmanager
    def watch(self, wire: Wire) -> Iterator[None]:
        """Watch a connection of which nobody else makes use meanwhile."""
        self._since[wire] = monotonic()
        try:
            yield
        finally:
            with self._lock:
                del self._since[wire]

    def _run(self) -> None:
        while not self._ended.wait(self._seconds / 8):
            with self._lock:
                late = monotonic() - self._seconds
                for wire, since in list(self._since.items()):
                    if since < late:
                        wire.cut()
