"""Every store: the broadcast stream, which is stored once for everybody."""

import json
from typing import Any

import pytest
from pytest_twisted import ensureDeferred

from imd.errors import ConflictError, NotFoundError, NotInGroupError
from imd.ports.messages import Raised, Revocation, Stored, Watermark
from imd.wire.bodies import ImGroup
from imd.wire.enums import SYSTEM_GROUP

from .subject import START, Subject


async def arrive(subject: Subject, *uids: int) -> None:
    """Let users log in for the first time."""
    for uid in uids:
        await subject.store.remember_user(uid, "")


async def broadcast(subject: Subject, number: int = 1, **what: Any) -> list[int]:
    return await subject.send_many(number, 7, group=SYSTEM_GROUP, **what)


async def unread(subject: Subject, uid: int) -> int:
    """Return what every list tells, which is one number."""
    (listed,) = (await subject.store.conversations(uid, "", 10, 0)).groups
    asked = await subject.store.unread(uid, [SYSTEM_GROUP])
    of_all = await subject.store.unread(uid, [])
    view = await subject.view(uid, SYSTEM_GROUP)
    assert {listed.unread, asked.groups[0].unread, asked.total, of_all.total} == {view.unread}
    return view.unread


def written(subject: Subject) -> list[Any]:
    """Return what no port shows: every user's row of the stream, and all inboxes."""
    with subject.store._database.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM x_conversation WHERE uid <> 7 ORDER BY uid").all()
        return [rows, connection.exec_driver_sql("SELECT * FROM x_inbox").all()]


class TestConversation:
    @ensureDeferred
    async def test_everybody_has_it_from_their_first_login_on(self, subject: Subject) -> None:
        await arrive(subject, 2)
        view = await subject.view(2, SYSTEM_GROUP)
        assert view == ImGroup(group_id=SYSTEM_GROUP, group_type=3)
        assert [group.group_id for group in (await subject.store.conversations(2, "", 10, 0)).groups] == [SYSTEM_GROUP]
        assert (await subject.store.conversations(3, "", 10, 0)).groups == []

    @ensureDeferred
    async def test_it_begins_at_what_is_its_end_then(self, subject: Subject) -> None:
        await broadcast(subject, 3)
        await arrive(subject, 2)
        view = await subject.view(2, SYSTEM_GROUP)
        assert (view.max_seq, view.init_seq, view.read_seq, view.receive_seq, view.unread) == (3, 3, 3, 3, 0)
        assert await subject.pulled(2, SYSTEM_GROUP) == []
        await broadcast(subject)
        assert await subject.pulled(2, SYSTEM_GROUP) == [4]
        assert await unread(subject, 2) == 1

    @ensureDeferred
    async def test_a_later_login_changes_nothing(self, subject: Subject) -> None:
        await arrive(subject, 2)
        await broadcast(subject, 3)
        await arrive(subject, 2)
        assert await subject.pulled(2, SYSTEM_GROUP) == [1, 2, 3]

    @ensureDeferred
    async def test_it_is_listed_by_its_newest_message(self, subject: Subject) -> None:
        await arrive(subject, 2)
        subject.time.ms += 1000
        await subject.send(1, to=2)
        subject.time.ms += 1000
        await broadcast(subject, text="hello")
        groups = (await subject.store.conversations(2, "", 10, 0)).groups
        assert [group.group_id for group in groups] == [SYSTEM_GROUP, "1_2"]
        assert (groups[0].last_message.msg_body, groups[0].last_message.status) == ("hello", -4)
        assert await subject.changed(2) == [SYSTEM_GROUP]

    @ensureDeferred
    async def test_who_has_never_logged_in_has_none(self, subject: Subject) -> None:
        await broadcast(subject)
        assert (await subject.store.conversations_by_id(9, [SYSTEM_GROUP])).groups == []
        with pytest.raises(NotInGroupError):
            await subject.pull(9, SYSTEM_GROUP)
        assert (await subject.read(9, SYSTEM_GROUP, 1)).strangers == {(9, SYSTEM_GROUP)}

    @ensureDeferred
    async def test_no_group_command_changes_it(self, subject: Subject) -> None:
        await arrive(subject, 2)
        with pytest.raises(NotInGroupError):
            await subject.change(SYSTEM_GROUP, 2, None)


