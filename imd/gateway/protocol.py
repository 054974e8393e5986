"""One connection: bytes to packets and back, deadlines, rate limits and backpressure."""

from typing import Any, Protocol

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IProtocol, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from imd.dispatch import Dispatcher
from imd.errors import RateLimitedError
from imd.gateway.limits import Counters, Limits, TokenBucket
from imd.gateway.outbox import Outbox
from imd.gateway.sessions import Session, Sessions
from imd.gateway.wheel import Wheel
from imd.wire.packet import ACK, MAX_BODY_BEFORE_LOGIN, Decoder, MalformedPacketError
from imd.wire.results import KickReason


class Gateway(Protocol):
    """What all connections share, as one of them sees it."""

    clock: IReactorTime
    dispatcher: Dispatcher
    sessions: Sessions
    outbox: Outbox
    wheel: Wheel
    limits: Limits
    counters: Counters

    def opened(self, connection: "Connection") -> None:
        """A connection begins."""

    def pass_on(self, connection: "Connection", host: str) -> bool:
        """Count ``connection`` as one of ``host``, and say whether it may have one more."""

    def closed(self, connection: "Connection") -> None:
        """A connection is gone."""


@implementer(IProtocol)
class Connection:
    """The protocol of one connection; ``host`` is the client's address.

    What is sent is written at once where the socket takes it. What it does not take waits here, up to max_unsent
    bytes; a client that lets more pile up is dropped, its messages wait in its inbox.
    """

    __slots__ = (
        "__weakref__",
        "_bucket",
        "_bytes_bucket",
        "_decoder",
        "_gateway",
        "_is_blocked",
        "_is_queued",
        "_read_at",
        "_send_now",
        "_unsent",
        "_unsent_size",
        "factory",
        "host",
        "is_open",
        "session",
        "slot",
        "transport",
    )

    _log = Logger()

    def __init__(self, gateway: Gateway, host: str) -> None:
        self._gateway = gateway
        self.factory = gateway
        self.host = host
        self.is_open = False
        self.slot = 0
        self.session = Session(self, gateway.sessions)
        self._decoder = Decoder(MAX_BODY_BEFORE_LOGIN)
        self._unsent: list[bytes] = []
        self._unsent_size = 0
        self._is_blocked = False
        self._is_queued = False
        now = gateway.clock.seconds()
        self._read_at = now
        limits = gateway.limits
        self._bucket = TokenBucket(limits.packets_per_second, 2 * limits.packets_per_second, now)
        self._bytes_bucket = TokenBucket(
            limits.bytes_per_second, 2 * max(limits.bytes_per_second, limits.max_body), now
        )

    def makeConnection(self, transport: Any) -> None:
        """Begin: the login deadline runs from here, a TLS handshake included."""
        self.transport = transport
        # A plain socket can be written to directly, which saves two epoll calls for each write. It is known by its
        # class: TLS hands out the methods of the socket below it, and writing to that would go out in the clear.
        self._send_now: Any = transport.writeSomeData if isinstance(transport, FileDescriptor) else None
        if self._send_now is None:
            transport.registerProducer(self, True)
        if hasattr(transport, "setTcpNoDelay"):
            transport.setTcpNoDelay(True)
        self.connectionMade()

    def connectionMade(self) -> None:
        """The connection is there."""
        self.is_open = True
        self._gateway.opened(self)

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002 - Twisted's interface
        """The connection is gone."""
        self.is_open = False
        self._unsent = []
        self._gateway.closed(self)

    def deadline(self) -> float:
        """When to end the connection, in the clock's seconds: not logged in, silent, or its token expired."""
        limits, session = self._gateway.limits, self.session
        if not session.uid or not self.is_open:
            return self._read_at + limits.login_seconds
        idle = self._read_at + limits.idle_seconds
        return min(idle, session.expires) if session.expires else idle

    def expire(self) -> None:
        """The deadline is over."""
        session = self.session
        if self.is_open and session.uid and 0 < session.expires <= self._gateway.clock.seconds():
            session.kick(KickReason.TOKEN_EXPIRED, "the token has expired; log in with a new one")
        else:
            self.drop("nothing was read in time" if session.uid else "no login in time", is_news=False)

    def logged_in(self) -> None:
        """Other deadlines and limits hold now."""
        gateway = self._gateway
        self._decoder.max_body = gateway.limits.max_body if self.session.uid else MAX_BODY_BEFORE_LOGIN
        self._read_at = gateway.clock.seconds()
        gateway.wheel.watch(self)

    def dataReceived(self, data: bytes) -> None:
        """Hand each packet in ``data`` to the dispatcher, then write all answers at once."""
        if not self.is_open:
            return
        gateway, session = self._gateway, self.session
        now = gateway.clock.seconds()
        if session.uid:
            self._read_at = now
        is_over = not self._bytes_bucket.take(len(data), now)
        dispatch, bucket = gateway.dispatcher.dispatch, self._bucket
        outbox = gateway.outbox
        outbox.hold()
        try:
            for packet in self._decoder.feed(data):
                if not self.is_open:
                    break
                # An ACK answers what the server has sent, so it is bounded by that.
                if not packet.flags & ACK and (is_over or not bucket.take(1, now)):
                    gateway.counters.rate_limited += 1
                    gateway.dispatcher.refuse(session, packet, RateLimitedError("too fast; wait a second"))
                else:
                    dispatch(session, packet)
        except MalformedPacketError as error:
            gateway.counters.malformed += 1
            self.drop(f"not the protocol: {error}", is_news=False)
        finally:
            outbox.flush()

    def send(self, packet: bytes) -> None:
        """Queue a packet; it is written when the outbox is flushed."""
        if not self.is_open:
            return
        if self._unsent_size > self._gateway.limits.max_unsent:
            self.flush()  # what was queued in this turn has not been offered to the socket yet
            if self._unsent_size > self._gateway.limits.max_unsent:
                self._gateway.counters.slow += 1
                self.drop(f"uid {self.session.uid} does not read: {self._unsent_size} bytes wait")
            if not self.is_open:
                return
        self._unsent.append(packet)
        self._unsent_size += len(packet)
        if not self._is_queued and not self._is_blocked:
            if self._gateway.outbox.is_held:
                self._is_queued = True
                self._gateway.outbox.add(self)
            else:
                self.flush()

    def flush(self) -> None:
        """Write what is queued, as far as the socket takes it."""
        self._is_queued = False
        unsent = self._unsent
        if self._is_blocked or not unsent:
            return
        data = unsent[0] if len(unsent) == 1 else b"".join(unsent)
        unsent.clear()
        if self._send_now is None:
            self._unsent_size = 0
            self.transport.write(data)
            return
        written = self._send_now(data)
        if written == len(data):
            self._unsent_size = 0
        else:
            self._write_on(data, written)

    def _write_on(self, data: bytes, written: Any) -> None:
        """Write the rest of ``data`` as far as the socket takes it: Twisted passes on 128 KiB of it at a time."""
        taken = 0
        while written:
            if not isinstance(written, int) or written < 0:  # Twisted answers with the reason, as an exception
                self.drop(f"could not write: {written}", is_news=False)
                return
            taken += written
            if taken == len(data):
                self._unsent_size = 0
                return
            written = self._send_now(memoryview(data)[taken:])
        # A pull producer is asked for more once the transport has written all it has.
        self.transport.registerProducer(self, False)
        self._is_blocked = True
        self._unsent_size = len(data) - taken
        self.transport.write(data[taken:])

    def resumeProducing(self) -> None:
        """The transport takes more."""
        if not self._is_blocked:
            return
        self._is_blocked = False
        self._unsent_size = sum(map(len, self._unsent))
        if self._send_now is not None:
            self.transport.unregisterProducer()
        self.flush()

    def pauseProducing(self) -> None:
        """The transport has enough for now."""
        self._is_blocked = True

    def stopProducing(self) -> None:
        """The transport takes nothing any more."""
        self._is_blocked = True

    def close(self) -> None:
        """Write what is queued, then close; whoever does not read it by the deadline is cut."""
        if not self.is_open:
            return
        self.is_open = False
        self._read_at = self._gateway.clock.seconds()
        self._gateway.wheel.watch(self)
        if self._unsent:
            self.transport.write(b"".join(self._unsent))
            self._unsent = []
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def drop(self, why: str, is_news: bool = True) -> None:
        """Close at once."""
        if is_news:
            self._log.warn("dropped the connection of {host}: {why}", host=self.host, why=why)
        self.is_open = False
        self._unsent = []
        self.transport.abortConnection()
