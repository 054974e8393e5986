"""Receivers' ACKs and read marks: who is told of them, and how often."""

from typing import Any

from imd.errors import UnavailableError
from imd.logic.receipts import MAX_TOLD
from imd.ports.messages import Span, Watermark
from imd.wire.commands import Command
from imd.wire.results import Result

from .test_receipts import DESKTOP, MAX_MEMBERS, ReceiptsTestCase


class OtherDevices(ReceiptsTestCase):
    """ISSUE_READ_SEQ."""

    def setUp(self) -> None:
        super().setUp()
        self.desktop = self.login(1, DESKTOP)
        self.friend = self.login(2)

    def test_the_others_learn_how_far_the_user_has_read_and_the_one_that_said_so_does_not(self) -> None:
        self.rises("1_2", 5, read_seq=5)
        self.read("1_2", 5)
        self.tick()
        assert self.marks(self.desktop) == [("1_2", 5)]
        assert self.marks(self.me) == []
        assert self.marks(self.friend) == []

    def test_a_device_that_said_less_than_what_came_out_learns_it(self) -> None:
        self.rises("g", 9, read_seq=9)
        self.read("g", 5)
        self.read("g", 9, self.desktop)
        self.tick()
        assert self.marks(self.me) == [("g", 9)]
        assert self.marks(self.desktop) == []

    def test_a_device_that_said_more_than_there_is_need_not_learn_it(self) -> None:
        self.rises("g", 9, read_seq=9)
        self.read("g", 3, trace_id=1)
        self.read("g", 1000, trace_id=2)
        self.tick()
        assert self.marks(self.me) == []
        assert self.marks(self.desktop) == [("g", 9)]

    def test_what_a_device_said_of_one_group_says_nothing_of_another(self) -> None:
        self.rises("g", 5, read_seq=5)
        self.read("g", 5, self.desktop)
        self.read("h", 50)
        self.tick()
        assert self.marks(self.me) == [("g", 5)]

    def test_a_mark_that_did_not_rise_is_no_news(self) -> None:
        self.rises("g", 9, read_seq=5, read_from=5)
        self.read("g", 5)
        self.ack_each(9)
        self.tick()
        assert self.marks(self.desktop) == []

    def test_the_broadcast_stream_is_read_as_any_other(self) -> None:
        self.rises("system", 9, read_seq=9)
        self.read("system", 9)
        self.tick()
        assert self.marks(self.desktop) == [("system", 9)]

    def test_a_tick_is_one_write_a_connection(self) -> None:
        self.rises("g", 5, read_seq=5)
        self.rises("h", 6, read_seq=6)
        seen: list[int] = []
        self.patch(self.channels[self.desktop], "flush", lambda: seen.append(len(self.channels[self.desktop]._queued)))
        self.read("g", 5)
        self.read("h", 6)
        self.tick()
        assert seen == [2]
        assert not self.outbox.is_held


class SingleChats(ReceiptsTestCase):
    """ISSUE_RECEIPT to the peer."""

    def test_every_device_of_the_peer_learns_what_has_reached_me_and_what_i_have_read(self) -> None:
        devices = [self.login(2), self.login(2, DESKTOP)]
        other = self.login(3)
        self.rises("1_2", 7, read_seq=5, read_from=3)
        self.ack_each(7, group_id="1_2", sender=2)
        self.read("1_2", 5)
        self.tick()
        for session in devices:
            assert self.told(session) == [("1_2", 1, 7, 5)]
        assert self.told(other) == []
        assert self.told(self.me) == []

    def test_however_many_acks_a_tick_is_one_receipt(self) -> None:
        peer = self.login(2)
        self.rises("1_2", 9)
        self.ack_each(*range(1, 10), group_id="1_2", sender=2)
        self.pulled(("1_2", 9))
        self.tick()
        assert self.told(peer) == [("1_2", 1, 9, 0)]

    def test_what_did_not_rise_is_no_news(self) -> None:
        peer = self.login(2)
        self.ack_each(9, group_id="1_2", sender=2)
        self.read("1_2", 9)
        self.tick()
        assert self.told(peer) == []

    def test_nobody_is_told_of_a_chat_with_oneself(self) -> None:
        desktop = self.login(1, DESKTOP)
        self.rises("1_1", 5, read_seq=5)
        self.read("1_1", 5)
        self.tick()
        assert self.told(self.me) == []
        assert [packet.command for packet in self.sent(desktop)] == [Command.ISSUE_READ_SEQ]

    def test_the_store_need_not_be_asked_who_sent_what(self) -> None:
        self.rises("1_2", 9, read_seq=9)
        self.pulled(("1_2", 9))
        self.read("1_2", 9)
        self.tick()
        assert self.store.spans == []


