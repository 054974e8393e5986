"""IMessageStore: who may send. Mutes and other refusals, blocks, and what is only passed through."""

from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred

from imd.errors import BlockedError, MutedError, NotInGroupError, RefusedError
from imd.ports.groups import GroupChange
from imd.ports.messages import Members, Stored
from imd.wire.bodies import ImMsg

from .subject import START, Subject, seqs


def only_chiefs(message: ImMsg, members: Members, _now: int) -> None:
    """Refuse whom the owner has not made an admin."""
    if members.roles[message.sender_id] == 3:
        raise MutedError("muted")


class TestCheck:
    """What a group's rights say is asked of every message into it, inside the transaction."""

    @ensureDeferred
    async def test_it_is_asked_with_the_members_as_they_are_and_the_time(self, subject: Subject) -> None:
        asked: list[tuple[int, Members, int]] = []
        group = await subject.group(1, 2, 3)
        changes = (
            GroupChange(op="role", roles={2: 2}),
            GroupChange(op="mute", mutes={3: START + 5}),
            GroupChange(op="mute", fields={"mute_until": START + 7}),
        )
        for change in changes:
            await subject.change(group, 1, change)
        subject.check = lambda message, members, now: asked.append((message.sender_id, members, now))
        subject.time.ms += 1
        sent = await subject.send(2, group=group)
        ((sender, members, now),) = asked
        assert (sender, dict(members.roles), now) == (2, {1: 1, 2: 2, 3: 3}, START + 1)
        assert (dict(members.mutes), members.mute_until) == ({3: START + 5}, START + 7)
        assert sent.members == members

    @ensureDeferred
    async def test_a_cache_from_before_a_change_is_not_what_it_is_asked_with(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        stale = (await subject.send(1, group=group)).members
        subject.check = only_chiefs
        await subject.change(group, 1, GroupChange(op="role", roles={2: 2}))
        assert (await subject.send(2, group=group, members=stale)).message.seq_id == 4

    @ensureDeferred
    async def test_of_a_single_chat_and_the_broadcast_stream_it_is_not_asked(self, subject: Subject) -> None:
        def fail(*_: Any) -> None:
            raise MutedError("asked")

        subject.check = fail
        for where in ({"to": 2}, {"group": "system"}):
            assert (await subject.send(1, **where)).message.seq_id == 1

    @ensureDeferred
    async def test_who_is_not_in_the_group_is_told_that_first(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        subject.check = only_chiefs
        with pytest.raises(NotInGroupError):
            await subject.send(9, group=group)

    @ensureDeferred
    async def test_who_is_refused_leaves_no_gap(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        subject.check = only_chiefs
        outcomes = await subject.put_all(*(subject.message(uid, group=group) for uid in (1, 2, 2, 1, 2)))
        assert seqs(outcomes) == [2, MutedError, MutedError, 3, MutedError]
        assert seqs(await subject.put_all(subject.message(2, group=group))) == [MutedError]
        assert await subject.pulled(1, group) == await subject.inbox_of(2, group) == [1, 2, 3]
        assert (await subject.send(1, group=group)).message.seq_id == 4

    @ensureDeferred
    async def test_what_is_refused_is_never_unread(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        subject.check = only_chiefs
        await subject.put_all(
            subject.message(2, group=group),
            subject.message(1, group=group),
            subject.message(2, group=group, whether_non_count=1),
        )
        await subject.put_all(subject.message(2, group=group))
        assert [(await subject.view(uid, group)).unread for uid in (1, 2, 3)] == [0, 1, 1]
        await subject.read(3, group, 2)
        assert (await subject.view(3, group)).unread == 0

    @ensureDeferred
    async def test_what_is_refused_mentions_nobody(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        subject.check = only_chiefs
        await subject.put_all(subject.message(2, group=group, at_uids=[3]), subject.message(1, group=group))
        assert (await subject.view(3, group)).at_seq == 0

    @ensureDeferred
    async def test_who_is_refused_does_not_move_the_group_in_lists(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        subject.check = only_chiefs
        subject.time.ms += 60_000
        await subject.send(1, to=2)
        subject.time.ms += 60_000
        with pytest.raises(MutedError):
            await subject.send(2, group=group)
        assert [await subject.changed(uid) for uid in (1, 2)] == [[], []]
        page = await subject.store.conversations(1, "", 10, 0)
        assert [view.group_id for view in page.groups] == ["1_2", group]

    @ensureDeferred
    async def test_a_repeat_of_who_may_no_longer_send_is_answered_with_the_first(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(2, group=group, msg_id="m")
        subject.check = only_chiefs
        again = await subject.send(2, group=group, msg_id="m")
        assert (again.repeated, again.message.seq_id) == (True, 2)
        with pytest.raises(MutedError):
            await subject.send(2, group=group, msg_id="m", text="other")
        assert (await subject.send(1, group=group)).message.seq_id == 3


class TestBlocks:
    """Who is blocked by the other one of a single chat is refused there."""

    @ensureDeferred
    async def test_who_is_blocked_is_refused_and_the_other_one_is_not(self, subject: Subject) -> None:
        await subject.send(1, to=2)
        await subject.store.block(2, [1], 10)
        outcomes = await subject.put_all(
            subject.message(1, to=2), subject.message(2, to=1), subject.message(1, to=2), subject.message(1, to=3)
        )
        assert seqs(outcomes) == [BlockedError, 2, BlockedError, 1]
        assert await subject.pulled(2, "1_2") == [1, 2]
        assert (await subject.view(1, "1_2")).unread == 1

    @ensureDeferred
    async def test_a_first_message_that_is_refused_makes_no_conversation(self, subject: Subject) -> None:
        await subject.store.block(2, [1], 10)
        with pytest.raises(BlockedError):
            await subject.send(1, to=2)
        for uid in (1, 2):
            assert (await subject.store.conversations(uid, "", 10, 0)).groups == []
            with pytest.raises(NotInGroupError):
                await subject.pull(uid, "1_2")
        assert (await subject.send(2, to=1)).message.seq_id == 1

    @ensureDeferred
    async def test_a_refused_message_does_not_move_the_chat_in_lists(self, subject: Subject) -> None:
        await subject.send(1, to=2)
        await subject.store.block(2, [1], 10)
        subject.time.ms += 60_000
        with pytest.raises(BlockedError):
            await subject.send(1, to=2)
        assert [await subject.changed(uid) for uid in (1, 2)] == [[], []]

    @ensureDeferred
    async def test_in_groups_nobody_is_blocked(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.store.block(2, [1], 10)
        assert list((await subject.send(1, group=group)).receivers) == [2]

    @ensureDeferred
    async def test_a_repeat_of_who_was_blocked_later_is_answered_with_the_first(self, subject: Subject) -> None:
        await subject.send(1, to=2, msg_id="m")
        await subject.store.block(2, [1], 10)
        assert (await subject.send(1, to=2, msg_id="m")).repeated
        with pytest.raises(BlockedError):
            await subject.send(1, to=2, msg_id="m", text="other")

    @ensureDeferred
    async def test_who_is_blocked_no_longer_may_send_again(self, subject: Subject) -> None:
        await subject.store.block(2, [1], 10)
        await subject.store.unblock(2, [1])
        assert (await subject.send(1, to=2)).message.seq_id == 1

    @ensureDeferred
    async def test_a_block_between_two_messages_of_one_batch_is_between_them(self, subject: Subject) -> None:
        before = subject.put(subject.message(1, to=2))
        blocked = Deferred.fromCoroutine(subject.store.block(2, [1], 10))
        after = subject.put(subject.message(1, to=2))
        assert seqs([await before, await after]) == [1, BlockedError]
        await blocked


class TestPassthrough:
    """What is passed through takes the same checks and is not kept."""

    async def passes(self, subject: Subject, sender: int, **where: Any) -> Stored:
        return await subject.send(sender, msg_type=99, **where)

    @ensureDeferred
    async def test_it_goes_to_the_members_without_a_seq(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        subject.time.ms += 5
        stored = await self.passes(subject, 1, group=group)
        assert sorted(stored.receivers) == [2, 3]
        message = stored.message
        assert (message.seq_id, message.send_time, message.group_name) == (0, START + 5, "Tea")
        assert tuple((await self.passes(subject, 1, to=2)).receivers) == (2,)
        assert tuple((await self.passes(subject, 1, to=1)).receivers) == ()

    @ensureDeferred
    async def test_nothing_of_it_is_kept(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(1, to=2)
        subject.time.ms += 60_000
        for where in ({"group": group}, {"to": 2}):
            await self.passes(subject, 1, at_uids=[2], **where)
        assert [await subject.changed(uid) for uid in (1, 2)] == [[], []]
        assert await subject.pulled(2, group) == await subject.pulled(2, "1_2") == [1]
        assert await subject.inbox(2) == [("1_2", 1), (group, 1)]
        view = await subject.view(2, group)
        assert (view.max_seq, view.unread, view.at_seq) == (1, 0, 0)
        assert (await subject.send(1, group=group)).message.seq_id == 2

    @ensureDeferred
    async def test_the_first_in_a_single_chat_makes_no_conversation(self, subject: Subject) -> None:
        await self.passes(subject, 1, to=2)
        assert (await subject.store.conversations(1, "", 10, 0)).groups == []
        assert (await subject.store.conversations(2, "", 10, 0)).groups == []
        assert (await subject.send(1, to=2)).message.seq_id == 1

    @ensureDeferred
    async def test_its_id_can_be_used_again(self, subject: Subject) -> None:
        for _ in range(2):
            assert not (await self.passes(subject, 1, to=2, msg_id="m")).repeated
        assert not (await subject.send(1, to=2, msg_id="m")).repeated

    @ensureDeferred
    async def test_between_messages_of_one_batch_it_leaves_no_gap(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        outcomes = await subject.put_all(
            subject.message(1, group=group),
            subject.message(1, group=group, msg_type=99),
            subject.message(2, group=group),
            subject.message(9, group=group, msg_type=99),
            subject.message(1, to=2, msg_type=99),
            subject.message(1, group=group),
        )
        assert seqs(outcomes) == [2, 0, 3, NotInGroupError, 0, 4]
        assert await subject.pulled(2, group) == [1, 2, 3, 4]

    @ensureDeferred
    async def test_who_may_not_send_may_not_pass_anything_through(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        subject.check = only_chiefs
        await subject.store.block(2, [1], 10)
        refusals: list[tuple[int, dict[str, Any], type[RefusedError]]] = [
            (2, {"group": group}, MutedError),
            (9, {"group": group}, NotInGroupError),
            (1, {"group": "nowhere"}, NotInGroupError),
            (1, {"to": 2}, BlockedError),
        ]
        for sender, where, error in refusals:
            with pytest.raises(error):
                await self.passes(subject, sender, **where)
        assert (await subject.send(1, group=group)).message.seq_id == 2

    @ensureDeferred
    async def test_a_stale_cache_is_noticed(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        stale = (await self.passes(subject, 1, group=group)).members
        assert stale is not None
        assert (await self.passes(subject, 1, group=group, members=stale)).members is None
        await subject.invite(group, 1, 3)
        assert sorted((await self.passes(subject, 1, group=group, members=stale)).receivers) == [2, 3]
