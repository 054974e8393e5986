"""A gateway on a clock of its own, and clients of it that need no network."""

from dataclasses import replace
from typing import Any

from google.protobuf.message import Message
from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from imd.dispatch import Answer, Dispatcher, Route
from imd.gateway.factory import Gateway
from imd.gateway.limits import Limits
from imd.gateway.outbox import Outbox
from imd.gateway.protocol import Connection
from imd.gateway.proxied import ProxiedGateway
from imd.gateway.sessions import Session, Sessions
from imd.model import Identity
from imd.ports.delivery import ISession, Push
from imd.wire.bodies import Error, Heartbeat, HeartbeatAck, ImMsg, ImMsgAck, MsgAck, UserLogin, UserLoginAck, UserLogout
from imd.wire.commands import Command
from imd.wire.packet import Decoder, Packet, encode
from imd.wire.results import Result

SEND = Command.IM_SEND_MSG


class Node:
    """A gateway whose USER_LOGIN lets everybody in, whose IM_SEND_MSG is answered with its own text.

    ``expires`` is what the next login's token has; ``closed`` holds the sessions that were told of as gone.
    """

    def __init__(self, max_unacked: int = 100, **limits: Any) -> None:
        self.clock = MemoryReactorClock()
        self.clock.advance(1000)
        self.outbox = Outbox()
        self.sessions = Sessions(self.clock, self.outbox, max_unacked)
        self.expires = 0
        self.acknowledged: list[int] = []
        self.pulled: list[MsgAck] = []
        self.closed: list[Session] = []
        routes = [
            Route(Command.HEARTBEAT, Heartbeat, self._heartbeat, Answer.NOW),
            Route(Command.USER_LOGIN, UserLogin, self._log_in, Answer.NOW, before_login=True),
            Route(Command.USER_LOGOUT, UserLogout, self._log_out, Answer.LATER),
            Route(SEND, ImMsg, self._echo, Answer.NOW),
            Route(Command.IM_MSG_ACK, MsgAck, self._pulled, Answer.NONE),
        ]
        self.limits = replace(Limits(), **limits)
        dispatcher = Dispatcher(routes, {SEND: self._acknowledged}, self.limits.max_body)
        self.gateway = Gateway(self.clock, dispatcher, self.sessions, self.outbox, self.limits, self.closed.append)
        self.gateway.wheel.start()

    def connect(self, host: str = "127.0.0.1") -> "Client":
        """Return a client whose transport is no plain socket, as one behind TLS."""
        return Client(self, StringTransport(), IPv4Address("TCP", host, 1))

    def dial(self, room: int) -> "Client":
        """Return a client with a plain socket of which the system takes ``room`` bytes before the client reads."""
        return Client(self, Socket(self.clock, room), IPv4Address("TCP", "127.0.0.1", 1))

    def dial_through_balancer(self) -> "Client":
        """Return a client with a plain socket of the balancer 192.0.2.250, which has sent no header yet."""
        socket = Socket(self.clock, 1_000_000)
        return Client(self, socket, IPv4Address("TCP", "192.0.2.250", 1), ProxiedGateway(self.gateway))

    def push(self, seq_id: int, *uids: int, text: str = "", group_id: str = "g") -> Push:
        """Push a message to ``uids``."""
        body = ImMsg(group_id=group_id, seq_id=seq_id, msg_body=text).SerializeToString()
        trace_id = self.sessions.next_trace_id()
        push = Push(trace_id, group_id, seq_id, 0, body, encode(SEND, trace_id, body))
        self.sessions.push(push, uids)
        return push

    def pass_time(self, seconds: float) -> None:
        """Let the clock run in small steps, as a reactor does."""
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end - 1e-9:
            self.clock.advance(min(0.1, end - self.clock.seconds()))

    def _heartbeat(self, session: ISession, _request: Heartbeat) -> HeartbeatAck:
        return HeartbeatAck(server_time=1)

    def _log_in(self, session: ISession, request: UserLogin) -> UserLoginAck:
        identity = Identity(request.uid, expires=self.expires)
        session.log_in(request.uid, request.client_type, f"session of {request.uid} on {request.client_type}", identity)
        return UserLoginAck()

    def _log_out(self, session: ISession, trace_id: int, _request: UserLogout) -> None:
        session.answer(Command.USER_LOGOUT, trace_id, b"")
        session.log_out()

    def _echo(self, session: ISession, request: ImMsg) -> ImMsgAck:
        return ImMsgAck(msg_id=request.msg_id)

    def _pulled(self, session: ISession, request: MsgAck) -> None:
        self.pulled.append(request)

    def _acknowledged(self, session: ISession, trace_id: int) -> None:
        covered = session.acknowledge(trace_id)
        if covered is not None:
            self.acknowledged.extend(covered.seqs)