class TestMessages:
    @ensureDeferred
    async def test_they_are_told_without_receivers_and_lie_in_no_inbox(self, subject: Subject) -> None:
        await arrive(subject, 1, 2)
        before = written(subject)
        stored = await subject.send(7, group=SYSTEM_GROUP, at_uids=[0])
        assert (stored.message.seq_id, stored.message.group_type, list(stored.receivers)) == (1, 3, [])
        assert written(subject) == before
        assert await subject.inbox(2) == []
        assert (await subject.view(2, SYSTEM_GROUP)).at_seq == 0

    @ensureDeferred
    async def test_a_repeat_is_answered_with_the_first(self, subject: Subject) -> None:
        await arrive(subject, 2)
        await broadcast(subject, msg_id="m")
        again = await subject.send(7, group=SYSTEM_GROUP, msg_id="m")
        assert (again.repeated, again.message.seq_id, list(again.receivers)) == (True, 1, [])
        with pytest.raises(ConflictError):
            await subject.send(7, group=SYSTEM_GROUP, msg_id="m", text="other")

    @ensureDeferred
    async def test_what_is_unread_counts_as_anywhere(self, subject: Subject) -> None:
        await arrive(subject, 2, 7)
        await broadcast(subject, 4)
        await broadcast(subject, whether_non_count=1)
        assert [await unread(subject, uid) for uid in (2, 7)] == [4, 0]
        await subject.read(2, SYSTEM_GROUP, 1)
        assert await unread(subject, 2) == 3
        await subject.store.hide(2, SYSTEM_GROUP, [1, 2])
        assert await unread(subject, 2) == 2
        await subject.store.clear(2, SYSTEM_GROUP, 3)
        assert await unread(subject, 2) == 1

    @ensureDeferred
    async def test_counting_stops_at_a_thousand(self, subject: Subject) -> None:
        await arrive(subject, 2)
        for number in (1000, 5):
            await broadcast(subject, number)
        assert await unread(subject, 2) == 1000
        await subject.read(2, SYSTEM_GROUP, 6)
        assert await unread(subject, 2) == 999


class TestWatermarks:
    @ensureDeferred
    async def test_a_read_mark_rises_and_is_told(self, subject: Subject) -> None:
        await arrive(subject, 2)
        await broadcast(subject, 3)
        subject.time.ms += 60_000
        raised = await subject.read(2, SYSTEM_GROUP, 2)
        assert [mark[:5] for mark in raised.watermarks] == [Watermark(2, SYSTEM_GROUP, 2, 2, 0, 0)[:5]]
        view = await subject.view(2, SYSTEM_GROUP)
        assert (view.read_seq, view.receive_seq) == (2, 2)
        assert await subject.changed(2) == [SYSTEM_GROUP]
        assert await subject.read(2, SYSTEM_GROUP, 2) == Raised([], frozenset())

    @ensureDeferred
    async def test_an_ack_raises_what_was_received_up_to_the_end(self, subject: Subject) -> None:
        await arrive(subject, 2, 3)
        await broadcast(subject, 3)
        for ack, receive_seq in (((0, 1), 1), ((2, 2), 2), ((1, 1), 2), ((0, 99), 3), ((0, 99), 3)):
            await subject.ack(2, SYSTEM_GROUP, ack)
            assert (await subject.view(2, SYSTEM_GROUP)).receive_seq == receive_seq
        await broadcast(subject)
        assert [(await subject.view(uid, SYSTEM_GROUP)).receive_seq for uid in (2, 3)] == [3, 0]

    @ensureDeferred
    async def test_a_history_that_is_cleared_counts_as_received(self, subject: Subject) -> None:
        await arrive(subject, 2)
        await broadcast(subject, 3)
        await subject.store.clear(2, SYSTEM_GROUP, 2)
        view = await subject.view(2, SYSTEM_GROUP)
        assert (view.init_seq, view.receive_seq, view.read_seq) == (2, 2, 0)
        assert await subject.pulled(2, SYSTEM_GROUP) == [3]


class TestTakingAway:
    @ensureDeferred
    async def test_who_deletes_sees_a_tombstone_and_nobody_else_does(self, subject: Subject) -> None:
        await arrive(subject, 2, 3)
        await broadcast(subject, 2)
        changed = await subject.store.hide(2, SYSTEM_GROUP, [2])
        assert [(message.seq_id, message.group_type) for message in changed.messages] == [(2, 3)]
        assert [message.msg_status for message in (await subject.pull(2, SYSTEM_GROUP)).messages] == [0, 1]
        assert [message.msg_status for message in (await subject.pull(3, SYSTEM_GROUP)).messages] == [0, 0]
        assert (await subject.view(2, SYSTEM_GROUP)).last_message.seq_id == 1

    @ensureDeferred
    async def test_a_revoked_one_is_told_in_the_stream_and_touches_no_users_row(self, subject: Subject) -> None:
        asked: list[Revocation] = []
        await arrive(subject, 2, 3, 7)
        await broadcast(subject, msg_id="m")
        await broadcast(subject)
        before = written(subject)
        subject.time.ms += 1
        await subject.revoke(SYSTEM_GROUP, "m", 7, asked.append)
        assert written(subject) == before
        assert [(one.by, one.role, one.now, one.message.group_type) for one in asked] == [(7, 0, START + 1, 3)]
        first, _, control = (await subject.pull(2, SYSTEM_GROUP)).messages
        assert (first.msg_status, first.msg_body) == (2, "")
        said = json.loads(control.msg_body)
        assert (said["op"], said["uids"], said["msg_id"], said["seq_id"]) == ("revoke", [7], "m", 1)
        ((_, told),) = subject.batches[-1]
        assert isinstance(told, Stored)
        assert (told.message.group_type, told.message.seq_id, list(told.receivers)) == (3, 3, [])
        assert await unread(subject, 2) == 1

    @ensureDeferred
    async def test_what_was_sent_before_ones_first_login_is_not_found(self, subject: Subject) -> None:
        await broadcast(subject, msg_id="m")
        await arrive(subject, 2)
        with pytest.raises(NotFoundError):
            await subject.revoke(SYSTEM_GROUP, "m", 2)
        with pytest.raises(NotInGroupError):
            await subject.revoke(SYSTEM_GROUP, "m", 9)
