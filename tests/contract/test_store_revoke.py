"""IMessageStore: messages that are taken back for everybody."""

import json
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred

from imd.errors import ConflictError, ForbiddenError, NotFoundError, NotInGroupError
from imd.ports.messages import OverdueCursor, Revocation, Stored
from imd.wire.bodies import ImMsg

from .subject import START, Subject

WHOLE: dict[str, Any] = {
    "sender_name": "Ann",
    "sender_remark": "r",
    "extra": "e",
    "attach_id": 7,
    "attach_type": 3,
    "attach_name": "n",
    "attach_url": "u",
    "attach_size": 9,
    "at_uids": [2],
}


async def control_of(subject: Subject, uid: int, group_id: str) -> ImMsg:
    """Return the newest message of a conversation, which is a control message."""
    message: ImMsg = (await subject.pull(uid, group_id)).messages[-1]
    assert (message.msg_type, message.whether_non_count) == (100, 1)
    return message


class TestWhatIsLeft:
    @ensureDeferred
    async def test_everybody_sees_who_and_when_and_not_what(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(1, group=group, msg_id="m", **WHOLE)
        await subject.revoke(group, "m", 1)
        for uid in (1, 2):
            found = (await subject.pull(uid, group)).messages[1]
            assert found == ImMsg(
                msg_id="m",
                msg_type=1,
                msg_status=2,
                sender_id=1,
                sender_name="Ann",
                sender_remark="r",
                group_id=group,
                group_type=2,
                group_name="Tea",
                seq_id=2,
                send_time=START,
                status=0 if uid == 1 else -4,
            )

    @ensureDeferred
    async def test_who_has_left_does_not_see_it_either(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(1, group=group, msg_id="m")
        await subject.quit(group, 2)
        await subject.revoke(group, "m", 1)
        assert [message.msg_body for message in (await subject.pull(2, group)).messages][1] == ""
        assert (await subject.view(2, group)).max_seq == 3

    @ensureDeferred
    async def test_who_has_not_got_it_yet_gets_what_is_left(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(1, group=group, msg_id="m")
        await subject.revoke(group, "m", 1)
        assert await subject.inbox_of(2, group) == [1, 2, 3]
        (overdue,) = await subject.store.overdue([OverdueCursor(2)], START + 1)
        assert [(message.msg_status, message.msg_body) for message in overdue.messages][1] == (2, "")

    @ensureDeferred
    async def test_a_repeat_is_still_known(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(1, group=group, msg_id="m", text="hi", **WHOLE)
        await subject.revoke(group, "m", 1)
        again = await subject.send(1, group=group, msg_id="m", text="hi", **WHOLE)
        assert (again.repeated, again.message.seq_id, again.message.msg_status) == (True, 2, 2)
        assert (again.message.msg_body, list(again.receivers)) == ("", [2])
        with pytest.raises(ConflictError):
            await subject.send(1, group=group, msg_id="m", text="ho", **WHOLE)

    @ensureDeferred
    async def test_it_is_no_longer_the_last_message_with_its_text(self, subject: Subject) -> None:
        await subject.send(1, to=2, msg_id="m")
        await subject.revoke("1_2", "m", 1)
        await subject.store.hide(2, "1_2", [2])
        last = (await subject.view(2, "1_2")).last_message
        assert (last.seq_id, last.msg_status, last.msg_body) == (1, 2, "")


class TestControlMessage:
    """Everyone learns it by a control message in the stream (rule 2)."""

    @ensureDeferred
    async def test_in_a_group_for_every_member(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        await subject.send(2, group=group, msg_id="m")
        await subject.quit(group, 3)
        subject.batches.clear()
        await subject.store.revoke(group, "m", 1, "control-id", lambda _: None)
        for uid in (1, 2):
            control = await control_of(subject, uid, group)
            assert (control.seq_id, control.sender_id, control.msg_id) == (4, 1, "control-id")
            assert json.loads(control.msg_body) == {
                "op": "revoke",
                "by": 1,
                "uids": [2],
                "msg_id": "m",
                "seq_id": 2,
                "value": "",
            }
        ((submission, told),) = subject.batches[-1]
        assert submission is None
        assert isinstance(told, Stored)
        assert (list(told.receivers), told.message.seq_id, told.message.group_name) == ([2], 4, "Tea")
        assert await subject.inbox_of(2, group) == [1, 3, 4]
        assert await subject.inbox_of(3, group) == [1, 2]

    @ensureDeferred
    async def test_in_a_single_chat_for_the_other_one(self, subject: Subject) -> None:
        await subject.send(1, to=2, msg_id="m")
        await subject.revoke("1_2", "m", 1)
        control = await control_of(subject, 2, "1_2")
        assert (control.seq_id, control.group_type, control.receiver_id) == (2, 1, 2)
        assert await subject.inbox_of(2, "1_2") == [1, 2]
        assert await subject.inbox_of(1, "1_2") == []

    @ensureDeferred
    async def test_in_a_chat_with_oneself_for_nobody(self, subject: Subject) -> None:
        await subject.send(5, to=5, msg_id="m")
        await subject.revoke("5_5", "m", 5)
        assert (await control_of(subject, 5, "5_5")).seq_id == 2
        assert await subject.inbox(5) == []

    @ensureDeferred
    async def test_the_next_message_follows_it(self, subject: Subject) -> None:
        await subject.send(1, to=2, msg_id="m")
        await subject.revoke("1_2", "m", 1)
        assert (await subject.send(2, to=1)).message.seq_id == 3

    @ensureDeferred
    async def test_again_is_fine_and_tells_nothing_more(self, subject: Subject) -> None:
        asked: list[Revocation] = []
        await subject.send(1, to=2, msg_id="m")
        for _ in range(3):
            await subject.revoke("1_2", "m", 1, asked.append)
        assert len(asked) == 1
        assert await subject.pulled(2, "1_2") == [1, 2]

    @ensureDeferred
    async def test_two_at_once_are_told_once(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(2, group=group, msg_id="m")
        for revoked in [Deferred.fromCoroutine(subject.revoke(group, "m", by)) for by in (1, 2)]:
            await revoked
        assert await subject.pulled(2, group) == [1, 2, 3]

    @ensureDeferred
    async def test_a_message_can_be_taken_back_in_the_batch_that_stores_it(self, subject: Subject) -> None:
        sent = subject.put(subject.message(1, to=2, msg_id="m"))
        revoked = Deferred.fromCoroutine(subject.revoke("1_2", "m", 1))
        after = subject.put(subject.message(1, to=2))
        await sent
        await revoked
        outcome = await after
        assert isinstance(outcome, Stored)
        assert outcome.message.seq_id == 3
        assert (await subject.view(2, "1_2")).unread == 1


class TestWhoMay:
    @ensureDeferred
    async def test_the_rule_is_asked_who_what_and_when(self, subject: Subject) -> None:
        asked: list[Revocation] = []
        group = await subject.group(1, 2)
        for uid, where, group_id in ((2, {"group": group}, group), (2, {"to": 1}, "1_2")):
            await subject.send(uid, msg_id="m", text="hi", **where)
            subject.time.ms += 5000
            await subject.revoke(group_id, "m", 1, asked.append)
        assert [(one.by, one.role, one.now) for one in asked] == [(1, 1, START + 5000), (1, 0, START + 10_000)]
        assert [(one.message.sender_id, one.message.seq_id, one.message.group_type) for one in asked] == [
            (2, 2, 2),
            (2, 1, 1),
        ]
        assert [(one.message.msg_body, one.message.send_time) for one in asked] == [("hi", START), ("hi", START + 5000)]

    @ensureDeferred
    async def test_of_a_control_message_the_rule_is_asked_as_well(self, subject: Subject) -> None:
        asked: list[Revocation] = []
        group = await subject.group(1, 2)
        await subject.revoke(group, (await control_of(subject, 1, group)).msg_id, 1, asked.append)
        assert [one.message.msg_type for one in asked] == [100]

    @ensureDeferred
    async def test_what_the_rule_refuses_is_answered_and_changes_nothing(self, subject: Subject) -> None:
        def refuse(_: Revocation) -> None:
            raise ForbiddenError("no")

        await subject.send(1, to=2, msg_id="m")
        with pytest.raises(ForbiddenError, match="no"):
            await subject.revoke("1_2", "m", 2, refuse)
        (message,) = (await subject.pull(2, "1_2")).messages
        assert (message.msg_status, message.msg_body) == (0, "hi")

    @ensureDeferred
    async def test_who_is_not_in_the_group_is_refused(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(2, group=group, msg_id="m")
        await subject.quit(group, 2)
        for uid, group_id in ((2, group), (9, group), (1, "nowhere"), (1, "1_2")):
            with pytest.raises(NotInGroupError):
                await subject.revoke(group_id, "m", uid)

    @ensureDeferred
    async def test_a_message_that_is_not_there_or_was_before_ones_time_is_not_found(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(1, group=group, msg_id="m")
        await subject.send(1, to=2, msg_id="elsewhere")
        await subject.invite(group, 1, 3)
        for uid, msg_id in ((1, "none"), (1, "elsewhere"), (3, "m")):
            with pytest.raises(NotFoundError):
                await subject.revoke(group, msg_id, uid)
        assert (await subject.view(1, group)).max_seq == 3


class TestUnread:
    @ensureDeferred
    async def test_it_is_no_longer_unread_for_whom_it_was(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3, 4, 5)
        await subject.send(1, group=group, msg_id="m")
        await subject.send(1, group=group)
        await subject.read(3, group, 2)
        await subject.store.hide(4, group, [2])
        await subject.store.clear(5, group, 2)
        await subject.invite(group, 1, 6)
        assert [(await subject.view(uid, group)).unread for uid in (1, 2, 3, 4, 5, 6)] == [0, 2, 1, 1, 1, 0]
        await subject.revoke(group, "m", 1)
        assert [(await subject.view(uid, group)).unread for uid in (1, 2, 3, 4, 5, 6)] == [0, 1, 1, 1, 1, 0]
        await subject.read(2, group, 2)
        assert (await subject.view(2, group)).unread == 1

    @ensureDeferred
    async def test_what_never_counted_is_not_taken_off(self, subject: Subject) -> None:
        await subject.send(1, to=2, msg_id="m", whether_non_count=1)
        await subject.send(1, to=2)
        await subject.revoke("1_2", "m", 1)
        assert (await subject.view(2, "1_2")).unread == 1

    @ensureDeferred
    async def test_who_comes_back_counts_from_there(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(1, group=group, msg_id="m")
        await subject.quit(group, 2)
        await subject.revoke(group, "m", 1)
        await subject.invite(group, 1, 2)
        await subject.send(1, group=group)
        assert (await subject.view(2, group)).unread == 1


class TestMentions:
    async def at_seqs(self, subject: Subject, group: str, *uids: int) -> list[int]:
        return [(await subject.view(uid, group)).at_seq for uid in uids]

    @ensureDeferred
    async def test_the_next_older_one_is_the_newest_then(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3, 11)
        await subject.send(1, group=group, at_uids=[2, 3])
        await subject.send(1, group=group, at_uids=[1, 11, 22])
        await subject.send(2, group=group, at_uids=[2, 3])
        await subject.send(1, group=group, msg_id="m", at_uids=[2])
        await subject.send(1, group=group, at_uids=[3])
        assert await self.at_seqs(subject, group, 2, 3, 11) == [5, 6, 3]
        await subject.revoke(group, "m", 1)
        assert await self.at_seqs(subject, group, 2, 3, 11) == [2, 6, 3]

    @ensureDeferred
    async def test_one_of_everybody_is_one_of_each(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        await subject.send(1, group=group, at_uids=[0])
        await subject.send(1, group=group, at_uids=[100, 2])
        await subject.send(1, group=group, msg_id="m", at_uids=[7, 0])
        await subject.revoke(group, "m", 1)
        assert await self.at_seqs(subject, group, 1, 2, 3) == [0, 3, 2]

    @ensureDeferred
    async def test_what_is_read_or_cleared_or_deleted_or_revoked_is_none(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3, 4, 5)
        await subject.send(1, group=group, msg_id="first", at_uids=[0])
        await subject.send(1, group=group, msg_id="second", at_uids=[0])
        await subject.read(2, group, 2)
        await subject.store.clear(3, group, 2)
        await subject.store.hide(4, group, [2])
        await subject.revoke(group, "second", 1)
        assert await self.at_seqs(subject, group, 2, 3, 4, 5) == [0, 0, 0, 2]
        await subject.revoke(group, "first", 1)
        assert await self.at_seqs(subject, group, 5) == [0]

    @ensureDeferred
    async def test_one_that_is_newer_stays(self, subject: Subject) -> None:
        await subject.send(1, to=2, msg_id="m", at_uids=[2])
        await subject.send(1, to=2, at_uids=[2])
        await subject.revoke("1_2", "m", 1)
        assert await self.at_seqs(subject, "1_2", 2) == [2]
