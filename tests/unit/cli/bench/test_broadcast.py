"""Every user has every broadcast once and in order; chat is judged while one is under way."""

from array import array

from twisted.trial.unittest import SynchronousTestCase

from imd.cli.bench.broadcast import Admin, Broadcasts, during
from imd.cli.bench.chat import Quota, Receiver
from imd.cli.bench.ledger import Stream
from imd.cli.bench.load import Connection
from imd.wire.bodies import ImMsg
from imd.wire.commands import Command
from imd.wire.enums import MsgType
from imd.wire.packet import ACK

from .clients import StillLoop, push


class BroadcastsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.loop = StillLoop()
        self.broadcasts = Broadcasts()
        self.users = {uid: Connection(self.loop.as_loop(), uid) for uid in (1, 2)}
        for connection in self.users.values():
            self.broadcasts.follow(connection)
        for number in (1, 2):
            index = self.broadcasts.stream.sent(f"b{number}", 5.0)
            self.broadcasts.stream.acked(index, f"b{number}", number)

    def hear(self, uid: int, *numbers: int) -> None:
        self.users[uid].take(iter([push(number, number, f"b{number}", "system") for number in numbers]))

    def complaints(self) -> list[str]:
        return list(self.broadcasts.complaints())

    def test_all_to_all_in_order_is_beyond_complaint(self) -> None:
        self.hear(1, 1, 2)
        assert not self.broadcasts.settled()
        self.hear(2, 1)
        self.hear(2, 2)
        assert self.broadcasts.settled()
        assert self.complaints() == []
        assert self.broadcasts.heard == 4

    def test_each_is_acked(self) -> None:
        self.hear(1, 1, 2)
        sent = [(packet.command, packet.flags, packet.trace_id) for packet in self.loop.sent(1)]
        assert sent == [(Command.IM_SEND_MSG, ACK, 1), (Command.IM_SEND_MSG, ACK, 2)]

    def test_a_user_who_missed_one_is_found(self) -> None:
        self.hear(1, 1, 2)
        self.hear(2, 1)
        assert self.complaints() == ["the broadcasts: message b2 was ACKed with seq 2 and not delivered to user 2"]

    def test_a_broadcast_that_comes_twice_is_found(self) -> None:
        self.hear(1, 1, 2, 2)
        self.hear(2, 1, 2)
        assert self.complaints() == ["the broadcasts: 1 came once more to a user who had ACKed them"]

    def test_another_order_is_found(self) -> None:
        self.hear(1, 2, 1)
        self.hear(2, 1, 2)
        assert self.complaints() == ["the broadcasts: message b1 was delivered to user 1 after a later one"]

    def test_a_refused_broadcast_is_found_and_waited_for_no_longer(self) -> None:
        index = self.broadcasts.stream.sent("b3", 6.0)
        self.broadcasts.stream.refused(index, "RATE_LIMITED (100 wait)")
        for uid in self.users:
            self.hear(uid, 1, 2)
        assert self.broadcasts.settled()
        assert self.complaints() == ["the broadcasts: message b3 was refused: RATE_LIMITED (100 wait)"]

    def test_a_span_ends_with_the_last_user(self) -> None:
        self.hear(1, 1)
        ((sent, first_end),) = self.broadcasts.spans()
        self.hear(2, 1)
        ((_, end),) = self.broadcasts.spans()
        assert sent == 5.0
        assert end > first_end

    def test_control_messages_of_the_stream_are_no_broadcasts(self) -> None:
        self.users[1].take(iter([push(1, 3, "c", "system", msg_type=MsgType.CONTROL)]))
        assert self.broadcasts.heard == 0
        assert self.broadcasts.stream.deliveries[0].breaches == []

    def test_the_one_who_sends_them_is_an_admin(self) -> None:
        Admin(self.loop.as_loop(), 3, Stream("the broadcasts"), ImMsg(), str, Quota(1), 0)
        assert self.loop.admins == [3]


class ReceiverTests(SynchronousTestCase):
    def test_a_broadcast_is_acked_and_no_part_of_the_chat(self) -> None:
        loop = StillLoop()
        stream = Stream("pair 7")
        stream.sent("m1", 0.0)
        receiver = Receiver(loop.as_loop(), 2, stream, "its receiver", array("d"))
        receiver.take(iter([push(1, 8, "b1", "system"), push(2, 1, "m1")]))
        assert sorted(packet.trace_id for packet in loop.sent(2)) == [1, 2]
        assert stream.deliveries[0].breaches == []
        assert (stream.deliveries[0].count, receiver.newest) == (1, 1)


class DuringTests(SynchronousTestCase):
    SPANS = ((10.0, 12.0), (20.0, 22.0))

    def kept(self, sent: float, latency: float) -> bool:
        return len(during(self.SPANS, [([sent], array("d", [latency]))])) == 1

    def test_a_message_counts_that_was_under_way_in_a_span(self) -> None:
        assert [self.kept(*chat) for chat in ((11.0, 0.1), (9.9, 0.2), (12.0, 5.0), (9.0, 20.0), (21.0, 0.1))] == [
            True
        ] * 5

    def test_a_message_between_the_spans_does_not(self) -> None:
        assert [self.kept(*chat) for chat in ((9.0, 0.5), (12.1, 0.1), (22.1, 3.0))] == [False] * 3

    def test_the_latencies_of_all_chats_are_kept(self) -> None:
        chats = [([11.0, 15.0], array("d", [0.25, 0.5])), ([21.0], array("d", [0.125]))]
        assert list(during(self.SPANS, chats)) == [0.25, 0.125]
