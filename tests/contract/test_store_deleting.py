"""IMessageStore: messages that a user deletes, and histories that a user clears, for themselves alone."""

from typing import Any

import pytest
from pytest_twisted import ensureDeferred

from imd.errors import NotFoundError, NotInGroupError
from imd.storage import conversations, unread
from imd.wire.bodies import ImMsg

from .subject import Subject, single


def tombstone(group_id: str, group_type: int, seq_id: int) -> ImMsg:
    return ImMsg(group_id=group_id, group_type=group_type, seq_id=seq_id, msg_status=1)


async def hide(subject: Subject, uid: int, group_id: str, *seq_ids: int) -> list[int]:
    """Delete messages, and return of which there are new tombstones."""
    changed = await subject.store.hide(uid, group_id, seq_ids)
    return [message.seq_id for message in changed.messages] if changed is not None else []


async def bodies(subject: Subject, uid: int, group_id: str) -> list[str]:
    return [message.msg_body for message in (await subject.pull(uid, group_id)).messages]


class TestDeleting:
    @ensureDeferred
    async def test_a_pull_holds_a_tombstone_in_its_place(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send_many(3, 1, group=group, at_uids=[2])
        await subject.store.hide(2, group, [3])
        page = await subject.pull(2, group)
        assert [message.seq_id for message in page.messages] == [1, 2, 3, 4]
        assert page.messages[2] == tombstone(group, 2, 3)

    @ensureDeferred
    async def test_the_others_see_it_as_before(self, subject: Subject) -> None:
        await subject.send_many(2, 1, to=2)
        await subject.store.hide(1, "1_2", [1])
        assert await bodies(subject, 1, "1_2") == ["", "hi"]
        assert await bodies(subject, 2, "1_2") == ["hi", "hi"]

    @ensureDeferred
    async def test_the_answer_is_the_conversation_and_the_new_tombstones(self, subject: Subject) -> None:
        await subject.send_many(4, 1, to=2)
        changed = await subject.store.hide(2, "1_2", [4, 2, 4])
        assert list(changed.groups) == [await subject.view(2, "1_2")]
        assert list(changed.messages) == [tombstone("1_2", 1, 2), tombstone("1_2", 1, 4)]

    @ensureDeferred
    async def test_again_changes_nothing(self, subject: Subject) -> None:
        await subject.send_many(4, 1, to=2)
        await subject.store.hide(2, "1_2", [1, 2])
        subject.time.ms += 60_000
        assert await subject.store.hide(2, "1_2", [1, 2]) is None
        assert await subject.changed(2) == []
        assert await hide(subject, 2, "1_2", 1, 2, 3) == [3]
        assert (await subject.view(2, "1_2")).unread == 1

    @ensureDeferred
    async def test_what_is_cleared_or_before_ones_own_time_is_passed_over(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send_many(3, 1, group=group)
        await subject.invite(group, 1, 3)
        await subject.store.clear(2, group, 2)
        assert await subject.store.hide(2, group, [1, 2]) is None
        assert await hide(subject, 3, group, 1, 4) == []
        assert await hide(subject, 3, group, 4, 5) == [5]

    @ensureDeferred
    async def test_past_the_end_is_not_found_and_nothing_is_deleted(self, subject: Subject) -> None:
        await subject.send_many(3, 1, to=2)
        with pytest.raises(NotFoundError):
            await subject.store.hide(2, "1_2", [1, 4])
        assert await bodies(subject, 2, "1_2") == ["hi"] * 3

    @ensureDeferred
    async def test_who_has_left_deletes_within_what_they_see(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(1, group=group)
        await subject.quit(group, 2)
        await subject.send(1, group=group)
        assert await hide(subject, 2, group, 2, 3) == [2, 3]
        with pytest.raises(NotFoundError):
            await subject.store.hide(2, group, [4])
        assert [message.msg_status for message in (await subject.pull(2, group)).messages] == [0, 1, 1]
        assert await subject.inbox_of(2, group) == [1]

    @ensureDeferred
    async def test_who_was_never_there_is_refused(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        for uid, group_id in ((9, group), (1, "nowhere"), (1, "1_2")):
            with pytest.raises(NotInGroupError):
                await subject.store.hide(uid, group_id, [1])
            with pytest.raises(NotInGroupError):
                await subject.store.clear(uid, group_id, 1)

    @ensureDeferred
    async def test_the_last_message_is_the_newest_that_is_left(self, subject: Subject) -> None:
        await subject.send_many(4, 1, to=2)
        for seq_ids, last in (((2,), 4), ((4,), 3), ((3,), 1), ((1,), 0)):
            await subject.store.hide(2, "1_2", seq_ids)
            assert (await subject.view(2, "1_2")).last_message.seq_id == last
        assert not (await subject.view(2, "1_2")).HasField("last_message")
        assert (await subject.view(1, "1_2")).last_message.seq_id == 4
        await subject.send(1, to=2)
        assert (await subject.view(2, "1_2")).last_message.seq_id == 5

    @ensureDeferred
    async def test_the_last_message_of_who_has_left_is_too(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.quit(group, 2)
        await subject.send(1, group=group)
        await subject.store.hide(2, group, [2])
        assert (await subject.view(2, group)).last_message.seq_id == 1

    @ensureDeferred
    async def test_it_is_no_longer_unread_where_it_was(self, subject: Subject) -> None:
        await subject.send_many(4, 1, to=2)  # 1 is read, 2 and 3 are deleted
        await subject.send(1, to=2, whether_non_count=1)
        await subject.send(2, to=1)
        await subject.send(1, to=2, msg_id="m")
        await subject.revoke("1_2", "m", 1)
        await subject.read(2, "1_2", 1)
        for seq_ids, left in (((1,), 3), ((2, 3), 1), ((5, 6, 7, 8), 1), ((4,), 0)):
            await subject.store.hide(2, "1_2", seq_ids)
            assert (await subject.view(2, "1_2")).unread == left, seq_ids

    @ensureDeferred
    async def test_it_is_not_counted_where_a_mark_rises_to_before_it_or_past_it(
        self, subject: Subject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for peer, step in ((1, 100), (3, 1)):
            monkeypatch.setattr(unread, "STEP", step)
            group_id = single(peer, 2)
            await subject.send_many(8, peer, to=2)
            await subject.store.hide(2, group_id, [2, 6, 7])
            for read_seq, left in ((1, 4), (3, 3), (5, 1), (6, 1), (7, 1), (8, 0)):
                await subject.read(2, group_id, read_seq)
                assert (await subject.view(2, group_id)).unread == left, (step, read_seq)

    @ensureDeferred
    async def test_it_leaves_the_inbox_and_counts_as_received(self, subject: Subject) -> None:
        await subject.send_many(4, 1, to=2)
        await subject.store.hide(2, "1_2", [1, 3])
        assert await subject.inbox_of(2, "1_2") == [2, 4]
        assert (await subject.view(2, "1_2")).receive_seq == 1
        assert list((await subject.send(1, to=2, msg_id="m")).receivers) == [2]
        await subject.store.hide(2, "1_2", [5])
        assert list((await subject.send(1, to=2, msg_id="m")).receivers) == []

    @ensureDeferred
    async def test_a_deleted_mention_gives_way_to_the_next_older_one(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        for at_uids in ([2], [], [0], [2]):
            await subject.send(1, group=group, at_uids=at_uids)
        for seq_ids, at_seq in (((3,), 5), ((5,), 4), ((4, 2), 0)):
            await subject.store.hide(2, group, seq_ids)
            assert (await subject.view(2, group)).at_seq == at_seq

    @ensureDeferred
    async def test_a_message_that_is_revoked_later_stays_deleted(self, subject: Subject) -> None:
        await subject.send(1, to=2, msg_id="m")
        await subject.store.hide(2, "1_2", [1])
        await subject.revoke("1_2", "m", 1)
        assert (await subject.pull(2, "1_2")).messages[0] == tombstone("1_2", 1, 1)


class TestTombstonesInLists:
    async def tombstones(self, subject: Subject, uid: int, since: int) -> list[tuple[str, int]]:
        page = await subject.store.conversations(uid, "", 50, since)
        for message in page.messages:
            assert message == tombstone(message.group_id, message.group_type, message.seq_id)
        return [(message.group_id, message.seq_id) for message in page.messages]

    @ensureDeferred
    async def test_what_was_deleted_since_then_is_listed(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send_many(3, 1, to=2)
        await subject.store.hide(2, "1_2", [1])
        subject.time.ms += 60_000
        since = subject.time.ms
        await subject.store.hide(2, "1_2", [3, 2])
        await subject.store.hide(2, group, [1])
        assert sorted(await self.tombstones(subject, 2, since)) == [("1_2", 2), ("1_2", 3), (group, 1)]
        assert await self.tombstones(subject, 2, since + 1) == []
        assert await self.tombstones(subject, 1, since) == []
        assert await self.tombstones(subject, 2, 0) == []  # who lists all pulls all

    @ensureDeferred
    async def test_the_newest_ones_of_each_conversation_are(
        self, subject: Subject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(conversations, "MAX_TOMBSTONES", 3)
        for peer in (1, 3):
            await subject.send_many(5, peer, to=2)
        await subject.store.hide(2, "1_2", [5, 4, 3, 2, 1])
        await subject.store.hide(2, "2_3", [1, 2])
        found = await self.tombstones(subject, 2, subject.time.ms)
        assert sorted(found) == [("1_2", 3), ("1_2", 4), ("1_2", 5), ("2_3", 1), ("2_3", 2)]

    @ensureDeferred
    async def test_what_was_cleared_after_it_was_deleted_is_not(self, subject: Subject) -> None:
        await subject.send_many(3, 1, to=2)
        await subject.store.hide(2, "1_2", [1, 3])
        await subject.store.clear(2, "1_2", 2)
        assert await self.tombstones(subject, 2, subject.time.ms) == [("1_2", 3)]

    @ensureDeferred
    async def test_what_was_before_one_came_back_is_not(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.store.hide(2, group, [1])
        await subject.quit(group, 2)
        await subject.invite(group, 1, 2)
        assert await self.tombstones(subject, 2, subject.time.ms) == []

    @ensureDeferred
    async def test_a_page_stays_within_an_answer(self, subject: Subject) -> None:
        await subject.reopen(max_body=8 * 1024)
        for peer in (3, 4, 5):
            await subject.send_many(100, peer, to=2)
            await subject.store.hide(2, f"2_{peer}", list(range(1, 101)))
        found: list[Any] = []
        cursor, pages = "", 0
        while cursor or not pages:
            page = await subject.store.conversations(2, cursor, 50, subject.time.ms)
            assert page.ByteSize() <= 8 * 1024
            found += page.messages
            cursor, pages = page.cursor, pages + 1
        assert len(found) == 300
        assert pages > 1


class TestClearing:
    @ensureDeferred
    async def test_history_begins_after_it(self, subject: Subject) -> None:
        await subject.send_many(5, 1, to=2)
        changed = await subject.store.clear(2, "1_2", 3)
        assert list(changed.groups) == [await subject.view(2, "1_2")]
        assert list(changed.messages) == []
        page = await subject.pull(2, "1_2")
        assert ([message.seq_id for message in page.messages], page.has_more) == ([4, 5], False)
        view = await subject.view(2, "1_2")
        assert (view.init_seq, view.read_seq, view.unread, view.last_message.seq_id) == (3, 0, 2, 5)

    @ensureDeferred
    async def test_the_others_keep_theirs(self, subject: Subject) -> None:
        await subject.send_many(3, 1, to=2)
        await subject.store.clear(2, "1_2", 3)
        assert await subject.pulled(1, "1_2") == [1, 2, 3]
        assert (await subject.view(1, "1_2")).init_seq == 0

    @ensureDeferred
    async def test_all_of_it_leaves_no_last_message(self, subject: Subject) -> None:
        await subject.send_many(3, 1, to=2)
        await subject.store.clear(2, "1_2", 3)
        view = await subject.view(2, "1_2")
        assert not view.HasField("last_message")
        assert (view.max_seq, view.unread) == (3, 0)
        assert await subject.pulled(2, "1_2") == []

    @ensureDeferred
    async def test_past_the_end_is_the_end(self, subject: Subject) -> None:
        await subject.send_many(3, 1, to=2)
        await subject.store.clear(2, "1_2", 2**63 - 1)
        await subject.send(1, to=2)
        view = await subject.view(2, "1_2")
        assert (view.init_seq, view.unread) == (3, 1)
        assert await subject.pulled(2, "1_2") == [4]

    @ensureDeferred
    async def test_what_is_cleared_already_changes_nothing(self, subject: Subject) -> None:
        await subject.send_many(3, 1, to=2)
        await subject.store.clear(2, "1_2", 2)
        subject.time.ms += 60_000
        for init_seq in (2, 1, 0):
            assert await subject.store.clear(2, "1_2", init_seq) is None
        assert (await subject.view(2, "1_2")).init_seq == 2
        assert await subject.changed(2) == []

    @ensureDeferred
    async def test_what_is_read_already_stays_read(self, subject: Subject) -> None:
        await subject.send_many(5, 1, to=2)
        await subject.read(2, "1_2", 4)
        await subject.store.clear(2, "1_2", 2)
        view = await subject.view(2, "1_2")
        assert (view.init_seq, view.read_seq, view.unread) == (2, 4, 1)
        await subject.store.clear(2, "1_2", 5)
        assert (await subject.view(2, "1_2")).unread == 0

    @ensureDeferred
    async def test_the_inbox_is_cleared_with_it(self, subject: Subject) -> None:
        await subject.send_many(5, 1, to=2)
        await subject.store.clear(2, "1_2", 3)
        assert await subject.inbox_of(2, "1_2") == [4, 5]
        assert (await subject.view(2, "1_2")).receive_seq == 3

    @ensureDeferred
    async def test_a_mention_is_forgotten_where_it_is_covered(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        await subject.send(1, group=group, at_uids=[2])
        await subject.send(1, group=group, at_uids=[3])
        for uid in (2, 3):
            await subject.store.clear(uid, group, 2)
        assert [(await subject.view(uid, group)).at_seq for uid in (2, 3)] == [0, 3]

    @ensureDeferred
    async def test_who_has_left_clears_what_they_see(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.quit(group, 2)
        await subject.send(1, group=group)
        await subject.store.clear(2, group, 100)
        view = await subject.view(2, group)
        assert (view.init_seq, view.max_seq, view.unread) == (2, 2, 0)
        assert await subject.pulled(2, group) == []
