"""A bare socket: it speaks packets, or whatever bytes a test wants the server to see."""

import socket
from typing import Any

from google.protobuf.message import Message

from imd.wire.bodies import Error, ImMsg, UserLogin
from imd.wire.commands import BODIES, Command
from imd.wire.packet import ACK, Decoder, Packet, encode
from imd.wire.results import Result

from .daemon import Daemon

WITHIN = 10.0
"""Seconds in which whatever is awaited has to come."""


class Peer:
    """One connection, used from one thread; ``sock`` may be a socket that a test has prepared."""

    def __init__(self, daemon: Daemon, sock: socket.socket | None = None) -> None:
        self._daemon = daemon
        self.socket = sock or socket.create_connection(("127.0.0.1", daemon.port), WITHIN)
        self.socket.settimeout(WITHIN)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._decoder = Decoder()
        self._received: list[Packet] = []
        self._trace_id = 0

    def login(self, uid: int, client_type: int = 0) -> None:
        """Log in."""
        packet = self.ask(Command.USER_LOGIN, self.login_body(uid, client_type))
        assert packet.result == 0, Error.FromString(packet.body)

    def login_body(self, uid: int, client_type: int = 0) -> UserLogin:
        """Return what logs ``uid`` in."""
        return UserLogin(uid=uid, token=self._daemon.token(uid), client_type=client_type)

    def send(self, command: int, body: bytes = b"", flags: int = 0) -> int:
        """Send a packet and return its traceId."""
        self._trace_id += 1
        self.socket.sendall(encode(command, self._trace_id, body, flags))
        return self._trace_id

    def ask(self, command: int, body: Message | bytes = b"", flags: int = 0) -> Packet:
        """Send a request and return its ACK; pushes that come before it are kept."""
        trace_id = self.send(command, body if isinstance(body, bytes) else body.SerializeToString(), flags)
        return self.answer(trace_id)

    def answer(self, trace_id: int) -> Packet:
        """Return the ACK of a request."""
        before: list[Packet] = []
        while True:
            packet = self.receive()
            if packet.flags & ACK and packet.trace_id == trace_id:
                self._received = before + self._received
                return packet
            before.append(packet)

    def result(self, command: int, body: Message | bytes = b"", flags: int = 0) -> Result:
        """Send a request and return the result of its ACK, which says why where it is an error."""
        packet = self.ask(command, body, flags)
        if packet.result:
            error = Error.FromString(packet.body)
            assert error.code == packet.result
            assert error.reason
        else:
            answer = BODIES[Command(command)].answer
            assert answer is not None
            answer.FromString(packet.body)
        return Result(packet.result)

    def receive(self) -> Packet:
        """Return the next packet. Raises EOFError where the server has closed."""
        while not self._received:
            received = self._recv()
            if not received:
                raise EOFError
            self._received.extend(self._decoder.feed(received))
        return self._received.pop(0)

    def hear(self) -> ImMsg:
        """Return the next pushed message, ACKed; what else the server tells is passed over."""
        packet = self.receive()
        while packet.command != Command.IM_SEND_MSG:
            packet = self.receive()
        assert packet.flags == 0
        self.socket.sendall(encode(Command.IM_SEND_MSG, packet.trace_id, b"", ACK))
        return ImMsg.FromString(packet.body)

    def await_close(self) -> bytes:
        """Return all that the server still sends, once it has closed."""
        rest = b""
        while received := self._recv():
            rest += received
        return rest

    def close(self) -> None:
        """Close."""
        self.socket.close()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _recv(self) -> bytes:
        try:
            return self.socket.recv(65536)
        except ConnectionError:  # an aborted connection is closed as well
            return b""
