"""A TCP proxy that does what networks do: delays, cuts at any byte, resets, half-open connections, black holes."""

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

reactor: Any = _reactor


class End(Protocol):
    """One of the two connections of a link; what it reads goes to the other one, unless a fault is in the way."""

    def __init__(self, link: "Link") -> None:
        self.link = link
        self.other: End
        self.is_open = False
        self._waiting: deque[bytes] = deque()
        self._is_timed = False

    def connectionMade(self) -> None:
        self.is_open = True
        self.transport.setTcpNoDelay(True)  # type: ignore[union-attr]
        self.link.made(self)

    def dataReceived(self, data: bytes) -> None:
        self._waiting.append(data)
        self.pump()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_open = False
        self.link.lost(self)

    def pump(self) -> None:
        """Hand on what waits, as far as the fault of the moment lets it."""
        link, other = self.link, self.other
        while self._waiting and other.is_open and not self._is_timed:
            data = self._waiting.popleft()
            if link.is_hole:
                continue
            pause = link.pause()
            if pause:
                piece, rest = (data[: link.piece], data[link.piece :]) if link.piece else (b"", data)
                if rest:
                    self._waiting.appendleft(rest)
                self._write(piece)
                self._is_timed = True
                reactor.callLater(pause, self._go_on)
            else:
                self._write(data)

    def abort(self) -> None:
        """Reset the connection."""
        if self.is_open:
            self.transport.abortConnection()  # type: ignore[union-attr]

    def close(self) -> None:
        """Close it after what was written."""
        if self.is_open:
            self.transport.loseConnection()  # type: ignore[union-attr]

    def _write(self, data: bytes) -> None:
        left = self.link.left
        if left is not None:
            data = data[:left]
            self.link.left = left - len(data)
        if data and self.other.is_open:
            self.other.transport.write(data)  # type: ignore[union-attr]
        if self.link.left == 0:
            self.link.cut()

    def _go_on(self) -> None:
        self._is_timed = False
        self.pump()


class Link:
    """One connection of a client and the one to the server behind it."""

    def __init__(self, proxy: "Proxy") -> None:
        self._proxy = proxy
        self.is_hole = False
        self.left: int | None = None
        self.piece = 0
        self.until = 0.0
        self._pause = 0.0
        self._is_half_open = False
        self.client, self.server = End(self), End(self)
        self.client.other, self.server.other = self.server, self.client

    def made(self, end: End) -> None:
        if end is self.client:
            self._proxy.links.add(self)
            endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self._proxy.server_port)
            connectProtocol(endpoint, self.server).addErrback(lambda _: self.client.abort())
        else:
            self.client.pump()

    def lost(self, end: End) -> None:
        if end is self.client:
            self._proxy.links.discard(self)
        if not self._is_half_open:
            end.other.close()

    def pause(self) -> float:
        """Return how long the next piece has to wait."""
        return self._pause if reactor.seconds() < self.until else 0.0

    # The faults.

    def delay(self, random: Random) -> None:
        """Hold everything back for a while."""
        self.piece, self._pause = 0, random.uniform(0.02, 0.4)
        self.until = reactor.seconds() + self._pause

    def slow(self, random: Random) -> None:
        """Let a few bytes through at a time."""
        self.piece, self._pause = random.randrange(1, 200), 0.005
        self.until = reactor.seconds() + random.uniform(0.1, 0.6)

    def cut_soon(self, random: Random) -> None:
        """Close after some more bytes, wherever in a packet that is."""
        self.left = random.randrange(1, 600)

    def cut(self) -> None:
        """Close both sides."""
        self.client.close()
        self.server.close()

    def reset(self, _random: Random) -> None:
        """Reset both sides."""
        self.client.abort()
        self.server.abort()

    def half_open(self, random: Random) -> None:
        """End one side, and don't tell the other."""
        self._is_half_open = True
        self.is_hole = True
        (self.client if random.random() < 0.3 else self.server).abort()

    def swallow(self, _random: Random) -> None:
        """Pass nothing on any more, and say nothing."""
        self.is_hole = True


FAULTS: tuple[Callable[[Link, Random], None], ...] = (
    Link.delay,
    Link.slow,
    Link.cut_soon,
    Link.reset,
    Link.half_open,
    Link.swallow,
)


class Proxy(Factory):
    """Listens on ``port`` and hands on to ``server_port``, both of 127.0.0.1."""

    noisy = False

    def __init__(self, server_port: int) -> None:
        self.server_port = server_port
        self.port = 0
        self.links: set[Link] = set()
        self._listening: IListeningPort

    async def listen(self) -> "Proxy":
        """Listen."""
        self._listening = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(self)
        self.port = self._listening.getHost().port  # type: ignore[attr-defined]
        return self

    def buildProtocol(self, addr: object) -> End:
        return Link(self).client

    async def harm(self, random: Random) -> None:
        """Let a fault befall a connection, once there is one."""
        while not self.links:
            await deferLater(reactor, 0.01)
        for link in list(self.links):
            random.choice(FAULTS)(link, random)

    async def close(self) -> None:
        """Listen no more, and end everything."""
        await self._listening.stopListening()
        for link in list(self.links):
            link.client.abort()
            link.server.abort()