class InGroups(ReceiptsTestCase):
    """ISSUE_RECEIPT to the senders."""

    def setUp(self) -> None:
        super().setUp()
        self.ann, self.ben, self.eve = self.login(2), self.login(3), self.login(4)
        self.store.spoken["g"] = [2, 3, 4, 2, 3]

    def everybody(self) -> list[list[tuple[str, int, int, int]]]:
        return [self.told(session) for session in (self.ann, self.ben, self.eve)]

    def test_the_senders_of_the_pushes_that_are_acked_learn_it(self) -> None:
        traces = self.push(4, sender=2) + self.push(5, sender=3)
        self.rises("g", 5)
        self.receipts.pushed(self.me, traces[-1])
        self.tick()
        assert self.everybody() == [[("g", 1, 5, 0)], [("g", 1, 5, 0)], []]
        assert self.store.spans == []

    def test_a_receipt_reaches_every_device_of_a_sender(self) -> None:
        desktop = self.login(2, DESKTOP)
        self.rises("g", 4)
        self.ack_each(4, sender=2)
        self.tick()
        assert self.told(desktop) == self.told(self.ann) == [("g", 1, 4, 0)]

    def test_however_many_acks_a_tick_is_one_receipt(self) -> None:
        self.rises("g", 5, read_seq=5)
        self.ack_each(1, 2, 3, 4, 5, sender=2)
        self.pulled(("g", 5))
        self.read("g", 5)
        self.tick()
        assert self.everybody() == [[("g", 1, 5, 5)]] * 3

    def test_the_senders_of_what_was_pulled_learn_it(self) -> None:
        self.store.spoken["g"] = [4] * 50 + [2] * MAX_TOLD
        self.rises("g", 50 + MAX_TOLD)
        self.pulled(("g", 50 + MAX_TOLD))
        self.tick()
        assert self.store.spans == [Span(1, "g", 50, 50 + MAX_TOLD)]
        assert self.everybody() == [[("g", 1, 50 + MAX_TOLD, 0)], [], []]

    def test_the_senders_of_what_was_newly_read_learn_it(self) -> None:
        self.rises("g", 5, read_seq=5, read_from=3)
        self.read("g", 5)
        self.tick()
        assert self.store.spans == [Span(1, "g", 3, 5)]
        assert self.everybody() == [[("g", 1, 5, 5)], [("g", 1, 5, 5)], []]

    def test_of_very_many_the_senders_of_the_newest_learn_it(self) -> None:
        self.rises("g", 500, read_seq=500, read_from=3)
        self.read("g", 500)
        self.tick()
        assert self.store.spans == [Span(1, "g", 500 - MAX_TOLD, 500)]

    def test_nobody_is_told_of_oneself(self) -> None:
        self.store.spoken["g"] = [1, 1, 2]
        desktop = self.login(1, DESKTOP)
        self.rises("g", 3, read_seq=3)
        self.ack_each(3, sender=1)
        self.read("g", 3)
        self.tick()
        assert self.told(self.ann) == [("g", 1, 3, 3)]
        assert self.told(self.me) == []
        assert self.told(desktop) == []

    def test_groups_and_users_stay_apart(self) -> None:
        (trace_id,) = self.push(4, sender=2, to=4)
        self.receipts.pushed(self.eve, trace_id)
        self.ack_each(8, group_id="h", sender=3)
        self.rises("h", 8)
        self.store.raised.append(Watermark(4, "g", 4, 0, 0, 5))
        self.tick()
        assert self.everybody() == [[("g", 4, 4, 0)], [("h", 1, 8, 0)], []]

    def test_a_mark_that_did_not_rise_is_no_news(self) -> None:
        self.ack_each(4, sender=2)
        self.read("g", 4)
        self.tick()
        assert self.everybody() == [[], [], []]

    def test_in_a_group_of_the_most_members_receipts_go_out_and_in_a_larger_one_they_do_not(self) -> None:
        self.rises("g", 5, read_seq=5, members=MAX_MEMBERS)
        self.rises("large", 5, read_seq=5, members=MAX_MEMBERS + 1)
        for group_id in ("g", "large"):
            self.ack_each(5, group_id=group_id, sender=2)
            self.pulled((group_id, 5))
            self.read(group_id, 5)
        self.tick()
        assert self.everybody() == [[("g", 1, 5, 5)]] * 3
        assert {span.group_id for span in self.store.spans} == {"g"}

    def test_of_the_broadcast_stream_nobody_is_told(self) -> None:
        self.rises("system", 5, read_seq=5, members=0)
        self.ack_each(5, group_id="system", sender=2)
        self.pulled(("system", 5))
        self.read("system", 5)
        self.tick()
        assert self.everybody() == [[], [], []]
        assert self.store.spans == []

    def test_nobody_waits_until_it_is_known_who_sent_what(self) -> None:
        self.store.is_slow = True
        self.rises("g", 5, read_seq=5)
        self.rises("1_2", 3)
        self.read("g", 5)
        self.tick()
        self.store.settle()
        assert self.answers(self.me) == [(7, Result.OK)]
        assert self.everybody() == [[("1_2", 1, 3, 0)], [], []]
        self.store.settle()
        assert self.everybody() == [[("g", 1, 5, 5)]] * 3

    def test_a_store_that_can_not_say_who_sent_what_leaves_the_senders_of_pushes_told(self) -> None:
        async def away(_spans: Any) -> Any:
            raise UnavailableError("too many reads are waiting")

        self.patch(self.store, "senders", away)
        self.rises("g", 5, read_seq=5)
        self.ack_each(5, sender=3)
        self.read("g", 5)
        self.tick()
        assert self.answers(self.me) == [(7, Result.OK)]
        assert self.everybody() == [[], [("g", 1, 5, 5)], []]

    def test_the_senders_of_a_tick_are_not_told_of_the_next(self) -> None:
        self.rises("g", 4)
        self.ack_each(4, sender=2)
        self.tick()
        self.store.raised.clear()
        self.rises("g", 5)
        self.ack_each(5, sender=3)
        self.tick()
        assert self.everybody() == [[("g", 1, 4, 0)], [("g", 1, 5, 0)], []]
