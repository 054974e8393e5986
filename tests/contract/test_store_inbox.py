"""IMessageStore: inboxes, ACKs, receive_seq, and what the sweep finds (rules 6 and 8)."""

import itertools

from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred

from imd.ports.messages import InboxAck, Overdue, OverdueCursor

from .subject import Subject


class TestFanOut:
    @ensureDeferred
    async def test_a_message_lies_in_the_inbox_of_every_member_but_the_sender(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        stored = await subject.send(2, group=group)
        assert sorted(stored.receivers) == [1, 3]
        assert await subject.inbox(1) == [(group, 2)]
        assert await subject.inbox(2) == [(group, 1)]
        assert await subject.inbox(3) == [(group, 1), (group, 2)]
        assert await subject.inbox(4) == []

    @ensureDeferred
    async def test_a_single_chat_lies_in_the_inbox_of_the_other_one(self, subject: Subject) -> None:
        await subject.send_many(3, 1, to=2)
        assert await subject.inbox(2) == [("1_2", 1), ("1_2", 2), ("1_2", 3)]
        assert await subject.inbox(1) == []

    @ensureDeferred
    async def test_it_lies_there_across_a_restart(self, subject: Subject) -> None:
        await subject.send(1, to=2)
        await subject.reopen()
        assert await subject.inbox(2) == [("1_2", 1)]


class TestAcks:
    @ensureDeferred
    async def test_an_ack_clears_its_range_and_nothing_else(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        await subject.send_many(5, 1, group=group)
        await subject.send(1, to=2)
        await subject.ack(2, group, (3, 4))
        assert await subject.inbox_of(2, group) == [1, 2, 5, 6]
        assert await subject.inbox_of(3, group) == [1, 2, 3, 4, 5, 6]
        assert await subject.inbox_of(2, "1_2") == [1]

    @ensureDeferred
    async def test_an_ack_of_a_later_push_never_clears_an_earlier_message_that_was_never_pushed(
        self, subject: Subject
    ) -> None:
        await subject.send_many(3, 1, to=2)
        await subject.ack(2, "1_2", (3, 3))
        assert await subject.inbox_of(2, "1_2") == [1, 2]
        assert (await subject.view(2, "1_2")).receive_seq == 0

    @ensureDeferred
    async def test_an_ack_of_what_was_pulled_clears_everything_up_to_it(self, subject: Subject) -> None:
        await subject.send_many(5, 1, to=2)
        await subject.ack(2, "1_2", (0, 3))
        assert await subject.inbox_of(2, "1_2") == [4, 5]
        assert (await subject.view(2, "1_2")).receive_seq == 3

    @ensureDeferred
    async def test_acks_can_be_repeated(self, subject: Subject) -> None:
        await subject.send_many(2, 1, to=2)
        for _ in range(3):
            await subject.ack(2, "1_2", (0, 1), (1, 1))
        assert await subject.inbox_of(2, "1_2") == [2]
        assert (await subject.view(2, "1_2")).receive_seq == 1

    @ensureDeferred
    async def test_an_ack_of_who_is_not_in_the_group_does_nothing(self, subject: Subject) -> None:
        await subject.send(1, to=2)
        await subject.ack(9, "1_2", (0, 5))
        await subject.ack(2, "nowhere", (0, 5))
        assert await subject.inbox_of(2, "1_2") == [1]
        assert (await subject.store.conversations(9, "", 10, 0)).groups == []

    @ensureDeferred
    async def test_acks_of_many_users_and_groups_go_in_one_batch(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        await subject.send(1, to=2)
        acks = [InboxAck(2, group, 1, 1), InboxAck(3, group, 1, 1), InboxAck(2, "1_2", 1, 1)]
        await subject.store.raise_watermarks(acks, [])
        assert await subject.inbox(2) == []
        assert await subject.inbox(3) == []

    @ensureDeferred
    async def test_messages_and_acks_of_one_batch_keep_their_order(self, subject: Subject) -> None:
        await subject.send(1, to=2)
        before = subject.put(subject.message(1, to=2))
        acked = Deferred.fromCoroutine(subject.ack(2, "1_2", (0, 100)))
        after = subject.put(subject.message(1, to=2))
        for done in (before, acked, after):
            await done
        assert await subject.inbox_of(2, "1_2") == [3]


class TestReceiveSeq:
    """Everything up to it is out of the inbox."""

    @ensureDeferred
    async def test_it_is_just_below_the_oldest_message_in_the_inbox(self, subject: Subject) -> None:
        await subject.send_many(5, 1, to=2)
        for acked, receive_seq in ((2, 0), (4, 0), (1, 2), (3, 4), (5, 5)):
            await subject.ack(2, "1_2", (acked, acked))
            assert (await subject.view(2, "1_2")).receive_seq == receive_seq, acked

    @ensureDeferred
    async def test_in_whatever_order_the_acks_come_it_ends_at_the_newest(self, subject: Subject) -> None:
        for number, order in enumerate(itertools.permutations((1, 2, 3))):
            peer = 100 + number
            await subject.send_many(3, 1, to=peer)
            for acked in order:
                await subject.ack(peer, f"1_{peer}", (acked, acked))
            assert (await subject.view(peer, f"1_{peer}")).receive_seq == 3, order

    @ensureDeferred
    async def test_it_never_falls(self, subject: Subject) -> None:
        await subject.send_many(3, 1, to=2)
        await subject.ack(2, "1_2", (0, 3))
        await subject.send(1, to=2)
        await subject.ack(2, "1_2", (0, 1))
        assert (await subject.view(2, "1_2")).receive_seq == 3

    @ensureDeferred
    async def test_it_is_clamped_to_what_there_is(self, subject: Subject) -> None:
        await subject.send_many(2, 1, to=2)
        await subject.ack(2, "1_2", (0, 2**63 - 1))
        assert (await subject.view(2, "1_2")).receive_seq == 2
        await subject.send(1, to=2)
        assert await subject.inbox_of(2, "1_2") == [3]
        assert (await subject.view(2, "1_2")).receive_seq == 2

    @ensureDeferred
    async def test_of_who_has_left_it_does_not_follow_the_group(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.quit(group, 2)
        await subject.send_many(5, 1, group=group)
        await subject.ack(2, group, (0, 1000))
        view = await subject.view(2, group)
        assert (view.max_seq, view.receive_seq) == (2, 2)

    @ensureDeferred
    async def test_the_other_one_of_a_single_chat_sees_it(self, subject: Subject) -> None:
        await subject.send_many(3, 1, to=2)
        await subject.ack(2, "1_2", (1, 2))
        assert (await subject.view(1, "1_2")).peer_receive_seq == 2
        assert (await subject.view(2, "1_2")).peer_receive_seq == 0

    @ensureDeferred
    async def test_an_ack_that_changes_nothing_is_no_change_of_the_conversation(self, subject: Subject) -> None:
        await subject.send(1, to=2)
        await subject.ack(2, "1_2", (0, 1))
        subject.time.ms += 60_000
        await subject.ack(2, "1_2", (0, 1))
        assert (await subject.store.conversations(2, "", 10, subject.time.ms)).groups == []


class TestOverdue:
    async def overdue(self, subject: Subject, *cursors: OverdueCursor, age: int = 10_000) -> dict[int, Overdue]:
        found = await subject.store.overdue(cursors, subject.time.ms - age)
        return {overdue.uid: overdue for overdue in found}

    @ensureDeferred
    async def test_only_what_is_old_enough_is_found(self, subject: Subject) -> None:
        await subject.send(1, to=2)
        subject.time.ms += 5000
        await subject.send(3, to=2)
        assert [m.group_id for o in (await self.overdue(subject, OverdueCursor(2))).values() for m in o.messages] == []
        subject.time.ms += 5001
        found = await self.overdue(subject, OverdueCursor(2))
        assert [m.group_id for m in found[2].messages] == ["1_2"]
        subject.time.ms += 5000
        found = await self.overdue(subject, OverdueCursor(2))
        assert [m.group_id for m in found[2].messages] == ["1_2", "2_3"]

    @ensureDeferred
    async def test_the_messages_are_whole(self, subject: Subject) -> None:
        stored = await subject.send(1, to=2, text="hello", at_uids=[0, 2])
        subject.time.ms += 20_000
        (found,) = (await self.overdue(subject, OverdueCursor(2)))[2].messages
        assert found.status == -4
        found.status = stored.message.status
        assert found == stored.message

    @ensureDeferred
    async def test_of_who_has_nothing_nothing_is_found(self, subject: Subject) -> None:
        await subject.send(1, to=2)
        subject.time.ms += 20_000
        found = await self.overdue(subject, OverdueCursor(1), OverdueCursor(2), OverdueCursor(9))
        assert [uid for uid, overdue in found.items() if overdue.messages] == [2]

    @ensureDeferred
    async def test_a_page_is_bounded_and_says_where_to_go_on(self, subject: Subject) -> None:
        for peer in (1, 3, 4):
            await subject.send_many(90, peer, to=2)
        subject.time.ms += 20_000
        cursor: OverdueCursor | None = OverdueCursor(2)
        pages = []
        while cursor is not None:
            page = (await self.overdue(subject, cursor)).get(2)
            cursor = page.next if page is not None else None
            pages.append([(m.group_id, m.seq_id) for m in page.messages] if page is not None else [])
        assert all(len(page) <= 100 for page in pages)
        assert list(itertools.chain(*pages)) == [
            (group, seq) for group in ("1_2", "2_3", "2_4") for seq in range(1, 91)
        ]

    @ensureDeferred
    async def test_a_page_of_large_messages_stays_within_an_answer(self, subject: Subject) -> None:
        await subject.reopen(max_body=200_000)
        await subject.send_many(10, 1, to=2, text="x" * 60_000)
        subject.time.ms += 20_000
        page = (await self.overdue(subject, OverdueCursor(2)))[2]
        assert sum(message.ByteSize() for message in page.messages) <= 200_000
        assert [message.seq_id for message in page.messages] == [1, 2, 3]
        assert page.next == OverdueCursor(2, "1_2", 3)
        assert await subject.inbox_of(2, "1_2") == list(range(1, 11))

    @ensureDeferred
    async def test_a_message_that_is_larger_than_a_page_is_found_alone(self, subject: Subject) -> None:
        await subject.reopen(max_body=71_680)
        await subject.send_many(3, 1, to=2, text="x" * 60_000)
        assert await subject.inbox_of(2, "1_2") == [1, 2, 3]
