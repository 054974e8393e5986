"""IConversationStore: what is unread, the same in every list, and mentions (rule 8)."""

from pytest_twisted import ensureDeferred

from imd.wire.bodies import ImGroup, UnreadCountAck

from .subject import Subject, single


async def unread(subject: Subject, uid: int, group_id: str) -> int:
    """Return what LIST_GROUP, GROUP_BY_ID and UNREAD_COUNT tell, which is one number."""
    (listed,) = (g for g in (await subject.store.conversations(uid, "", 50, 0)).groups if g.group_id == group_id)
    view = await subject.view(uid, group_id)
    asked = await subject.store.unread(uid, [group_id])
    of_all = await subject.store.unread(uid, [])
    (among_all,) = [g.unread for g in of_all.groups if g.group_id == group_id] or [0]
    assert {listed.unread, view.unread, asked.total, asked.groups[0].unread, among_all} == {view.unread}
    return view.unread


class TestCounting:
    """After max(read_seq, init_seq), not mine, countable; counting stops at 1,000."""

    @ensureDeferred
    async def test_the_others_messages_count(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        await subject.send_many(3, 1, group=group)
        await subject.send_many(2, 2, group=group)
        assert [await unread(subject, uid, group) for uid in (1, 2, 3)] == [2, 3, 5]

    @ensureDeferred
    async def test_messages_that_do_not_count_do_not(self, subject: Subject) -> None:
        for whether_non_count in (1, 0, 2, -1):
            await subject.send(1, to=2, whether_non_count=whether_non_count)
        assert await unread(subject, 2, "1_2") == 1

    @ensureDeferred
    async def test_control_messages_do_not_count(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.invite(group, 1, 3)
        assert await unread(subject, 2, group) == 0

    @ensureDeferred
    async def test_an_ack_is_no_reading(self, subject: Subject) -> None:
        await subject.send_many(3, 1, to=2)
        await subject.ack(2, "1_2", (0, 3))
        assert await unread(subject, 2, "1_2") == 3

    @ensureDeferred
    async def test_my_own_do_not_count_wherever_they_are(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        for sender in (1, 2, 1, 1, 2):
            await subject.send(sender, group=group)
        for read_seq, left in ((1, 3), (2, 2), (3, 2), (4, 1), (5, 0), (6, 0)):
            await subject.read(2, group, read_seq)
            assert await unread(subject, 2, group) == left, read_seq

    @ensureDeferred
    async def test_a_chat_with_oneself_has_nothing_unread(self, subject: Subject) -> None:
        await subject.send_many(3, 5, to=5)
        assert await unread(subject, 5, "5_5") == 0
        await subject.read(5, "5_5", 2)
        assert await unread(subject, 5, "5_5") == 0

    @ensureDeferred
    async def test_what_was_said_before_one_came_does_not_count(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send_many(3, 1, group=group)
        await subject.invite(group, 1, 3)
        await subject.send(1, group=group)
        assert await unread(subject, 3, group) == 1

    @ensureDeferred
    async def test_who_has_left_has_nothing_unread(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send_many(3, 1, group=group)
        await subject.quit(group, 2)
        assert await unread(subject, 2, group) == 0

    @ensureDeferred
    async def test_who_comes_back_counts_from_there(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send_many(3, 1, group=group)
        await subject.quit(group, 2)
        await subject.send_many(2, 1, group=group)
        await subject.invite(group, 1, 2)
        assert await unread(subject, 2, group) == 0
        await subject.send_many(2, 1, group=group)
        assert await unread(subject, 2, group) == 2

    @ensureDeferred
    async def test_counting_stops_at_a_thousand(self, subject: Subject) -> None:
        await subject.send_many(1000, 1, to=2)
        assert await unread(subject, 2, "1_2") == 1000
        await subject.send_many(5, 1, to=2)
        assert await unread(subject, 2, "1_2") == 1000
        await subject.read(2, "1_2", 5)
        assert await unread(subject, 2, "1_2") == 1000
        await subject.read(2, "1_2", 6)
        assert await unread(subject, 2, "1_2") == 999

    @ensureDeferred
    async def test_it_is_the_same_after_a_restart(self, subject: Subject) -> None:
        await subject.send_many(3, 1, to=2)
        await subject.read(2, "1_2", 1)
        await subject.reopen()
        await subject.send(1, to=2)
        assert await unread(subject, 2, "1_2") == 3


class TestUnreadCount:
    async def asked(self, subject: Subject, uid: int, *group_ids: str) -> UnreadCountAck:
        answer: UnreadCountAck = await subject.store.unread(uid, list(group_ids))
        return answer

    @ensureDeferred
    async def test_who_asks_for_all_gets_those_with_something_unread(self, subject: Subject) -> None:
        group = await subject.group(2, 1)
        left = await subject.group(1, 2)
        await subject.send_many(4, 1, group=left)
        await subject.quit(left, 2)
        await subject.send_many(3, 1, group=group, at_uids=[2])
        await subject.send_many(2, 3, to=2)
        await subject.send(2, to=4)
        await subject.read(2, group, 2)
        assert await self.asked(subject, 2) == UnreadCountAck(
            total=4,
            groups=[
                ImGroup(group_id="2_3", group_type=1, max_seq=2, unread=2),
                ImGroup(group_id=group, group_type=2, max_seq=4, read_seq=2, unread=2, at_seq=4),
            ],
        )
        assert await self.asked(subject, 9) == UnreadCountAck()

    @ensureDeferred
    async def test_who_asks_for_some_gets_those_that_are_theirs(self, subject: Subject) -> None:
        group, left = await subject.group(1, 2), await subject.group(1, 2)
        await subject.quit(left, 2)
        await subject.send(1, to=2)
        await subject.send(1, to=3)
        answer = await self.asked(subject, 2, group, "1_2", left, "1_3", "nowhere", "")
        assert answer.total == 1
        assert {(found.group_id, found.max_seq, found.unread) for found in answer.groups} == {
            (group, 1, 0),
            ("1_2", 1, 1),
            (left, 2, 0),
        }

    @ensureDeferred
    async def test_the_total_is_the_sum_of_what_is_told_of_each(self, subject: Subject) -> None:
        for peer, number in ((1, 1000), (1, 1), (3, 2)):
            await subject.send_many(number, peer, to=2)
        answer = await self.asked(subject, 2)
        assert (answer.total, [found.unread for found in answer.groups]) == (1002, [1000, 2])

    @ensureDeferred
    async def test_the_total_is_right_where_an_answer_has_no_room_for_all(self, subject: Subject) -> None:
        await subject.reopen(max_body=2048)
        for peer in range(10, 50):
            await subject.send(peer, to=2)
        answer = await self.asked(subject, 2)
        assert answer.total == 40
        assert 0 < len(answer.groups) < 40
        assert answer.ByteSize() <= 2048


class TestMentions:
    """at_seq is the newest unread mention of me."""

    async def at_seqs(self, subject: Subject, group_id: str, *uids: int) -> list[int]:
        return [(await subject.view(uid, group_id)).at_seq for uid in uids]

    @ensureDeferred
    async def test_who_is_named_is_mentioned_and_nobody_else(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3, 4)
        await subject.send(1, group=group, at_uids=[3, 4, 99])
        await subject.send(1, group=group, at_uids=[4, 3])
        await subject.send(1, group=group, at_uids=[4])
        assert await self.at_seqs(subject, group, 1, 2, 3, 4) == [0, 0, 3, 4]

    @ensureDeferred
    async def test_zero_is_everybody_but_the_sender(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        await subject.send(1, group=group, at_uids=[0])
        assert await self.at_seqs(subject, group, 1, 2, 3) == [0, 2, 2]

    @ensureDeferred
    async def test_who_mentions_themselves_is_not_mentioned(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(1, group=group, at_uids=[1, 2])
        assert await self.at_seqs(subject, group, 1, 2) == [0, 2]

    @ensureDeferred
    async def test_in_a_single_chat_it_is_the_other_one(self, subject: Subject) -> None:
        await subject.send(1, to=2, at_uids=[2])
        await subject.send(2, to=1, at_uids=[0])
        await subject.send(5, to=5, at_uids=[5])
        assert await self.at_seqs(subject, single(1, 2), 1, 2) == [2, 1]
        assert await self.at_seqs(subject, "5_5", 5) == [0]

    @ensureDeferred
    async def test_one_that_is_read_is_none(self, subject: Subject) -> None:
        await subject.send_many(2, 1, to=2, at_uids=[2])
        await subject.read(2, "1_2", 1)
        assert await self.at_seqs(subject, "1_2", 2) == [2]
        await subject.read(2, "1_2", 2)
        assert await self.at_seqs(subject, "1_2", 2) == [0]

    @ensureDeferred
    async def test_a_message_that_is_stored_again_mentions_nobody_again(self, subject: Subject) -> None:
        await subject.send(1, to=2, msg_id="m", at_uids=[2])
        await subject.send(1, to=2)
        await subject.read(2, "1_2", 2)
        assert (await subject.send(1, to=2, msg_id="m", at_uids=[2])).repeated
        assert await self.at_seqs(subject, "1_2", 2) == [0]

    @ensureDeferred
    async def test_who_comes_later_or_has_left_or_comes_back_has_none(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        await subject.send(1, group=group, at_uids=[0])
        await subject.invite(group, 1, 4)
        await subject.quit(group, 2)
        await subject.quit(group, 3)
        await subject.invite(group, 1, 3)
        assert await self.at_seqs(subject, group, 2, 3, 4) == [0, 0, 0]
        await subject.send(1, group=group, at_uids=[0])
        assert await self.at_seqs(subject, group, 2, 3, 4) == [0, 7, 7]
