"""IMessageStore: read marks, and what those concerned are told of watermarks (rules 6 and 8)."""

import pytest
from pytest_twisted import ensureDeferred

from imd.ports.messages import InboxAck, Raised, ReadMark, Watermark
from imd.storage import unread

from .subject import Subject


class TestReading:
    @ensureDeferred
    async def test_what_is_read_is_no_longer_unread(self, subject: Subject) -> None:
        await subject.send_many(5, 1, to=2)
        await subject.read(2, "1_2", 3)
        view = await subject.view(2, "1_2")
        assert (view.read_seq, view.unread) == (3, 2)

    @ensureDeferred
    async def test_a_mark_past_the_end_is_at_the_end(self, subject: Subject) -> None:
        await subject.send_many(3, 1, to=2)
        await subject.read(2, "1_2", 2**63 - 1)
        await subject.send(1, to=2)
        view = await subject.view(2, "1_2")
        assert (view.read_seq, view.unread) == (3, 1)

    @ensureDeferred
    async def test_a_mark_that_does_not_rise_changes_nothing(self, subject: Subject) -> None:
        await subject.send_many(3, 1, to=2)
        await subject.read(2, "1_2", 2)
        subject.time.ms += 60_000
        for read_seq in (2, 1, 0):
            assert await subject.read(2, "1_2", read_seq) == Raised([], frozenset())
        assert (await subject.view(2, "1_2")).read_seq == 2
        assert await subject.changed(2) == []

    @ensureDeferred
    async def test_reading_takes_everything_up_to_it_out_of_the_inbox(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        await subject.send_many(4, 1, group=group)
        await subject.send(1, to=2)
        await subject.read(2, group, 3)
        assert await subject.inbox(2) == [("1_2", 1), (group, 4), (group, 5)]
        assert await subject.inbox_of(3, group) == [1, 2, 3, 4, 5]
        assert (await subject.view(2, group)).receive_seq == 3

    @ensureDeferred
    async def test_what_was_read_is_shown_as_read(self, subject: Subject) -> None:
        await subject.send_many(2, 1, to=2)
        await subject.read(2, "1_2", 1)
        assert [message.status for message in (await subject.pull(2, "1_2")).messages] == [-3, -4]
        assert (await subject.view(2, "1_2")).last_message.status == -4
        assert [message.status for message in (await subject.pull(1, "1_2")).messages] == [0, 0]

    @ensureDeferred
    async def test_the_other_one_of_a_single_chat_sees_it(self, subject: Subject) -> None:
        await subject.send_many(3, 1, to=2)
        await subject.read(2, "1_2", 2)
        mine, theirs = await subject.view(2, "1_2"), await subject.view(1, "1_2")
        assert (theirs.peer_read_seq, theirs.peer_receive_seq) == (2, 2)
        assert (mine.peer_read_seq, mine.peer_receive_seq) == (0, 0)

    @pytest.mark.parametrize("uids", [(1, 11), (1, 12), (12, 112), (10, 101), (2**63 - 2, 2**63 - 1)])
    @ensureDeferred
    async def test_whatever_digits_their_uids_share(self, subject: Subject, uids: tuple[int, int]) -> None:
        for mine, theirs in (uids, uids[::-1]):
            group_id = (await subject.send(mine, to=theirs)).message.group_id
            await subject.read(theirs, group_id, 2)
            last = (await subject.view(theirs, group_id)).max_seq
            assert (await subject.view(mine, group_id)).peer_read_seq == last

    @ensureDeferred
    async def test_in_a_group_it_is_seen_among_the_members(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send_many(3, 1, group=group)
        await subject.read(2, group, 3)
        page = await subject.store.members(1, group, "", 10)
        assert [(member.uid, member.read_seq) for member in page.members] == [(1, 0), (2, 3)]
        assert (await subject.view(1, group)).peer_read_seq == 0

    @ensureDeferred
    async def test_who_has_left_reads_up_to_where_their_view_ends(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send_many(2, 1, group=group)
        await subject.quit(group, 2)
        await subject.send_many(2, 1, group=group)
        raised = await subject.read(2, group, 100)
        assert raised.strangers == frozenset()
        view = await subject.view(2, group)
        assert (view.read_seq, view.receive_seq, view.unread) == (4, 4, 0)
        assert await subject.inbox_of(2, group) == []

    @ensureDeferred
    async def test_a_mark_before_ones_own_time_in_the_group_changes_nothing(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send_many(3, 1, group=group)
        await subject.invite(group, 1, 3)
        assert (await subject.read(3, group, 3)).watermarks == []
        view = await subject.view(3, group)
        assert (view.read_seq, view.unread) == (4, 0)

    @ensureDeferred
    async def test_who_never_was_there_is_named_and_nobody_else_is_held_up(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(1, group=group)
        reads = [ReadMark(9, group, 1), ReadMark(2, group, 2), ReadMark(2, "2_9", 1), ReadMark(1, "nowhere", 1)]
        raised = await subject.store.raise_watermarks([], reads)
        assert raised.strangers == {(9, group), (2, "2_9"), (1, "nowhere")}
        assert [watermark.uid for watermark in raised.watermarks] == [2]
        assert (await subject.view(2, group)).read_seq == 2

    @ensureDeferred
    async def test_an_ack_of_who_never_was_there_names_nobody(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        assert await subject.ack(9, group, (0, 1)) == Raised([], frozenset())

    @ensureDeferred
    async def test_marks_of_many_users_and_groups_rise_together(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        await subject.send_many(4, 1, group=group)
        await subject.send_many(4, 1, to=2)
        subject.batches.clear()
        reads = [ReadMark(2, group, 2), ReadMark(3, group, 4), ReadMark(2, "1_2", 3)]
        await subject.store.raise_watermarks([InboxAck(1, "1_2", 0, 4)], reads)
        assert len(subject.batches) == 1
        assert [(await subject.view(uid, group)).unread for uid in (2, 3)] == [3, 1]
        assert (await subject.view(2, "1_2")).unread == 1
        assert (await subject.view(1, "1_2")).receive_seq == 4


class TestVeryManyMessages:
    """One change looks through STEP messages at most, so that nobody waits for a mark that passes very many."""

    async def full(self, subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let 2 have 30 messages of 1, every third of which does not count."""
        monkeypatch.setattr(unread, "STEP", 5)
        for number in range(30):
            await subject.send(1, to=2, whether_non_count=int(number % 3 == 0))
        subject.batches.clear()

    @ensureDeferred
    async def test_a_mark_far_from_both_ends_rises_in_several_changes(
        self, subject: Subject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await self.full(subject, monkeypatch)
        raised = await subject.read(2, "1_2", 12)
        assert [(mark.read_from, mark.read_seq) for mark in raised.watermarks] == [(0, 12)]
        assert len(subject.batches) == 3
        view = await subject.view(2, "1_2")
        assert (view.read_seq, view.receive_seq, view.unread) == (12, 12, 12)

    @ensureDeferred
    async def test_a_mark_near_the_end_rises_at_once(self, subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
        await self.full(subject, monkeypatch)
        for read_seq, left in ((25, 4), (28, 2), (30, 0)):
            raised = await subject.read(2, "1_2", read_seq)
            assert len(raised.watermarks) == 1
            assert (await subject.view(2, "1_2")).unread == left, read_seq
        assert len(subject.batches) == 3

    @ensureDeferred
    async def test_a_history_is_cleared_in_the_same_way(
        self, subject: Subject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await self.full(subject, monkeypatch)
        (cleared,) = (await subject.store.clear(2, "1_2", 12)).groups
        assert (cleared.init_seq, cleared.unread) == (12, 12)
        assert len(subject.batches) == 3
        assert await subject.inbox_of(2, "1_2") == list(range(13, 31))
        (cleared,) = (await subject.store.clear(2, "1_2", 2**63 - 1)).groups
        assert (cleared.init_seq, cleared.unread) == (30, 0)
        assert len(subject.batches) == 4

    @ensureDeferred
    async def test_strangers_are_named_beside_a_mark_that_takes_several_changes(
        self, subject: Subject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await self.full(subject, monkeypatch)
        raised = await subject.store.raise_watermarks([], [ReadMark(9, "1_2", 1), ReadMark(2, "1_2", 12)])
        assert (raised.strangers, raised.rest) == ({(9, "1_2")}, ())


class TestWhatIsTold:
    """A Watermark says how far a user is after a mark of theirs rose."""

    @ensureDeferred
    async def test_of_an_ack_how_far_messages_have_reached_the_user(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        await subject.send_many(4, 1, group=group)
        await subject.read(2, group, 2)
        assert (await subject.ack(2, group, (3, 4))).watermarks == [Watermark(2, group, 4, 2, 2, 3)]

    @ensureDeferred
    async def test_of_a_read_mark_where_it_was_before(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        await subject.send_many(4, 1, group=group)
        await subject.read(2, group, 2)
        assert (await subject.read(2, group, 5)).watermarks == [Watermark(2, group, 5, 5, 2, 3)]

    @ensureDeferred
    async def test_of_a_read_mark_below_what_has_reached_the_user_both(self, subject: Subject) -> None:
        await subject.send_many(4, 1, to=2)
        await subject.ack(2, "1_2", (0, 3))
        assert (await subject.read(2, "1_2", 2)).watermarks == [Watermark(2, "1_2", 3, 2, 0, 2)]

    @ensureDeferred
    async def test_of_an_ack_and_a_read_mark_at_once_one(self, subject: Subject) -> None:
        await subject.send_many(4, 1, to=2)
        raised = await subject.store.raise_watermarks([InboxAck(2, "1_2", 1, 4)], [ReadMark(2, "1_2", 2)])
        assert raised.watermarks == [Watermark(2, "1_2", 4, 2, 0, 2)]

    @ensureDeferred
    async def test_of_an_ack_that_leaves_a_gap_nothing(self, subject: Subject) -> None:
        await subject.send_many(3, 1, to=2)
        assert (await subject.ack(2, "1_2", (2, 3))).watermarks == []
        assert (await subject.ack(2, "1_2", (1, 1))).watermarks == [Watermark(2, "1_2", 3, 0, 0, 2)]

    @ensureDeferred
    async def test_the_number_of_members_follows_who_comes_and_goes(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        await subject.quit(group, 3)
        assert (await subject.read(2, group, 1)).watermarks[0].member_count == 2
        await subject.invite(group, 1, 4, 5)
        assert (await subject.read(2, group, 2)).watermarks[0].member_count == 4
