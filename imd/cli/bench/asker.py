"""A client that asks and waits for the answer, for what is not measured by the packet."""

from collections.abc import Iterator
from typing import TypeVar

from google.protobuf.message import Message

from imd.cli.bench.load import Connection, Loop, complaint
from imd.cli.bench.wire import LoadError
from imd.wire.bodies import GroupCreate, ImMsg, ImMsgAck, MsgAck, PullMsg, UserData
from imd.wire.commands import Command
from imd.wire.packet import ACK, Packet, encode

_ANSWER_SECONDS = 10.0
_Answer = TypeVar("_Answer", bound=Message)


class Asker(Connection):
    """Asks one thing at a time; what is pushed meanwhile is ACKed."""

    __slots__ = ("_answer", "_trace_id")

    def __init__(self, loop: Loop, uid: int) -> None:
        self._trace_id = 0
        self._answer: Packet | None = None
        super().__init__(loop, uid)

    def ask(self, command: Command, request: Message, answer: type[_Answer], ahead: bytes = b"") -> _Answer:
        """Return the answer to ``request``; ``ahead`` are whole packets that go before it in the same write.

        Raises LoadError where it is refused or doesn't come in 10 s.
        """
        self._trace_id += 1
        self._answer = None
        self.send(ahead + encode(command, self._trace_id, request.SerializeToString()))
        packet = self.loop.wait_for(lambda: self._answer, _ANSWER_SECONDS)
        if packet is None:
            raise LoadError(f"{command.name} of {self.uid} was not answered in {_ANSWER_SECONDS:g} seconds.")
        if packet.result:
            raise LoadError(f"{command.name} of {self.uid} was refused: {complaint(packet)}")
        return answer.FromString(packet.body)

    def take(self, packets: Iterator[Packet]) -> None:
        """Keep the awaited answer."""
        for packet in packets:
            if packet.trace_id == self._trace_id and packet.flags & ACK:
                self._answer = packet
            else:
                self.other(packet)


def create_group(loop: Loop, owner: int, members: list[int]) -> str:
    """Let ``owner`` make a group with ``members``, and return its id; the owner logs in for it and leaves again."""
    asker = Asker(loop, owner)
    loop.log_in([asker])
    answer = asker.ask(Command.GROUP_CREATE, GroupCreate(group_name="bench", member_ids=members), UserData)
    asker.close()
    return answer.groups[0].group_id


def pull_all(client: Asker, group_id: str, page_size: int) -> list[ImMsg]:
    """Pull the whole of a conversation from the newest page to the oldest, ACK each page; return it oldest first."""
    pages: list[UserData] = []
    before, has_more, ack = 0, True, b""
    while has_more:
        request = PullMsg(group_id=group_id, before_seq_id=before, page_size=page_size)
        page = client.ask(Command.IM_OFFLINE_MSG, request, UserData, ahead=ack)
        if not page.messages:
            break
        pages.append(page)
        before, has_more = page.messages[0].seq_id, page.has_more
        held = MsgAck(acks=[ImMsgAck(group_id=group_id, seq_id=page.messages[-1].seq_id)])
        ack = encode(Command.IM_MSG_ACK, 0, held.SerializeToString())
    client.send(ack)
    return [message for page in reversed(pages) for message in page.messages]
