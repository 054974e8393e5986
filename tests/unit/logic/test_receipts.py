"""Receivers' ACKs and read marks: what they become in the store, when, and how a mark is answered."""

from typing import Any

from imd.errors import (
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    NotInGroupError,
    RateLimitedError,
    RefusedError,
    UnavailableError,
)
from imd.gateway.sessions import Session
from imd.logic import receipts
from imd.logic.receipts import MAX_ACKS, MAX_WAITING, Receipts
from imd.model import Identity
from imd.ports.delivery import Push
from imd.ports.messages import InboxAck, ReadMark, Watermark
from imd.wire.bodies import (
    Error,
    ImMsgAck,
    IssueReadSeq,
    IssueReceipt,
    ListMsgReader,
    ListMsgReaderAck,
    MsgAck,
    SubmitReadSeq,
)
from imd.wire.commands import Command
from imd.wire.packet import ACK
from imd.wire.results import Result

from .parts import LogicTestCase, parsed

DELAY = 0.05
MAX_MEMBERS = 5
PHONE, DESKTOP = 11, 20


class ReceiptsTestCase(LogicTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.receipts = Receipts(self.clock, self.store, self.sessions, DELAY, MAX_MEMBERS)
        self.me = self.login(1)

    def push(self, *seq_ids: int, group_id: str = "g", sender: int = 9, to: int = 1) -> list[int]:
        """Push messages and return their traceIds."""
        traces = []
        for seq_id in seq_ids:
            traces.append(self.sessions.next_trace_id())
            self.sessions.push(Push(traces[-1], group_id, seq_id, sender, b"", b""), [to])
        return traces

    def ack_each(self, *seq_ids: int, group_id: str = "g", sender: int = 9) -> None:
        """Push messages and ACK each by itself."""
        for seq_id in seq_ids:
            (trace_id,) = self.push(seq_id, group_id=group_id, sender=sender)
            self.receipts.pushed(self.me, trace_id)

    def pulled(self, *acks: tuple[str, int]) -> None:
        self.receipts.pulled(self.me, MsgAck(acks=[ImMsgAck(group_id=group, seq_id=seq) for group, seq in acks]))

    def read(self, group_id: str, read_seq: int, session: Session | None = None, trace_id: int = 7) -> None:
        self.receipts.read(session or self.me, trace_id, SubmitReadSeq(group_id=group_id, read_seq=read_seq))

    def rises(self, group_id: str, receive_seq: int, read_seq: int = 0, read_from: int = 0, members: int = 2) -> None:
        """Let this be where the marks of uid 1 come to."""
        self.store.raised.append(Watermark(1, group_id, receive_seq, read_seq, read_from, members))

    def tick(self) -> None:
        self.clock.advance(DELAY)

    def gathered(self) -> list[InboxAck]:
        """Let the delay pass and return what the store gets."""
        self.tick()
        acks = [ack for batch in self.store.acks for ack in batch]
        self.store.acks.clear()
        return acks

    def told(self, session: Session) -> list[tuple[str, int, int, int]]:
        """Return the receipts that a session got since this was asked last."""
        found = [parsed(p, IssueReceipt) for p in self.sent(session) if p.command == Command.ISSUE_RECEIPT]
        return [(receipt.group_id, receipt.uid, receipt.receive_seq, receipt.read_seq) for receipt in found]

    def marks(self, session: Session) -> list[tuple[str, int]]:
        """Return what a session was told of its user's read marks since this was asked last."""
        found = [parsed(p, IssueReadSeq) for p in self.sent(session) if p.command == Command.ISSUE_READ_SEQ]
        return [(mark.group_id, mark.read_seq) for mark in found]

    def answers(self, session: Session) -> list[tuple[int, Result]]:
        """Return the traceId and the result of each answer to a SUBMIT_READ_SEQ since this was asked last."""
        packets = [packet for packet in self.sent(session) if packet.flags & ACK]
        assert {packet.command for packet in packets} <= {Command.SUBMIT_READ_SEQ}
        return [(packet.trace_id, Result(packet.result)) for packet in packets]


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
        (trace_id,) = self.push(2, group_id="a", to=2)
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
        self.receipts.flush()
        assert self.store.acks == []

    def test_after_a_flush_the_next_ack_waits_for_a_delay_of_its_own_at_most(self) -> None:
        self.ack_each(1)
        self.receipts.flush()
        assert self.store.acks == [[InboxAck(1, "g", 1, 1)]]
        self.store.acks.clear()
        self.ack_each(2)
        assert self.gathered() == [InboxAck(1, "g", 2, 2)]

    def test_however_many_they_are_they_go_into_one_change(self) -> None:
        self.ack_each(1, 3, 5)
        self.ack_each(1, 2, group_id="1_2")
        self.pulled(("h", 4))
        self.read("1_2", 2)
        self.read("g", 5)
        self.tick()
        assert self.store.acks == [
            [
                InboxAck(1, "g", 1, 1),
                InboxAck(1, "g", 3, 3),
                InboxAck(1, "g", 5, 5),
                InboxAck(1, "1_2", 1, 2),
                InboxAck(1, "h", 0, 4),
            ]
        ]
        assert self.store.reads == [[ReadMark(1, "1_2", 2), ReadMark(1, "g", 5)]]

    def test_what_gathers_is_bounded(self) -> None:
        self.patch(receipts, "MAX_GATHERED", 10)
        self.ack_each(*range(1, 60, 2))
        assert 2 <= len(self.store.acks) <= 3
        assert sorted(ack.low for ack in self.gathered()) == list(range(1, 60, 2))

    def test_a_store_that_is_full_costs_a_repeated_push_and_no_more(self) -> None:
        self.store.is_full = True
        self.ack_each(1)
        assert self.gathered() == []
        self.store.is_full = False
        self.ack_each(2)
        assert self.gathered() == [InboxAck(1, "g", 2, 2)]

    def test_an_error_of_the_store_is_logged_and_the_next_tick_is_as_ever(self) -> None:
        self.store.error = ZeroDivisionError()
        self.ack_each(1)
        assert self.gathered() == []
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        self.store.error = None
        self.ack_each(2)
        assert self.gathered() == [InboxAck(1, "g", 2, 2)]


class Reading(ReceiptsTestCase):
    """SUBMIT_READ_SEQ, which has exactly one answer."""

    def refused(self, kind: type[RefusedError], group_id: str, read_seq: int) -> None:  # type: ignore[override]
        with self.assertRaises(kind):
            self.read(group_id, read_seq)
        self.tick()
        assert self.store.reads == []
        assert self.sent(self.me) == []

    def test_it_is_answered_once_the_mark_is_durable(self) -> None:
        self.store.is_slow = True
        self.read("1_2", 5, trace_id=9)
        self.tick()
        assert self.store.reads == [[ReadMark(1, "1_2", 5)]]
        assert self.answers(self.me) == []
        self.store.settle()
        assert self.answers(self.me) == [(9, Result.OK)]
        self.clock.advance(1)
        assert self.sent(self.me) == []

    def test_the_newest_of_several_marks_counts_and_each_is_answered(self) -> None:
        desktop = self.login(1, DESKTOP)
        self.read("g", 3, trace_id=1)
        self.read("g", 9, desktop, trace_id=1)
        self.read("g", 5, trace_id=2)
        self.read("h", 1, trace_id=3)
        self.tick()
        assert self.store.reads == [[ReadMark(1, "g", 9), ReadMark(1, "h", 1)]]
        assert self.answers(self.me) == [(1, Result.OK), (2, Result.OK), (3, Result.OK)]
        assert self.answers(desktop) == [(1, Result.OK)]

    def test_a_mark_that_does_not_rise_is_ok(self) -> None:
        self.read("g", 0)
        self.tick()
        assert self.answers(self.me) == [(7, Result.OK)]

    def test_who_never_was_in_the_group_is_told_so_and_nobody_else_is(self) -> None:
        friend = self.login(2)
        self.store.strangers = {(1, "g")}
        self.read("g", 5, trace_id=1)
        self.read("h", 5, trace_id=2)
        self.read("g", 5, friend, trace_id=3)
        self.tick()
        assert self.answers(self.me) == [(1, Result.NOT_IN_GROUP), (2, Result.OK)]
        assert self.answers(friend) == [(3, Result.OK)]

    def test_in_a_single_chat_in_which_nothing_was_said_there_is_nothing_to_read(self) -> None:
        self.store.strangers = {(1, "1_2")}
        self.read("1_2", 5)
        self.tick()
        assert self.answers(self.me) == [(7, Result.OK)]

    def test_a_single_chat_of_others_is_forbidden(self) -> None:
        self.refused(ForbiddenError, "2_3", 5)

    def test_what_makes_no_sense_is_a_bad_request(self) -> None:
        for group_id, read_seq in (("g", -1), ("", 5), ("2_1", 5), ("x" * 65, 5)):
            self.refused(BadRequestError, group_id, read_seq)

    def test_a_store_that_is_full_is_unavailable(self) -> None:
        self.store.is_full = True
        self.read("1_2", 5, trace_id=1)
        self.read("g", 5, trace_id=2)
        self.tick()
        assert self.answers(self.me) == [(1, Result.UNAVAILABLE), (2, Result.UNAVAILABLE)]

    def test_a_commit_that_fails_is_unavailable(self) -> None:
        self.store.is_slow = True
        self.read("g", 5)
        self.tick()
        self.store.settle(UnavailableError("the store failed; send it again later"))
        (packet,) = self.sent(self.me)
        assert packet.result == Result.UNAVAILABLE
        assert parsed(packet, Error).reason == "the store failed; send it again later"

    def test_an_error_of_the_store_is_unavailable_and_logged(self) -> None:
        self.store.error = ZeroDivisionError()
        self.read("g", 5)
        self.tick()
        assert self.answers(self.me) == [(7, Result.UNAVAILABLE)]
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1

    def test_so_many_of_a_session_may_wait_in_one_tick_and_no_more(self) -> None:
        desktop = self.login(1, DESKTOP)
        for number in range(MAX_WAITING):
            self.read("g", 1, trace_id=number)
        with self.assertRaises(RateLimitedError):
            self.read("g", 99)
        self.read("g", 2, desktop)
        self.tick()
        assert self.store.reads == [[ReadMark(1, "g", 2)]]
        assert len(self.answers(self.me)) == MAX_WAITING
        self.read("g", 3)
        self.tick()
        assert self.answers(self.me) == [(7, Result.OK)]

    def test_a_session_that_closes_meanwhile_harms_nobody(self) -> None:
        friend = self.login(2)
        self.read("g", 5)
        self.read("g", 5, friend)
        self.channels[self.me].is_open = False
        self.sessions.remove(self.me)
        self.rises("g", 5, read_seq=5)
        self.tick()
        assert self.store.reads == [[ReadMark(1, "g", 5), ReadMark(2, "g", 5)]]
        assert self.sent(self.me) == []
        assert self.answers(friend) == [(7, Result.OK)]

    def test_a_session_that_is_somebody_elses_by_then_is_answered_and_marks_for_who_asked(self) -> None:
        desktop = self.login(1, DESKTOP)
        self.read("g", 5)
        self.me.log_out()
        self.me.log_in(2, PHONE, "again", Identity(2))
        self.rises("g", 5, read_seq=5)
        self.tick()
        assert self.store.reads == [[ReadMark(1, "g", 5)]]
        assert [(packet.command, packet.trace_id) for packet in self.sent(self.me)] == [(Command.SUBMIT_READ_SEQ, 7)]
        assert self.marks(desktop) == [("g", 5)]

    def test_a_flush_takes_what_waits_and_leaves_nothing_unanswered(self) -> None:
        self.read("g", 5)
        self.receipts.flush()
        assert self.answers(self.me) == [(7, Result.OK)]
        self.store.is_full = True  # as a store is that has stopped
        self.read("g", 6)
        self.receipts.flush()
        assert self.answers(self.me) == [(7, Result.UNAVAILABLE)]


class Readers(ReceiptsTestCase):
    """LIST_MSG_READER."""

    def readers(self, group_id: str, seq_id: int = 5) -> Any:
        return self.receipts.readers(self.me, ListMsgReader(group_id=group_id, seq_id=seq_id))

    def test_the_answer_is_the_stores(self) -> None:
        self.store.answer = ListMsgReaderAck(readers=[2], unreaders=[3])
        assert self.wait(self.readers("g")) == self.store.answer
        assert self.store.asked == [(1, "g", 5)]

    def test_the_broadcast_stream_and_single_chats_of_others_are_forbidden(self) -> None:
        self.refused(self.readers("system"), ForbiddenError)
        self.refused(self.readers("2_3"), ForbiddenError)
        assert self.store.asked == []

    def test_a_group_that_is_not_mine_is_refused(self) -> None:
        self.store.answer = NotInGroupError("you are not in the group g")
        self.refused(self.readers("g"), NotInGroupError)

    def test_in_a_single_chat_in_which_nothing_was_said_there_is_no_such_message(self) -> None:
        self.store.answer = NotInGroupError("nothing there")
        self.refused(self.readers("1_2"), NotFoundError)
