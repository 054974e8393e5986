"""IArchive and what the system does: reads for who is no member of anything, and messages and changes of nobody's."""

from typing import Any

import pytest
from pytest_twisted import ensureDeferred

from imd.errors import BadRequestError, NotInGroupError
from imd.ports.archive import Recipient
from imd.ports.groups import GroupChange
from imd.ports.messages import Stored, Submission

from .subject import START, Subject, single


async def trace(subject: Subject, group_id: str, msg_id: str, cursor: str = "", limit: int = 100) -> Any:
    """Return where a message is."""
    return await subject.store.trace(group_id, msg_id, cursor, limit)


def system(subject: Subject, group_id: str, **fields: Any) -> Submission:
    """Return a message that is no user's."""
    given = subject.message(0, group=group_id, **fields)
    if "_" in group_id:
        given.message.group_type = 1
    return given


async def send(subject: Subject, group_id: str, **fields: Any) -> Stored:
    """Store a message that is no user's."""
    outcome = await subject.put(system(subject, group_id, **fields))
    assert isinstance(outcome, Stored), outcome
    return outcome


class TestGroups:
    @ensureDeferred
    async def test_a_group_is_shown_as_a_whole(self, subject: Subject) -> None:
        group = await subject.group(1, 2, group_name="Tea ☕", avatar="a", extra="e", join_policy=2)
        info = await subject.store.group_info(group)
        assert (info.group_id, info.group_type, info.group_name, info.avatar, info.extra) == (
            group,
            2,
            "Tea ☕",
            "a",
            "e",
        )
        assert (info.owner_id, info.join_policy, info.member_count, info.max_seq) == (1, 2, 2, 1)
        assert (info.created, info.send_time, info.is_dismissed, info.mute_until) == (START, START, False, 0)
        await subject.send(1, to=2)
        assert (await subject.store.group_info("1_2")).group_type == 1
        assert await subject.store.group_info("nothing") is None

    @ensureDeferred
    async def test_members_come_page_by_page_without_who_has_left(self, subject: Subject) -> None:
        group = await subject.group(5, 1, 9, 7)
        await subject.quit(group, 7)
        await subject.store.remember_user(1, "Ann")
        change = GroupChange(op="mute", uids=(9,), mutes={9: START + 1000, 1: START - 1})
        await subject.change(group, 5, change)
        first, cursor = await subject.store.group_members(group, "", 2)
        rest, end = await subject.store.group_members(group, cursor, 2)
        assert [(each.uid, each.role, each.mute_until, each.name) for each in (*first, *rest)] == [
            (1, 3, 0, "Ann"),
            (5, 1, 0, ""),
            (9, 3, START + 1000, ""),
        ]
        assert end == ""
        with pytest.raises(BadRequestError):
            await subject.store.group_members(group, "x", 2)


class TestTracing:
    @ensureDeferred
    async def test_each_recipient_is_told_with_how_far_they_are(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3, 4)
        said = await subject.send(1, group=group)
        seq = said.message.seq_id
        await subject.ack(2, group, (1, seq))
        await subject.read(3, group, seq)
        traced = await trace(subject, group, said.message.msg_id)
        assert traced.message.msg_body == said.message.msg_body
        assert list(traced.recipients) == [
            Recipient(2, seq, 0, is_waiting=False),
            Recipient(3, seq, seq, is_waiting=False),
            Recipient(4, 0, 0, is_waiting=True),
        ]
        pages = [await trace(subject, group, said.message.msg_id, cursor, 2) for cursor in ("", "3")]
        assert [(len(page.recipients), page.cursor) for page in pages] == [(2, "3"), (1, "")]

    @ensureDeferred
    async def test_who_came_later_or_left_before_is_no_recipient(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        await subject.quit(group, 2)
        subject.time.ms += 1
        said = await subject.send(1, group=group)
        subject.time.ms += 1
        await subject.invite(group, 1, 4)
        await subject.quit(group, 3)
        traced = await trace(subject, group, said.message.msg_id)
        assert [each.uid for each in traced.recipients] == [3]

    @ensureDeferred
    async def test_what_there_is_not_is_none(self, subject: Subject) -> None:
        said = await subject.send(1, to=2)
        assert await trace(subject, "1_2", "other") is None
        assert await trace(subject, "1_3", said.message.msg_id) is None


class TestExporting:
    @ensureDeferred
    async def test_all_messages_come_in_order_page_by_page(self, subject: Subject) -> None:
        for n in range(5):
            await subject.send(1, to=2, text=f"{n}")
        texts: list[str] = []
        cursor = ""
        for expected in (2, 2, 1):
            page = await subject.store.export("1_2", cursor, 2)
            texts += [each.msg_body for each in page.messages]
            assert len(page.messages) == expected
            cursor = page.cursor
        assert (texts, cursor) == (["0", "1", "2", "3", "4"], "")
        assert list((await subject.store.export("nothing", "", 2)).messages) == []

    @ensureDeferred
    async def test_what_somebody_deleted_for_themselves_is_exported_and_what_was_revoked_has_no_body(
        self, subject: Subject
    ) -> None:
        kept, gone = await subject.send(1, to=2, text="kept"), await subject.send(1, to=2, text="gone")
        await subject.store.hide(2, "1_2", [kept.message.seq_id])
        await subject.revoke("1_2", gone.message.msg_id, 1)
        page = await subject.store.export("1_2", "", 10)
        assert [(each.msg_body, each.msg_status) for each in page.messages[:2]] == [("kept", 0), ("", 2)]


class TestTheSystem:
    @ensureDeferred
    async def test_a_message_of_its_goes_to_both_of_a_single_chat(self, subject: Subject) -> None:
        said = await send(subject, single(1, 2))
        assert sorted(said.receivers) == [1, 2]
        for uid in (1, 2):
            assert await subject.inbox(uid) == [("1_2", 1)]
            assert (await subject.view(uid, "1_2")).unread == 1
            [pulled] = (await subject.pull(uid, "1_2")).messages
            assert (pulled.sender_id, pulled.receiver_id) == (0, 0)
        await subject.send(2, to=1)
        assert (await subject.view(1, "1_2")).unread == 2

    @ensureDeferred
    async def test_a_message_of_its_goes_to_all_of_a_group_and_none_that_has_ended(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        said = await send(subject, group)
        assert sorted(said.receivers) == [1, 2]
        assert (await subject.view(1, group)).unread == 1
        again = await subject.put(system(subject, group, msg_id=said.message.msg_id))
        assert isinstance(again, Stored)
        assert (again.repeated, again.message.seq_id) == (True, said.message.seq_id)
        await subject.quit(group, 2)
        await subject.dismiss(group, 1)
        outcomes = [await subject.put(system(subject, where)) for where in (group, "nothing")]
        assert [type(outcome) for outcome in outcomes] == [NotInGroupError] * 2
        assert (await subject.store.group_info(group)).max_seq == 4

    @ensureDeferred
    async def test_a_group_is_changed_by_it_and_every_member_learns_so(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        changed = await subject.change(group, 0, GroupChange(op="invite", uids=(3,), join=(3,)))
        assert changed.group_id == group
        for uid in (1, 2, 3):
            assert (group, 2) in await subject.inbox(uid)
        [_, control] = (await subject.pull(1, group)).messages
        assert control.sender_id == 0
        with pytest.raises(NotInGroupError):
            await subject.change("nothing", 0, None)
