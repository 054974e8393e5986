"""The bare connection: login, heartbeats, and ACKs matched to their requests."""

from collections.abc import Callable
from itertools import takewhile
from typing import Any, NamedTuple, TypeVar, cast

from google.protobuf.message import DecodeError, Message
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from imd.client.errors import BusyError, ClosedError, TimedOutError, refusal
from imd.wire.bodies import Empty, Error, Heartbeat, ImMsg, UserLogin, UserLoginAck
from imd.wire.commands import BODIES, Command
from imd.wire.packet import (
    ACK,
    DEFLATE,
    MAX_BODY,
    Decoder,
    InflateError,
    InflateLimitError,
    MalformedPacketError,
    Packet,
    encode,
    inflate,
)

TIMEOUT = 15.0
"""Seconds a request waits for its answer."""
MAX_PENDING = 10_000
"""Requests that may wait for their answers at the same time."""
_LAST_TRACE_ID = 2**32 - 1
_HEARTBEAT_SECONDS = 5

ConnectionT = TypeVar("ConnectionT", bound="Connection")


class _Pending(NamedTuple):
    """A request without its answer yet."""

    command: Command
    answer: type[Message]
    answered: Deferred[Any]
    deadline: float


class Connection(Protocol):
    """One connection to a server; it doesn't come back once it has ended.

    ``on_push`` gets each pushed message and the traceId to ``acknowledge`` it with, ``on_notice`` everything else the
    server sends by itself, ``on_closed`` a sentence that says why the connection ended. Times are in seconds:
    ``timeout`` is how long a request waits; ``heartbeat`` and ``idle`` are as the server asks where they are 0.
    """

    def __init__(
        self,
        clock: IReactorTime,
        on_push: Callable[[ImMsg, int], None],
        on_notice: Callable[[Command, Message], None],
        on_closed: Callable[[str], None],
        timeout: float = TIMEOUT,
        heartbeat: float = 0.0,
        idle: float = 0.0,
    ) -> None:
        self._clock = clock
        self._on_push = on_push
        self._on_notice = on_notice
        self._on_closed = on_closed
        self._timeout = timeout
        self._heartbeat = heartbeat
        self._idle = idle
        self._decoder = Decoder(MAX_BODY)
        self._pending: dict[int, _Pending] = {}
        self._last_trace_id = 0
        self._last_read = 0.0
        self._expiry: IDelayedCall | None = None
        self._beat: IDelayedCall | None = None
        self._closed = ""
        self._is_over = False

    async def login(self, uid: int, token: str, client_type: int = 0, device_id: str = "") -> UserLoginAck:
        """Log in, and from here on send heartbeats as the server asks. Raises as ``request`` does."""
        request = UserLogin(uid=uid, token=token, client_type=client_type, device_id=device_id)
        answer = cast(UserLoginAck, await self.request(Command.USER_LOGIN, request))
        if self._beat is None:
            heartbeat = self._heartbeat or answer.heartbeat_seconds or _HEARTBEAT_SECONDS
            self._keep_alive(heartbeat, self._idle or answer.idle_seconds or 3 * heartbeat)
        return answer

    def request(self, command: Command, body: Message) -> Deferred[Any]:
        """Ask the server, and fire with the body of its answer.

        Fails with ResultError where the server refuses, TimedOutError, ClosedError, or BusyError.
        """
        if self._closed:
            return fail(ClosedError(self._closed))
        if len(self._pending) >= MAX_PENDING:
            return fail(BusyError(f"{MAX_PENDING} requests wait for their answers already"))
        answered: Deferred[Any] = Deferred()
        pending = _Pending(command, BODIES[command].answer or Empty, answered, self._clock.seconds() + self._timeout)
        self._pending[self._send(command, body)] = pending
        if self._expiry is None:
            self._expiry = self._clock.callLater(self._timeout, self._expire)
        return answered

    def tell(self, command: Command, body: Message) -> None:
        """Send what is not answered; nothing happens where the connection has ended."""
        if not self._closed:
            self._send(command, body)

    def acknowledge(self, trace_id: int) -> None:
        """ACK a pushed message, and all of its group pushed before it."""
        if not self._closed:
            self._write(encode(Command.IM_SEND_MSG, trace_id, b"", ACK))

    def close(self) -> None:
        """End the connection after what was sent has gone out."""
        self._transport().loseConnection()

    def drop(self, reason: str) -> None:
        """End the connection at once, and tell everyone who waits that it is ``reason``."""
        self._transport().abortConnection()
        self._end(reason)

    # What Twisted calls.

    def connectionMade(self) -> None:
        """Send each packet at once: many are small, and their sender waits for the answer."""
        self._last_read = self._clock.seconds()
        if ITCPTransport.providedBy(self.transport):
            self._transport().setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        """Take in what came; a stream that breaks the contract ends the connection."""
        self._last_read = self._clock.seconds()
        try:
            for packet in self._decoder.feed(data):
                if self._closed:
                    return
                self._receive(packet)
        except (MalformedPacketError, DecodeError, InflateError, InflateLimitError) as error:
            self.drop(f"what the server sent can't be read: {error}")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell everyone who waits."""
        self._end(reason.getErrorMessage())

    def _end(self, reason: str) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._closed = self._closed or reason
        for timer in (self._expiry, self._beat):
            if timer is not None and timer.active():
                timer.cancel()
        self._expiry = self._beat = None
        pending, self._pending = self._pending, {}
        self._on_closed(self._closed)  # first, so that who tries again doesn't try it here
        for request in pending.values():
            request.answered.errback(ClosedError(self._closed))

    def _receive(self, packet: Packet) -> None:
        body = inflate(packet.body, MAX_BODY) if packet.flags & DEFLATE else packet.body
        if packet.flags & ACK:
            pending = self._pending.get(packet.trace_id)
            if pending is None:
                return  # a heartbeat's, or of a request that was given up
            answer = (Error if packet.result else pending.answer).FromString(body)
            del self._pending[packet.trace_id]
            if isinstance(answer, Error):
                pending.answered.errback(refusal(packet.result, answer.reason))
            else:
                pending.answered.callback(answer)
        elif packet.command == Command.IM_SEND_MSG:
            self._on_push(ImMsg.FromString(body), packet.trace_id)
        elif packet.command in BODIES and (notice := BODIES[Command(packet.command)].push) is not None:
            self._on_notice(Command(packet.command), notice.FromString(body))
        # A command this client doesn't know is a later server's: it is passed over.

    def _send(self, command: Command, body: Message) -> int:
        self._last_trace_id = trace_id = self._last_trace_id % _LAST_TRACE_ID + 1
        self._write(encode(command, trace_id, body.SerializeToString()))
        return trace_id

    def _write(self, packet: bytes) -> None:
        self._transport().write(packet)

    def _transport(self) -> Any:
        assert self.transport is not None
        return self.transport

    def _keep_alive(self, heartbeat: float, idle: float) -> None:
        if self._clock.seconds() - self._last_read >= idle:
            self.drop(f"nothing was heard of the server for {idle:g} seconds")
        elif not self._closed:
            self._beat = self._clock.callLater(heartbeat, self._keep_alive, heartbeat, idle)
            self.tell(Command.HEARTBEAT, Heartbeat())

    def _expire(self) -> None:
        # All wait equally long, so the oldest, which a dict has first, is the first to be given up.
        now = self._clock.seconds()
        overdue = list(takewhile(lambda entry: entry[1].deadline <= now, self._pending.items()))
        for trace_id, _ in overdue:
            del self._pending[trace_id]
        oldest = next(iter(self._pending.values()), None)
        self._expiry = None if oldest is None else self._clock.callLater(oldest.deadline - now, self._expire)
        for _, request in overdue:
            reason = f"{request.command.name} had no answer in {self._timeout:g} seconds"
            request.answered.errback(TimedOutError(reason))


def connect(reactor: IReactorTime, server: str, connection: ConnectionT) -> Deferred[ConnectionT]:
    """Connect to ``server``, a Twisted client endpoint string, such as ``tcp:127.0.0.1:7650`` or ``tls:im.org:7651``.

    Fires with ``connection``. Raises ValueError where the string is no endpoint; fails as the endpoint does.
    """
    try:
        endpoint = clientFromString(reactor, server)
    except Exception as error:  # a plugin of Twisted's may raise anything, OpenSSL's errors of a certificate too
        raise ValueError(str(error)) from error
    return cast(Deferred[ConnectionT], connectProtocol(endpoint, connection))
