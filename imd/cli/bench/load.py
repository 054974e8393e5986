"""The load's side of the wire: non-blocking sockets under one epoll, and no reactor, so that it costs little."""

import heapq
import random
import select
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from time import monotonic, time
from typing import TypeVar

from imd.cli.bench.wire import LoadError, Wire
from imd.sso.jwt import issue
from imd.wire.bodies import CloseChannel, Error, ImMsg, KickNotice, UserLogin
from imd.wire.commands import Command
from imd.wire.packet import ACK, Decoder, Packet, encode
from imd.wire.results import Result

HEARTBEAT_SECONDS = 5.0
LOGIN_WINDOW = 32
"""Logins under way at once: fewer than a listening socket holds by default."""
_Awaited = TypeVar("_Awaited")
_TURN_SECONDS = 0.05
_CONNECT_SECONDS = 10.0
_LOGIN_SECONDS = 10.0
_SHORT = 0.01
"""Seconds: shorter waits go through select, which counts in microseconds; epoll counts in milliseconds."""
_PORTS_PER_SOURCE = 20_000
_TOKEN_SECONDS = 3600
_LINUX_CLIENT_TYPE = 23
_IP_BIND_ADDRESS_NO_PORT = 24
_HEARTBEAT = encode(Command.HEARTBEAT, 0)
_PUSH_ACK = encode(Command.IM_SEND_MSG, 0, b"", ACK)
_BEFORE_TRACE = _PUSH_ACK[:8]
_AFTER_TRACE = _PUSH_ACK[12:]


@dataclass(frozen=True, slots=True)
class Node:
    """A daemon: its address and its process."""

    host: str
    port: int
    pid: int


@dataclass(frozen=True, slots=True)
class Target:
    """The daemon under load: its address, its process, the secret of its tokens.

    The uids from ``first_uid`` on are the work's own; ``seed`` begins its chance. ``others`` are further nodes, and
    ``beside`` the processes of what all nodes share, by their names: they are measured too. ``api_port`` is 0 where the
    work needs no HTTP API.
    """

    host: str
    port: int
    pid: int
    secret: bytes
    first_uid: int
    seed: int
    others: tuple[Node, ...] = ()
    beside: tuple[tuple[str, int], ...] = ()
    api_host: str = ""
    api_port: int = 0
    api_key: str = ""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All daemons: the user ``uid`` is on the one with the number ``uid`` modulo how many they are."""
        return (Node(self.host, self.port, self.pid), *self.others)


class Connection(Wire):
    """One client: logs in, then hands each packet that comes to ``take``.

    ``on_push`` gets each pushed message that is not of the work itself, once it is ACKed.
    """

    __slots__ = ("_decoder", "heartbeats_due", "loop", "on_push", "online", "uid")

    is_admin = False
    """Whether it logs in with an admin's token."""

    def __init__(self, loop: "Loop", uid: int) -> None:
        super().__init__(loop)
        self.loop = loop
        self.uid = uid
        self.online = False
        self.heartbeats_due = 0
        self.on_push: Callable[[ImMsg], None] | None = None
        self._decoder = Decoder()
        self._socket = loop.open(self)
        token = loop.token(uid, self.is_admin)
        login = UserLogin(uid=uid, token=token, device_id="bench", client_type=_LINUX_CLIENT_TYPE)
        self.send(encode(Command.USER_LOGIN, 0, login.SerializeToString()))

    def take(self, packets: Iterator[Packet]) -> None:
        """Take the packets that one read brought; overridden by what does the work."""
        for packet in packets:
            self.other(packet)

    def logged_in(self) -> None:
        """Learn that the login was accepted."""

    def other(self, packet: Packet) -> None:
        """Take a packet that is not of the work itself. Raises LoadError where the server ends the session."""
        if packet.command == Command.HEARTBEAT:
            self.heartbeats_due -= 1
            self.loop.heartbeats_answered += 1
        elif packet.command == Command.IM_SEND_MSG and not packet.flags & ACK:
            self.send(push_ack(packet.trace_id))
            if self.on_push is not None:
                self.on_push(ImMsg.FromString(packet.body))
        elif packet.command == Command.USER_KICK:
            raise LoadError(f"The server kicked {self.uid}: {KickNotice.FromString(packet.body).message}")
        elif packet.command == Command.CLOSE_CHANNEL:
            raise LoadError(f"The server closes: {CloseChannel.FromString(packet.body).reason}")

    def heartbeat(self) -> None:
        """Send a heartbeat; ``heartbeats_due`` counts those without an answer yet."""
        self.heartbeats_due += 1
        self.send(_HEARTBEAT)

    def close(self) -> None:
        """Close the connection at once."""
        self.online = False
        super().close()

    @property
    def whose(self) -> str:
        """The user."""
        return str(self.uid)

    def received(self, chunk: bytes) -> None:
        """Take the packets of one read."""
        packets = self._decoder.feed(chunk)
        if not self.online:
            self._finish_login(next(packets, None))
        self.take(packets)

    def _finish_login(self, packet: Packet | None) -> None:
        if packet is None:
            return
        if packet.result:
            raise LoadError(f"The login of {self.uid} was refused: {complaint(packet)}")
        self.online = True
        self.loop.logged_in(self)
        self.logged_in()


