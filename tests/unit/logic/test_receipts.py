"""Receivers' ACKs: which ranges they become, and when."""

from imd.errors import UnavailableError
from imd.logic import receipts
from imd.logic.receipts import MAX_ACKS, Receipts
from imd.ports import InboxAck, Push
from imd.wire.bodies import ImMsgAck, MsgAck

from .parts import LogicTestCase

DELAY = 0.05


class ReceiptsTestCase(LogicTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.receipts = Receipts(self.clock, self.store, DELAY)
        self.me = self.login(1)

    def push(self, *seq_ids: int, group_id: str = "g") -> list[int]:
        """Push messages to uid 1 and return their traceIds."""
        traces = []
        for seq_id in seq_ids:
            traces.append(self.sessions.next_trace_id())
            self.sessions.push(Push(traces[-1], group_id, seq_id, b"", b""), [1])
        return traces

    def ack_each(self, *seq_ids: int, group_id: str = "g") -> None:
        """Push messages and ACK each by itself."""
        for seq_id in seq_ids:
            (trace_id,) = self.push(seq_id, group_id=group_id)
            self.receipts.pushed(self.me, trace_id)

    def gathered(self) -> list[InboxAck]:
        """Let the delay pass and return what the store gets."""
        self.clock.advance(DELAY)
        acks = [ack for batch in self.store.acks for ack in batch]
        self.store.acks.clear()
        return acks


class Pushed(ReceiptsTestCase):
    def test_an_ack_clears_the_message_it_names(self) -> None:
        self.ack_each(7)
        assert self.gathered() == [InboxAck(1, "g", 7, 7)]

    def test_an_ack_clears_what_was_pushed_before_it(self) -> None:
        traces = self.push(4, 5, 6, 7)
        self.receipts.pushed(self.me, traces[2])
        assert self.gathered() == [InboxAck(1, "g", 4, 6)]

    def test_an_ack_never_clears_an_earlier_message_that_was_never_pushed(self) -> None:
        traces = self.push(2, 5, 6, 9)
        self.receipts.pushed(self.me, traces[-1])
        assert self.gathered() == [InboxAck(1, "g", 2, 2), InboxAck(1, "g", 5, 6), InboxAck(1, "g", 9, 9)]

    def test_acks_that_follow_each_other_become_one_range(self) -> None:
        self.ack_each(1, 2, 3, 5, 6, 8)
        assert self.gathered() == [InboxAck(1, "g", 1, 3), InboxAck(1, "g", 5, 6), InboxAck(1, "g", 8, 8)]

    def test_acks_of_several_groups_and_users_stay_apart(self) -> None:
        friend = self.login(2)
        self.ack_each(1, group_id="a")
        self.ack_each(2, group_id="b")
        trace_id = self.sessions.next_trace_id()
        self.sessions.push(Push(trace_id, "a", 2, b"", b""), [2])
        self.receipts.pushed(friend, trace_id)
        assert self.gathered() == [InboxAck(1, "a", 1, 1), InboxAck(1, "b", 2, 2), InboxAck(2, "a", 2, 2)]

    def test_a_message_pushed_twice_is_cleared(self) -> None:
        self.push(1, 2)
        (again,) = self.push(1)
        self.receipts.pushed(self.me, again)
        assert {seq for _, _, low, high in self.gathered() for seq in range(low, high + 1)} == {1}

    def test_an_ack_of_an_unknown_trace_id_is_ignored(self) -> None:
        self.receipts.pushed(self.me, 77)
        assert self.gathered() == []

    def test_what_was_acked_before_a_logout_is_still_the_old_users(self) -> None:
        self.ack_each(3)
        self.me.log_out()
        assert self.gathered() == [InboxAck(1, "g", 3, 3)]


class Pulled(ReceiptsTestCase):
    def pulled(self, *acks: tuple[str, int]) -> None:
        self.receipts.pulled(self.me, MsgAck(acks=[ImMsgAck(group_id=group, seq_id=seq) for group, seq in acks]))

    def test_everything_up_to_the_seq_is_cleared(self) -> None:
        self.pulled(("g", 12), ("1_2", 3))
        assert self.gathered() == [InboxAck(1, "g", 0, 12), InboxAck(1, "1_2", 0, 3)]

    def test_what_names_nothing_is_ignored(self) -> None:
        self.pulled(("g", 0), ("g", -5), ("", 5))
        assert self.gathered() == []

    def test_groups_past_the_limit_are_ignored(self) -> None:
        self.pulled(*((f"g{number}", 1) for number in range(MAX_ACKS + 5)))
        assert len(self.gathered()) == MAX_ACKS

    def test_a_push_that_follows_a_pull_goes_on_with_its_range(self) -> None:
        self.pulled(("g", 12))
        self.ack_each(13, 14)
        assert self.gathered() == [InboxAck(1, "g", 0, 14)]


class Gathering(ReceiptsTestCase):
    def test_nothing_is_stored_before_the_delay(self) -> None:
        self.ack_each(1)
        self.clock.advance(DELAY * 0.9)
        self.ack_each(2)
        assert self.store.acks == []
        self.clock.advance(DELAY * 0.1)
        assert self.store.acks == [[InboxAck(1, "g", 1, 2)]]

    def test_one_timer_serves_all(self) -> None:
        self.ack_each(*range(1, 100))
        assert len(self.clock.getDelayedCalls()) == 1

    def test_without_acks_nothing_runs(self) -> None:
        assert self.clock.getDelayedCalls() == []
        self.ack_each(1)
        self.gathered()
        assert self.clock.getDelayedCalls() == []

    def test_after_a_flush_the_next_ack_waits_for_a_delay_of_its_own_at_most(self) -> None:
        self.ack_each(1)
        self.receipts.flush()
        assert self.store.acks == [[InboxAck(1, "g", 1, 1)]]
        self.store.acks.clear()
        self.ack_each(2)
        assert self.gathered() == [InboxAck(1, "g", 2, 2)]

    def test_what_gathers_is_bounded(self) -> None:
        self.patch(receipts, "MAX_GATHERED", 10)
        self.ack_each(*range(1, 60, 2))
        assert 2 <= len(self.store.acks) <= 3
        assert sorted(ack.low for ack in self.gathered()) == list(range(1, 60, 2))

    def test_a_store_that_is_full_costs_a_repeated_push_and_no_more(self) -> None:
        self.store.is_full = True
        with self.assertRaises(UnavailableError):
            self.store.acknowledge([])
        self.ack_each(1)
        assert self.gathered() == []
        self.store.is_full = False
        self.ack_each(2)
        assert self.gathered() == [InboxAck(1, "g", 2, 2)]
