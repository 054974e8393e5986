"""A chat whose daemon is the test, packet by packet."""

from collections.abc import Sequence
from datetime import UTC
from itertools import count
from typing import Any

from google.protobuf.message import Message
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IProtocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from imd.cli.chat.program import Chat
from imd.wire.bodies import GetGroupById, ImGroup, ImMsg, ImMsgAck, NoticeMsg, PullMsg, UserData, UserLoginAck
from imd.wire.commands import BODIES, Command
from imd.wire.packet import ACK, Decoder, Packet, encode, encode_error
from imd.wire.results import Result

from ...client.inline import Inline

REFUSED = Failure(ConnectionRefusedError())


class ChatTestCase(SynchronousTestCase):
    """The user 7, who talks with 3."""

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.noises = count(1)
        self.known: set[str] = set()
        self.tokens = iter(f"token {n}" for n in range(1, 100))
        self.make()

    def make(self, store: str | None = None) -> None:
        """Open a chat."""
        self.reactor.tcpClients.clear()
        self.chat = Chat(
            self.reactor,
            7,
            lambda: next(self.tokens),
            "tcp:127.0.0.1:7650",
            "3_7",
            self.reactor.seconds,
            self.noise,
            UTC,
            store=store,
            batching=Inline,
        )
        self.screen = StringTransport()
        self.chat.terminal.makeConnection(self.screen)
        self.run_ = Deferred.fromCoroutine(self.chat.run())

    def noise(self, size: int) -> bytes:
        """Return bytes that no id had before."""
        return next(self.noises).to_bytes(size)

    def wait(self, seconds: float) -> None:
        """Let time pass in which the daemon answers heartbeats."""
        while seconds > 0:
            self.reactor.advance(min(seconds, 5))
            seconds -= 5
            self.client.dataReceived(encode(Command.HEARTBEAT, 1 << 31, b"", ACK))

    def shown(self) -> list[str]:
        """Return the lines shown since this was asked last."""
        lines = self.screen.value().decode().splitlines()
        self.screen.clear()
        return lines

    def type(self, *lines: str) -> None:
        self.chat.terminal.dataReceived("".join(f"{line}\n" for line in lines).encode())

    def end_input(self) -> None:
        self.chat.terminal.readConnectionLost()

    # The daemon's side.

    def accept(self) -> None:
        """Let the chat connect."""
        factory = self.reactor.tcpClients.pop()[2]
        self.client: IProtocol = factory.buildProtocol(None)
        self.wire = StringTransport()
        self.client.makeConnection(self.wire)
        self.unanswered: list[Packet] = []

    def refuse_connection(self) -> None:
        self.reactor.tcpClients.pop()[2].clientConnectionFailed(None, REFUSED)

    def lose(self) -> None:
        self.client.connectionLost(Failure(ConnectionDone()))

    def asked(self) -> list[Packet]:
        """Return what the chat sent and nobody took yet, but for heartbeats."""
        packets = [*self.unanswered, *Decoder().feed(self.wire.value())]
        self.wire.clear()
        self.unanswered = []
        return [packet for packet in packets if packet.command != Command.HEARTBEAT]

    def request(self, command: Command) -> tuple[Packet, Any]:
        """Return the first packet of this command that the chat sent, and its body."""
        packets = self.asked()
        packet = next((packet for packet in packets if packet.command == command), None)
        assert packet is not None, packets
        packets.remove(packet)
        self.unanswered = packets
        kind = BODIES[command].request
        assert kind is not None
        return packet, kind.FromString(packet.body)

    def answer(self, command: Command, answer: Message | None = None) -> Any:
        """Take the request, answer it, and return it."""
        packet, request = self.request(command)
        body = b"" if answer is None else answer.SerializeToString()
        self.client.dataReceived(encode(command, packet.trace_id, body, ACK))
        return request

    def refuse(self, command: Command, result: Result, reason: str) -> Any:
        """Take the request, refuse it, and return it."""
        packet, request = self.request(command)
        self.client.dataReceived(encode_error(command, packet.trace_id, result, reason))
        return request

    def send(self, command: Command, body: Message, trace_id: int = 50) -> None:
        self.client.dataReceived(encode(command, trace_id, body.SerializeToString()))

    def come_online(
        self,
        history: Sequence[ImMsg] = (),
        has_more: bool = False,
        group: ImGroup | None = None,
        notices: Sequence[NoticeMsg] = (),
    ) -> list[PullMsg]:
        """Let the chat log in, give it the history, and return what it asked for of it."""
        self.accept()
        self.answer(Command.USER_LOGIN, UserLoginAck(heartbeat_seconds=5, idle_seconds=15))
        return self.catch_up(history, has_more, group, notices)

    def catch_up(
        self,
        history: Sequence[ImMsg] = (),
        has_more: bool = False,
        group: ImGroup | None = None,
        notices: Sequence[NoticeMsg] = (),
    ) -> list[PullMsg]:
        """Give the chat what it asks for after a login, and return what it asked for of the history."""
        view = _view(history, has_more, group)
        self.answer(Command.LIST_GROUP, UserData(groups=view, server_time=1))
        self.answer(Command.OFFLINE_NOTICE_MSG, UserData(notices=notices))
        return self.show(history, has_more, group)

    def show(
        self, history: Sequence[ImMsg] = (), has_more: bool = False, group: ImGroup | None = None
    ) -> list[PullMsg]:
        """Give the chat what it asks for of a conversation that it shows, and return what that is."""
        pulls: list[PullMsg] = []
        self.known.update(each.group_id for each in _view(history, has_more, group) if each.max_seq)
        while packet := self._question():
            if packet.command == Command.IM_OFFLINE_MSG:
                pull = PullMsg.FromString(packet.body)
                pulls.append(pull)
                end = pull.before_seq_id or 1 << 62
                page = [each for each in history if pull.receive_seq_id < each.seq_id < end]
                told = UserData(messages=page[-(pull.page_size or 20) :])
            else:
                asked = GetGroupById.FromString(packet.body).group_ids
                told = UserData(groups=[each for each in _view(history, has_more, group) if each.group_id in asked])
            self.client.dataReceived(encode(packet.command, packet.trace_id, told.SerializeToString(), ACK))
        return pulls

    def _question(self) -> Packet | None:
        packets = self.asked()
        kinds = (Command.GROUP_BY_ID, Command.IM_OFFLINE_MSG)
        packet = next((packet for packet in packets if packet.command in kinds), None)
        if packet is not None:
            packets.remove(packet)
        self.unanswered = packets
        return packet

    def open_group(self, *history: ImMsg, **fields: Any) -> None:
        """Go to the group g1, and take what the chat says of it."""
        self.type("/open g1")
        self.show(history, group=ImGroup(**{"group_id": "g1", "group_type": 2, "group_name": "Team", **fields}))
        self.shown()
        self.asked()

    def write(self, text: str, seq: int, group_id: str = "3_7") -> str:
        """Let the user send a message, which is stored as ``seq``, and return its id."""
        self.type(text)
        packet, message = self.request(Command.IM_SEND_MSG)
        ack = ImMsgAck(msg_id=message.msg_id, group_id=group_id, seq_id=seq)
        self.client.dataReceived(encode(Command.IM_SEND_MSG, packet.trace_id, ack.SerializeToString(), ACK))
        self._introduce(group_id, seq)
        assert self.shown() == [f"✓ {seq}"]
        return str(message.msg_id)

    def push(self, *messages: ImMsg) -> None:
        """Let messages come; of a conversation that the chat didn't know, the history begins with them."""
        for pushed in messages:
            self.send(Command.IM_SEND_MSG, pushed)
            self._introduce(pushed.group_id, pushed.seq_id)

    def _introduce(self, group_id: str, seq: int) -> None:
        if group_id not in self.known and any(packet.command == Command.GROUP_BY_ID for packet in self.peek()):
            self.answer(
                Command.GROUP_BY_ID,
                UserData(groups=[ImGroup(group_id=group_id, group_type=1, init_seq=seq - 1, max_seq=seq)]),
            )
        self.known.add(group_id)

    def peek(self) -> list[Packet]:
        """Return what the chat sent and nobody took yet, and leave it."""
        self.unanswered = self.asked()
        return self.unanswered


def _view(history: Sequence[ImMsg], has_more: bool, group: ImGroup | None) -> list[ImGroup]:
    """Return how the conversation of ``history`` stands, of which everything has reached the user before."""
    if not history and group is None:
        return []
    view = ImGroup()
    if group is not None:
        view.CopyFrom(group)
    if history:
        view.group_id = history[0].group_id
        view.max_seq = view.receive_seq = history[-1].seq_id
        view.init_seq = 0 if has_more else history[0].seq_id - 1
    return [view]


def message(seq: int, sender: int = 3, group_id: str = "3_7", **fields: Any) -> ImMsg:
    return ImMsg(
        **{
            "msg_id": f"id {seq}",
            "msg_type": 1,
            "msg_body": f"text {seq}",
            "sender_id": sender,
            "group_id": group_id,
            "seq_id": seq,
            **fields,
        }
    )


def control(seq: int, body: str, by: int = 1, group_id: str = "g1") -> ImMsg:
    return message(seq, by, group_id, msg_type=100, msg_body=body)