class Client:
    """One client, as seen from the server's end of its connection."""

    def __init__(
        self, node: Node, transport: Any, address: IAddress, factory: Gateway | ProxiedGateway | None = None
    ) -> None:
        self.node = node
        self.transport = transport
        built = (factory or node.gateway).buildProtocol(address)
        self.is_refused = built is None
        self._decoder = Decoder()
        self._trace_id = 0
        self._is_lost = False
        if built is not None:
            self.connection: Connection = built
            transport.protocol = built
            built.makeConnection(transport)

    def login(self, uid: int, client_type: int = 11) -> "Client":
        """Log in and forget the answer."""
        assert self.ask(Command.USER_LOGIN, UserLogin(uid=uid, client_type=client_type)).result == Result.OK
        return self

    def write(self, data: bytes) -> None:
        """Let the server read ``data`` at once."""
        self.connection.dataReceived(data)

    def send(self, command: int, body: Message, flags: int = 0) -> int:
        """Send a request and return its traceId."""
        self._trace_id += 1
        self.write(encode(command, self._trace_id, body.SerializeToString(), flags))
        return self._trace_id

    def ask(self, command: int, body: Message) -> Packet:
        """Send a request and return the only packet that comes back."""
        self.send(command, body)
        (answer,) = self.received()
        return answer

    def heartbeat(self) -> Packet:
        """Send a heartbeat and return its answer."""
        return self.ask(Command.HEARTBEAT, Heartbeat())

    def received(self) -> list[Packet]:
        """Return what has come since this was asked last."""
        data = self.transport.value()
        self.transport.clear()
        return list(self._decoder.feed(data))

    def result(self) -> Result:
        """Return the result of the only packet that has come."""
        (packet,) = self.received()
        return Result(packet.result)

    @property
    def session(self) -> Session:
        """The server's side of it."""
        return self.connection.session

    @property
    def is_closed(self) -> bool:
        """Whether the server has closed or aborted the connection."""
        return bool(self.transport.disconnecting or self.is_aborted)

    @property
    def is_aborted(self) -> bool:
        """Whether the server has closed without waiting for what was written to go out."""
        return bool(self.transport.disconnected)

    def leave(self) -> None:
        """Close the connection from the client's end, or let a close by the server come through."""
        if not self._is_lost:
            self._is_lost = True
            self.connection.connectionLost(Failure(ConnectionDone()))


def reason_of(packet: Packet) -> str:
    """Return the reason that a refusal gives."""
    return Error.FromString(packet.body).reason


class Socket(FileDescriptor):
    """A plain socket: Twisted's own buffering over a system that takes ``room`` bytes until the client reads."""

    SEND_LIMIT = 128 * 1024
    is_broken = False

    def __init__(self, reactor: Any, room: int) -> None:
        super().__init__(reactor)
        self.connected = 1
        self.protocol: Connection | None = None
        self.room = room
        self.writes = 0
        self._arrived = bytearray()

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Twisted's TCP transports have it."""

    def writeSomeData(self, data: Any) -> int | Exception:
        if self.is_broken:
            return ConnectionDone()
        self.writes += 1
        taken = bytes(data[: min(self.SEND_LIMIT, self.room - len(self._arrived))])
        self._arrived += taken
        return len(taken)

    def value(self) -> bytes:
        """Read all that has come, which makes room for more."""
        data = bytearray(self._arrived)
        self._arrived.clear()
        while self in self.reactor.writers:
            if self.doWrite() is not None:
                self.reactor.removeWriter(self)
            data += self._arrived
            self._arrived.clear()
        return bytes(data)

    def clear(self) -> None:
        """What was read is gone."""

    def abortConnection(self) -> None:
        self.disconnected = 1
        self.stopWriting()
