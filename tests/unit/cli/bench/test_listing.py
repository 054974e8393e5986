"""What is listed is held against what there is."""

from twisted.trial.unittest import SynchronousTestCase

from imd.cli.bench.ledger import Stream
from imd.cli.bench.listing import Caller, compare
from imd.wire.bodies import ImGroup, ImMsg, ImMsgAck
from imd.wire.commands import Command
from imd.wire.packet import ACK, Packet

from .clients import StillLoop

UNREAD = {"1_2": 20, "1_3": 21}


def listed(**unread: int) -> list[ImGroup]:
    return [ImGroup(group_id=group_id.strip("g"), unread=count) for group_id, count in unread.items()]


class CompareTests(SynchronousTestCase):
    def test_the_same_conversations_in_any_order_are_beyond_complaint(self) -> None:
        assert compare(listed(g1_3=21, g1_2=20), UNREAD) == []

    def test_a_missing_conversation_is_found(self) -> None:
        assert compare(listed(g1_2=20), UNREAD) == ["1 conversations are not listed, 1_3 among them"]

    def test_a_strange_conversation_is_found(self) -> None:
        groups = listed(g1_2=20, g1_3=21, g1_4=20)
        assert compare(groups, UNREAD) == ["1 conversations are listed that should not be, 1_4 among them"]

    def test_a_conversation_on_two_pages_is_found(self) -> None:
        assert compare(listed(g1_2=20, g1_3=21) + listed(g1_2=20), UNREAD) == ["1 conversations are listed twice"]

    def test_a_wrong_count_is_found(self) -> None:
        assert compare(listed(g1_2=19, g1_3=21), UNREAD) == [
            "1_2 is listed with 19 unread messages, where 20 were expected"
        ]


class CallerTests(SynchronousTestCase):
    def test_it_sends_all_at_once_and_leaves_after_the_last_ack(self) -> None:
        loop = StillLoop()
        open_callers: set[Caller] = set()
        stream = Stream("the chat with 2")
        caller = Caller(loop.as_loop(), 2, stream, 1, 3, open_callers)
        caller.logged_in()
        sent = [(packet.trace_id, ImMsg.FromString(packet.body)) for packet in loop.sent(2)]
        assert [message.receiver_id for _, message in sent] == [1, 1, 1]
        for seq, (trace_id, message) in enumerate(sent, start=1):
            assert open_callers == {caller}
            ack = ImMsgAck(msg_id=message.msg_id, seq_id=seq)
            caller.take(iter([Packet(Command.IM_SEND_MSG, ACK, 0, trace_id, ack.SerializeToString())]))
        assert open_callers == set()
        assert loop.wires[2].is_closed
        assert list(stream.complaints()) == []
