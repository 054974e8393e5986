"""Broadcasts: an admin's word to everybody, stored once."""

from pytest_twisted import ensureDeferred

from imd.wire.bodies import (
    DeleteMsg,
    GroupMembers,
    ImMsg,
    ListMsgReader,
    RevokeMsg,
    SubmitInitSeq,
    SubmitReadSeq,
)
from imd.wire.commands import Command
from imd.wire.enums import SYSTEM_GROUP, GroupType, MsgStatus, MsgType, Status
from imd.wire.results import Result

from .conftest import LogIn, LogInThree, NewUid
from .daemon import Daemon
from .device import ANDROID, LINUX, MAC, Device, message, new_id, refusal
from .users import User, hear


async def log_in_admin(daemon: Daemon, log_in: LogIn, uid: int) -> User:
    token = daemon.token(uid, is_admin=True)
    return User(await log_in(daemon, uid, ANDROID, token=token), await log_in(daemon, uid, LINUX, token=token))


async def end(device: Device) -> int:
    return (await device.conversation(SYSTEM_GROUP)).max_seq


@ensureDeferred
async def test_a_broadcast_reaches_every_device_and_waits_for_who_is_offline(
    shared: Daemon, log_in_three: LogInThree, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, bob, carol = await log_in_three(shared)
    admin = await log_in_admin(shared, log_in, new_uid())
    before = await end(carol.desk)
    for device in carol:
        await device.leave()
    sent = await admin.desk.say("to all", group=SYSTEM_GROUP)
    assert (sent.group_id, sent.seq_id) == (SYSTEM_GROUP, before + 1)
    for device in (admin.phone, *alice, *bob):
        heard = await device.hear()
        assert (heard.msg_body, heard.group_type, heard.seq_id) == ("to all", GroupType.SYSTEM, sent.seq_id)
        is_mine = device is admin.phone
        assert heard.status == (Status.SUCCESS if is_mine else Status.UNREAD)
        assert await device.heard_all()
        assert await device.unread(SYSTEM_GROUP) == (0 if is_mine else 1)
    assert await admin.desk.heard_all()

    back = await log_in(shared, carol.uid, MAC)
    missed = await back.conversation(SYSTEM_GROUP)
    assert (missed.group_type, missed.receive_seq, missed.max_seq) == (GroupType.SYSTEM, before, sent.seq_id)
    assert missed.last_message.msg_body == "to all"
    assert [each.msg_body for each in await back.history(SYSTEM_GROUP, after=before)] == ["to all"]
    assert await back.unread(SYSTEM_GROUP) == 1
    assert shared.rows("SELECT count(*) FROM x_message WHERE msg_id = ?", sent.msg_id) == [(1,)]
    assert shared.rows("SELECT count(*) FROM x_inbox WHERE group_id = 'system'") == [(0,)]


@ensureDeferred
async def test_who_first_logs_in_later_sees_no_earlier_broadcast(
    shared: Daemon, log_in: LogIn, new_uid: NewUid
) -> None:
    admin = await log_in_admin(shared, log_in, new_uid())
    sent = await admin.desk.say("too early", group=SYSTEM_GROUP)
    newcomer = await log_in(shared, new_uid())
    seen = await newcomer.conversation(SYSTEM_GROUP)
    assert (seen.init_seq, seen.read_seq, seen.receive_seq, seen.unread) == (sent.seq_id,) * 3 + (0,)
    assert await newcomer.history(SYSTEM_GROUP) == []
    again = ImMsg(msg_id=new_id(), msg_type=MsgType.TEXT, msg_body="now", group_type=GroupType.SYSTEM)
    await admin.desk.request(again)
    await hear("now", newcomer)


@ensureDeferred
async def test_only_an_admin_broadcasts_and_nothing_is_passed_through(
    shared: Daemon, log_in_three: LogInThree, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, bob, _ = await log_in_three(shared)
    admin = await log_in_admin(shared, log_in, new_uid())
    before = await end(bob.phone)
    assert await refusal(alice.desk.say("me too", group=SYSTEM_GROUP)) == Result.FORBIDDEN
    typed = ImMsg(msg_id=new_id(), msg_type=MsgType.TEXT, group_type=GroupType.SYSTEM)
    assert await refusal(alice.desk.request(typed)) == Result.FORBIDDEN
    typing = ImMsg(msg_id=new_id(), msg_type=MsgType.PASSTHROUGH, group_id=SYSTEM_GROUP)
    assert await refusal(admin.desk.request(typing)) == Result.BAD_REQUEST
    contrary = message("whom?", group=SYSTEM_GROUP)
    contrary.group_type = GroupType.GROUP
    assert await refusal(admin.desk.request(contrary)) == Result.BAD_REQUEST
    for device in bob:
        assert await device.heard_all()
    assert await end(bob.phone) == before


@ensureDeferred
async def test_the_stream_of_broadcasts_is_read_deleted_and_cleared_as_any_other(
    shared: Daemon, log_in_three: LogInThree, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, bob, _ = await log_in_three(shared)
    admin = await log_in_admin(shared, log_in, new_uid())
    start = await end(alice.desk)
    for n in range(1, 5):
        await admin.desk.say(f"{n}", group=SYSTEM_GROUP)
    await alice.phone.request(SubmitReadSeq(group_id=SYSTEM_GROUP, read_seq=start + 1))
    assert (await alice.desk.told(Command.ISSUE_READ_SEQ)).read_seq == start + 1
    await alice.phone.request(DeleteMsg(group_id=SYSTEM_GROUP, seq_ids=[start + 3]))
    [tombstone] = (await alice.desk.told(Command.CONVERSATION_NOTICE)).messages
    assert (tombstone.group_type, tombstone.seq_id) == (GroupType.SYSTEM, start + 3)
    assert await alice.desk.unread(SYSTEM_GROUP) == 2
    pulled = await alice.desk.history(SYSTEM_GROUP)
    assert [(each.msg_body, each.status) for each in pulled] == [("1", -3), ("2", -4), ("", 0), ("4", -4)]

    await alice.desk.request(SubmitInitSeq(group_id=SYSTEM_GROUP, init_seq=2**63 - 1))
    [cleared] = (await alice.phone.told(Command.CONVERSATION_NOTICE)).groups
    assert (cleared.init_seq, await alice.phone.history(SYSTEM_GROUP)) == (start + 4, [])
    assert await alice.phone.unread(SYSTEM_GROUP) == 0
    assert [each.msg_body for each in await bob.desk.history(SYSTEM_GROUP)] == ["1", "2", "3", "4"]
    assert await bob.desk.unread(SYSTEM_GROUP) == 4
    for request in (ListMsgReader(group_id=SYSTEM_GROUP, seq_id=start + 1), GroupMembers(group_id=SYSTEM_GROUP)):
        assert await refusal(bob.phone.request(request)) == Result.FORBIDDEN
    for device in admin:
        assert await device.told_all(Command.ISSUE_RECEIPT)


@ensureDeferred
async def test_admins_take_a_broadcast_back_and_everybody_learns_it(
    shared: Daemon, log_in_three: LogInThree, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, bob, _ = await log_in_three(shared)
    admin, other = [await log_in_admin(shared, log_in, new_uid()) for _ in range(2)]
    sent = await admin.desk.say("never mind", group=SYSTEM_GROUP)
    await hear("never mind", *alice, *bob)
    revoke = RevokeMsg(group_id=SYSTEM_GROUP, msg_id=sent.msg_id)
    assert await refusal(alice.desk.request(revoke)) == Result.FORBIDDEN
    await other.desk.request(revoke)
    for device in (*alice, *bob):
        body = await device.hear_op("revoke")
        assert (body["by"], body["uids"], body["seq_id"]) == (other.uid, [admin.uid], sent.seq_id)
        [revoked, _] = await device.history(SYSTEM_GROUP)
        assert (revoked.msg_body, revoked.msg_status) == ("", MsgStatus.REVOKED)
        assert await device.unread(SYSTEM_GROUP) == 0