class Loop:
    """Drives the connections to the nodes of ``target``, their logins and their heartbeats.

    As a context it closes them at the end. ``rng`` is the load's only source of chance.
    """

    def __init__(self, target: Target) -> None:
        self.rng = random.Random(target.seed)  # noqa: S311 - a load is no secret
        self.heartbeats_sent = 0
        self.heartbeats_answered = 0
        self.logins_pending = 0
        self._secret = target.secret
        self._nodes = target.nodes
        self._epoll = select.epoll()
        self._watched: dict[int, Wire] = {}
        self._opened = 0
        self._is_beating = True
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_numbers = count()

    def __enter__(self) -> "Loop":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def log_in(self, connections: Iterable[Connection]) -> None:
        """Log in ``connections``, which are made as they are drawn. Raises LoadError."""
        for _ in connections:
            if self.logins_pending >= LOGIN_WINDOW:
                self._await_logins(LOGIN_WINDOW - 1)
        self._await_logins(0)

    def stop_heartbeats(self, seconds: float) -> None:
        """Send no more heartbeats, and wait up to ``seconds`` for the answers to those sent."""
        self._is_beating = False
        self.wait_for(lambda: self.heartbeats_answered == self.heartbeats_sent, seconds)

    def at(self, due: float, call: Callable[[], None]) -> None:
        """Let a turn make ``call`` as soon as ``due`` has come, in seconds of the monotonic clock."""
        heapq.heappush(self._timers, (due, next(self._timer_numbers), call))

    def turn(self, timeout: float) -> None:
        """Wait up to ``timeout`` seconds for anything to read or to do, and let it be done. Raises LoadError."""
        now = monotonic()
        timers = self._timers
        if timers and timers[0][0] - now < timeout:
            timeout = max(timers[0][0] - now, 0.0)
        if 0 < timeout < _SHORT:
            select.select([self._epoll], [], [], timeout)
            timeout = 0.0
        events = self._epoll.poll(timeout)
        connections = self._watched
        for fileno, event in events:
            connection = connections.get(fileno)
            if connection is not None:
                connection.ready(event)
        while timers and timers[0][0] <= now:
            heapq.heappop(timers)[2]()

    def wait(self, seconds: float, passed: Callable[[float], None] = lambda _seconds: None) -> None:
        """Turn for ``seconds``, and tell ``passed`` how many of them are over."""
        start = monotonic()
        while (over := monotonic() - start) < seconds:
            passed(over)
            self.turn(min(_TURN_SECONDS, seconds - over))

    def wait_for(self, condition: Callable[[], _Awaited], seconds: float) -> _Awaited:
        """Turn until ``condition`` returns anything true or ``seconds`` are over; return what it returned last."""
        end = monotonic() + seconds
        while not (found := condition()) and monotonic() < end:
            self.turn(_TURN_SECONDS)
        return found

    def wait_while_rising(self, number: Callable[[], int], settled: Callable[[], bool], seconds: float) -> None:
        """Turn until all is ``settled``, or ``number`` has stayed the same for ``seconds``."""
        known, changed = number(), monotonic()
        while not settled() and monotonic() < changed + seconds:
            self.turn(_TURN_SECONDS)
            if (now_known := number()) != known:
                known, changed = now_known, monotonic()

    def token(self, uid: int, is_admin: bool) -> str:
        """Return a login token for ``uid``."""
        return issue(self._secret, uid, time(), _TOKEN_SECONDS, is_admin=is_admin)

    def open(self, connection: Connection) -> socket.socket:
        """Connect a socket for ``connection`` to its user's node, and watch it."""
        node = self._nodes[connection.uid % len(self._nodes)]
        opened = socket.socket(socket.AF_INET6 if ":" in node.host else socket.AF_INET, socket.SOCK_STREAM)
        try:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.settimeout(_CONNECT_SECONDS)
            if node.host == "127.0.0.1":
                # Each source address has its own ports: one has too few for many connections.
                opened.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                opened.bind((f"127.0.0.{1 + self._opened // _PORTS_PER_SOURCE % 250}", 0))
            opened.connect((node.host, node.port))
            opened.setblocking(False)
        except OSError as error:
            opened.close()
            raise LoadError(f"{node.host}:{node.port} can't be connected to: {error}") from error
        self._opened += 1
        self.logins_pending += 1
        self.watch(connection, opened.fileno())
        return opened

    def watch(self, wire: Wire, fileno: int) -> None:
        """Drive what is no client, too, by its file."""
        self._watched[fileno] = wire
        self._epoll.register(fileno, select.EPOLLIN)

    def await_events(self, fileno: int, events: int) -> None:
        """Watch for ``events`` of epoll from now on."""
        self._epoll.modify(fileno, events)

    def logged_in(self, connection: Connection) -> None:
        """Learn that a login is done: the connection has heartbeats from now on."""
        self.logins_pending -= 1
        self._beat_at(monotonic() + self.rng.random() * HEARTBEAT_SECONDS, connection)

    def forget(self, wire: Wire, fileno: int) -> None:
        """Watch a connection no longer."""
        if self._watched.pop(fileno, None) is wire:
            self._epoll.unregister(fileno)

    def close(self) -> None:
        """Close every connection."""
        for connection in list(self._watched.values()):
            connection.close()
        self._epoll.close()

    def _await_logins(self, at_most: int) -> None:
        if not self.wait_for(lambda: self.logins_pending <= at_most, _LOGIN_SECONDS):
            raise LoadError(f"{self.logins_pending} logins were not answered in {_LOGIN_SECONDS:g} seconds.")

    def _beat_at(self, due: float, connection: Connection) -> None:
        self.at(due, partial(self._beat, due, connection))

    def _beat(self, due: float, connection: Connection) -> None:
        if connection.online and self._is_beating:
            self.heartbeats_sent += 1
            connection.heartbeat()
            self._beat_at(due + HEARTBEAT_SECONDS, connection)


def push_ack(trace_id: int) -> bytes:
    """Return the packet that ACKs a push."""
    return _BEFORE_TRACE + trace_id.to_bytes(4) + _AFTER_TRACE


def complaint(packet: Packet) -> str:
    """Return why an ACK refuses, as ``RATE_LIMITED (the reason it gives)``."""
    try:
        name = Result(packet.result).name
    except ValueError:
        name = f"result {packet.result}"
    return f"{name} ({Error.FromString(packet.body).reason})"
