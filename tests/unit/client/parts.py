"""A client whose server is the test: it keeps messages, answers, and fails as it is told."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar

from google.protobuf.message import Message as Body
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from imd.client import Client
from imd.client.settings import DEFAULTS, Settings
from imd.client.values import Connectivity, Kick, Message
from imd.wire.bodies import (
    GetGroupById,
    ImGroup,
    ImMsg,
    ImMsgAck,
    ListGroup,
    PullMsg,
    UserData,
    UserLoginAck,
)
from imd.wire.commands import BODIES, Command
from imd.wire.packet import ACK, Decoder, Packet, encode, encode_error
from imd.wire.results import Result

from .inline import Inline

ME = 7
CHAT = "3_7"
Value = TypeVar("Value")


class Server:
    """What one user sees of a server: conversations, and one connection at a time."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.groups: dict[str, list[ImMsg]] = {}
        self.init_seq: dict[str, int] = {}
        self.receive_seq: dict[str, int] = {}
        self.refused: dict[Command, list[Result]] = {}
        self.silent: set[Command] = set()
        self.closed: set[str] = set()
        self.has_news = True
        self.asked: list[tuple[Command, Any]] = []
        self.acked: list[int] = []
        self.wire: StringTransport | None = None
        self.protocol: Any = None
        self._trace_ids = count(1)
        self._sent_ids: dict[tuple[str, str], ImMsg] = {}

    # The connection.

    @property
    def is_tried(self) -> bool:
        """Whether a client wants to connect."""
        return bool(self.reactor.tcpClients)

    def accept(self) -> None:
        """Let it."""
        factory = self.reactor.tcpClients.pop()[2]
        self.protocol = factory.buildProtocol(None)
        self.wire = StringTransport()
        self.protocol.makeConnection(self.wire)

    def refuse_connection(self) -> None:
        self.reactor.tcpClients.pop()[2].clientConnectionFailed(None, Failure(ConnectionRefusedError()))

    def lose(self) -> None:
        """Let the connection end."""
        protocol, self.protocol = self.protocol, None
        protocol.connectionLost(Failure(ConnectionDone()))

    def run(self) -> None:
        """Accept, answer what is asked, and let what is due at once happen, until nothing more does."""
        while True:
            self.reactor.advance(0)
            if self.is_tried:
                self.accept()
            packets = self._packets()
            if not packets:
                return
            for packet in packets:
                self._take(packet)

    def wait(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass, and answer meanwhile."""
        while seconds > 0:
            self.reactor.advance(min(step, seconds))
            seconds -= step
            self.run()

    # What it has to tell.

    def say(self, group_id: str = CHAT, number: int = 1, *, sender: int = 3, push: bool = True, **fields: Any) -> None:
        """Store messages, and push them."""
        for _ in range(number):
            message = self.store(group_id, sender, **fields)
            if push:
                self.push(message)

    def store(self, group_id: str, sender: int, **fields: Any) -> ImMsg:
        stored = self.groups.setdefault(group_id, [])
        seq_id = len(stored) + 1
        message = ImMsg(
            **{
                "msg_id": f"{group_id}-{seq_id}",
                "msg_type": 1,
                "msg_body": f"text {seq_id}",
                "group_type": 1 if "_" in group_id else 2,
                "status": 0 if sender == ME else -4,
                "send_time": 1000 + seq_id,
                **fields,
            }
        )
        message.group_id, message.seq_id, message.sender_id = group_id, seq_id, sender
        stored.append(message)
        return message

    def push(self, message: ImMsg, trace_id: int = 0) -> int:
        trace_id = trace_id or next(self._trace_ids)
        self.send(Command.IM_SEND_MSG, message, trace_id)
        return trace_id

    def send(self, command: Command, body: Body, trace_id: int = 0) -> None:
        if self.protocol is not None:
            self.protocol.dataReceived(encode(command, trace_id, body.SerializeToString()))

    def view(self, group_id: str) -> ImGroup:
        """Return how a conversation is told."""
        stored = self.groups[group_id]
        view = ImGroup(
            group_id=group_id,
            group_type=1 if "_" in group_id else 2,
            max_seq=len(stored),
            init_seq=self.init_seq.get(group_id, 0),
            receive_seq=self.receive_seq.get(group_id, 0),
            role=0 if "_" in group_id else 3,
        )
        if stored:
            view.last_message.CopyFrom(stored[-1])
        return view

    def bodies(self, command: Command) -> list[Any]:
        """Return what was asked by a command, and forget it."""
        found = [body for asked, body in self.asked if asked == command]
        self.asked = [(asked, body) for asked, body in self.asked if asked != command]
        return found

    # How it answers.

    def _packets(self) -> list[Packet]:
        if self.wire is None or self.protocol is None:
            return []
        packets = list(Decoder().feed(self.wire.value()))
        self.wire.clear()
        return packets

    def _take(self, packet: Packet) -> None:
        command = Command(packet.command)
        if packet.flags & ACK:
            self.acked.append(packet.trace_id)
            return
        kind, answer = BODIES[command].request, BODIES[command].answer
        assert kind is not None
        body = kind.FromString(packet.body)
        if command != Command.HEARTBEAT:
            self.asked.append((command, body))
        if answer is None or command in self.silent or self.protocol is None:
            return
        result = self.refused[command].pop(0) if self.refused.get(command) else Result.OK
        if command == Command.IM_OFFLINE_MSG and body.group_id in self.closed:
            result = Result.NOT_IN_GROUP
        if result:
            self.protocol.dataReceived(encode_error(command, packet.trace_id, result, f"{result.name} it is"))
            return
        told = self._answer(command, body) or answer()
        self.protocol.dataReceived(encode(command, packet.trace_id, told.SerializeToString(), ACK))

    def _answer(self, command: Command, body: Any) -> Body | None:
        match command:
            case Command.USER_LOGIN:
                return UserLoginAck(heartbeat_seconds=5, idle_seconds=15)
            case Command.LIST_GROUP:
                assert isinstance(body, ListGroup)
                changed = self.groups if self.has_news or not body.since else {}
                return UserData(groups=map(self.view, changed), server_time=77)
            case Command.GROUP_BY_ID:
                assert isinstance(body, GetGroupById)
                return UserData(groups=[self.view(name) for name in body.group_ids if name in self.groups])
            case Command.IM_OFFLINE_MSG:
                return self._pull(body)
            case Command.IM_SEND_MSG:
                return self._store_sent(body)
        return None

    def _pull(self, pull: PullMsg) -> UserData:
        after = max(pull.receive_seq_id, self.init_seq.get(pull.group_id, 0))
        before = pull.before_seq_id or 1 << 62
        found = [each for each in self.groups.get(pull.group_id, []) if after < each.seq_id < before]
        size = pull.page_size or 20
        return UserData(messages=found[-size:], has_more=len(found) > size)

    def _store_sent(self, sent: ImMsg) -> ImMsgAck:
        key = sent.group_id, sent.msg_id
        if key not in self._sent_ids:
            self._sent_ids[key] = self.store(
                sent.group_id, ME, msg_id=sent.msg_id, msg_type=sent.msg_type, msg_body=sent.msg_body
            )
        stored = self._sent_ids[key]
        return ImMsgAck(msg_id=sent.msg_id, group_id=sent.group_id, seq_id=stored.seq_id, send_time=stored.send_time)


class ClientTestCase(SynchronousTestCase):
    """The user 7, whose client opens when the test asks for it."""

    settings: Settings = replace(DEFAULTS, jitter=0.0, catch_up=None)

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.server = Server(self.reactor)
        self.shown: list[Message] = []
        self.statuses: list[Message] = []
        self.states: list[Connectivity] = []
        self.kicks: list[Kick] = []
        self.tokens = count(1)
        self.noises = count(1)
        self.client = self.make()

    def make(self, store: str | None = None, **changes: Any) -> Client:
        """Return a client, not started."""
        arguments: dict[str, Any] = {"token": lambda: f"token {next(self.tokens)}", "settings": self.settings} | changes
        client = Client(
            "tcp:127.0.0.1:7650",
            ME,
            store=store,
            reactor=self.reactor,
            now=self.reactor.seconds,
            noise=lambda size: next(self.noises).to_bytes(size),
            batching=Inline,
            **arguments,
        )
        client.on_message(self.shown.append)
        client.on_status(self.statuses.append)
        client.on_connection(self.states.append)
        client.on_kicked(self.kicks.append)
        return client

    def start(self) -> None:
        """Come online, and do what comes with that."""
        started = self.client.start()
        self.server.run()
        self.successResultOf(started)

    def come_back(self) -> None:
        """Lose the connection and get the next one."""
        self.server.lose()
        self.server.wait(self.settings.reconnect_seconds)

    def stop(self) -> None:
        """End this process of the application."""
        stopped = self.client.stop()
        if self.server.protocol is not None:
            self.server.run()
            self.server.lose()
        self.successResultOf(stopped)

    def result(self, asked: "Deferred[Value]") -> Value:
        """Return what a call gives, once the server has answered."""
        self.server.run()
        return self.successResultOf(asked)

    def error(self, asked: "Deferred[Any]", kind: type[Exception]) -> Exception:
        """Return what a call fails with."""
        self.server.run()
        error = self.failureResultOf(asked, kind).value
        assert isinstance(error, Exception)
        return error

    def send(self, text: str = "hello", *, to: int = 3, group_id: str = "") -> Message:
        """Queue a text, which fires at once, and don't let the server answer yet."""
        sent = self.client.send_text(text=text, to=0 if group_id else to, group_id=group_id)
        return self.successResultOf(sent)

    def seqs(self, messages: Iterable[Message] | None = None) -> list[int]:
        return [message.seq_id for message in (self.shown if messages is None else messages)]

    def hold_store(self) -> list[Any]:
        """Let the store be slow: what is received waits in the list that is returned, until ``release``."""
        held: list[Any] = []
        self.client._engine.store.put = lambda intake, item: held.append((intake, item))  # type: ignore[method-assign]
        return held

    def release(self, held: list[Any]) -> None:
        store = self.client._engine.store
        del store.put
        for intake, item in held:
            store.put(intake, item)

    def rows(self, statement: str, *parameters: Any) -> list[Any]:
        """Return rows of the open store."""
        return self.database(lambda database: database.run(statement, *parameters))

    def database(self, run: Callable[[Any], Value]) -> Value:
        return self.successResultOf(self.client._engine.store.call(run))
