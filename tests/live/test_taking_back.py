"""Taking back: a message for everyone, messages for me alone, and all of a history."""

from pytest_twisted import ensureDeferred

from imd.wire.bodies import DeleteMsg, GroupRole, ImGroup, ImMsg, RevokeMsg, SubmitInitSeq
from imd.wire.commands import Command
from imd.wire.enums import MsgStatus, Role
from imd.wire.results import Result

from .conftest import LogIn, LogInThree, StartDaemon
from .daemon import Daemon
from .device import MAC, Device, new_id, refusal, until
from .users import catch_up, hear_op, make_group


def secret(group_id: str, *at_uids: int) -> ImMsg:
    """Return a message that has everything a revocation empties."""
    return ImMsg(
        msg_id=new_id(),
        msg_type=6,
        msg_body="secret",
        group_id=group_id,
        extra="secret",
        attach_id=7,
        attach_type=3,
        attach_name="secret",
        attach_url="https://example.org/secret",
        attach_size=9,
        at_uids=at_uids,
    )


@ensureDeferred
async def test_a_revoked_message_is_empty_for_everyone_who_pulls_and_all_are_told(
    shared: Daemon, log_in_three: LogInThree
) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)
    sent = await alice.phone.request(secret(group_id, bob.uid))
    await catch_up(alice, bob, carol)
    assert [await user.phone.unread(group_id) for user in (alice, bob, carol)] == [0, 1, 1]
    assert (await bob.desk.conversation(group_id)).at_seq == sent.seq_id

    await alice.desk.request(RevokeMsg(group_id=group_id, msg_id=sent.msg_id))
    for device in (*alice, *bob, *carol):
        body = await device.hear_op("revoke")
        assert (body["by"], body["uids"]) == (alice.uid, [alice.uid])
        assert (body["msg_id"], body["seq_id"]) == (sent.msg_id, sent.seq_id)
        revoked = (await device.history(group_id))[1]
        assert (revoked.msg_id, revoked.seq_id, revoked.send_time) == (sent.msg_id, sent.seq_id, sent.send_time)
        assert (revoked.sender_id, revoked.msg_type, revoked.msg_status) == (alice.uid, 6, MsgStatus.REVOKED)
        assert b"secret" not in revoked.SerializeToString()
        assert (revoked.attach_id, revoked.attach_type, revoked.attach_size, len(revoked.at_uids)) == (0, 0, 0, 0)
        assert await device.unread(group_id) == 0
    assert (await bob.desk.conversation(group_id)).at_seq == 0

    await alice.phone.request(RevokeMsg(group_id=group_id, msg_id=sent.msg_id))
    assert (await bob.phone.conversation(group_id)).max_seq == 3
    for device in (*alice, *bob, *carol):
        assert await device.heard_all()


@ensureDeferred
async def test_who_was_offline_learns_of_a_revocation_on_coming_back(
    shared: Daemon, log_in_three: LogInThree, log_in: LogIn
) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)
    await until(lambda: shared.inbox(carol.uid) == [])
    for device in carol:
        await device.leave()
    said = await alice.desk.say("secret", group=group_id)
    await alice.desk.request(RevokeMsg(group_id=group_id, msg_id=said.msg_id))
    back = await log_in(shared, carol.uid, MAC)
    seen = await back.conversation(group_id)
    assert (seen.receive_seq, seen.max_seq, seen.last_message.seq_id) == (1, 3, 3)
    missed = await back.history(group_id, after=seen.receive_seq)
    assert [(each.seq_id, each.msg_body, each.msg_status) for each in missed] == [
        (2, "", MsgStatus.REVOKED),
        (3, missed[1].msg_body, MsgStatus.NORMAL),
    ]
    assert said.msg_id in missed[1].msg_body
    assert await back.unread(group_id) == 0


@ensureDeferred
async def test_both_of_a_single_chat_see_what_was_revoked_and_only_its_sender_may(
    shared: Daemon, log_in_three: LogInThree
) -> None:
    alice, bob, carol = await log_in_three(shared)
    said = await alice.desk.say("secret", to=bob.uid)
    request = RevokeMsg(group_id=said.group_id, msg_id=said.msg_id)
    assert await refusal(bob.desk.request(request)) == Result.FORBIDDEN
    assert await refusal(carol.desk.request(request)) == Result.FORBIDDEN
    await catch_up(alice, bob)
    await alice.desk.request(request)
    await hear_op("revoke", alice, bob)
    for device in (*alice, *bob):
        assert (await device.history(said.group_id))[0].msg_body == ""
    assert await bob.phone.unread(said.group_id) == 0


@ensureDeferred
async def test_a_sender_who_is_late_is_refused_and_the_chiefs_may_at_any_time(
    start_daemon: StartDaemon, log_in_three: LogInThree
) -> None:
    daemon = start_daemon(IMD_MESSAGES_REVOKE_SECONDS=0.05)
    alice, bob, carol = await log_in_three(daemon)
    group_id = await make_group(alice, bob, carol)
    await alice.desk.request(GroupRole(group_id=group_id, uid=bob.uid, role=Role.ADMIN))
    said = [await user.desk.say("old", group=group_id) for user in (alice, bob, carol, carol)]
    single = await carol.desk.say("old", to=bob.uid)
    await carol.desk.await_time(single.send_time + 100)
    alices, bobs, carols, last = (RevokeMsg(group_id=group_id, msg_id=each.msg_id) for each in said)
    assert await refusal(carol.desk.request(carols)) == Result.REVOKE_TIMEOUT
    assert await refusal(carol.desk.request(alices)) == Result.FORBIDDEN
    late = RevokeMsg(group_id=single.group_id, msg_id=single.msg_id)
    assert await refusal(carol.desk.request(late)) == Result.REVOKE_TIMEOUT
    await bob.desk.request(alices)
    await bob.desk.request(carols)
    await alice.desk.request(bobs)
    await alice.desk.request(last)
    statuses = [each.msg_status for each in await carol.phone.history(group_id, after=2)]
    assert statuses == [MsgStatus.REVOKED] * 4 + [MsgStatus.NORMAL] * 4


def tombstone(group_id: str, seq_id: int) -> ImMsg:
    return ImMsg(group_id=group_id, group_type=2, seq_id=seq_id, msg_status=MsgStatus.DELETED)


@ensureDeferred
async def test_what_i_delete_is_gone_on_all_my_devices_and_for_nobody_else(
    shared: Daemon, log_in_three: LogInThree
) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)
    for n in range(2, 6):
        await alice.desk.say(f"{n}", group=group_id)
    since = (await bob.desk.conversations()).server_time
    await catch_up(bob)
    await until(lambda: shared.inbox(bob.uid) == [])

    await bob.phone.request(DeleteMsg(group_id=group_id, seq_ids=[5, 3, 3]))
    notice = await bob.desk.told(Command.CONVERSATION_NOTICE)
    assert list(notice.messages) == [tombstone(group_id, 3), tombstone(group_id, 5)]
    seen = await bob.phone.conversation(group_id)
    assert list(notice.groups) == [seen]
    assert (seen.max_seq, seen.unread, seen.last_message.msg_body) == (5, 2, "4")
    for device in bob:
        assert await device.unread(group_id) == 2
        pulled = await device.history(group_id, after=1)
        assert [each.msg_body for each in pulled] == ["2", "", "4", ""]
        assert [pulled[1], pulled[3]] == [tombstone(group_id, 3), tombstone(group_id, 5)]
        listed = await device.conversations(since)
        assert list(listed.messages) == [tombstone(group_id, 3), tombstone(group_id, 5)]

    await bob.desk.request(DeleteMsg(group_id=group_id, seq_ids=[3]))
    for device in (*alice, *bob, *carol):
        assert await device.told_all(Command.CONVERSATION_NOTICE)
    for other in (alice, carol):
        assert [each.msg_body for each in await other.phone.history(group_id, after=1)] == ["2", "3", "4", "5"]
    assert await carol.phone.unread(group_id) == 4


@ensureDeferred
async def test_what_i_deleted_before_it_reached_me_leaves_the_inbox_and_stays_deleted_when_revoked(
    shared: Daemon, log_in_three: LogInThree
) -> None:
    alice, bob, _ = await log_in_three(shared)
    said = await alice.desk.say("secret", to=bob.uid)
    group_id = said.group_id
    await bob.phone.request(DeleteMsg(group_id=group_id, seq_ids=[1]))
    assert shared.inbox(bob.uid) == []
    assert not (await bob.desk.conversation(group_id)).HasField("last_message")
    await alice.desk.request(RevokeMsg(group_id=group_id, msg_id=said.msg_id))
    deleted, control = await bob.desk.history(group_id)
    assert (deleted.msg_status, deleted.msg_id, control.msg_type) == (MsgStatus.DELETED, "", 100)
    assert await bob.phone.unread(group_id) == 0


async def view(device: Device, group_id: str) -> tuple[ImGroup, list[str]]:
    return await device.conversation(group_id), [each.msg_body for each in await device.history(group_id)]


@ensureDeferred
async def test_a_history_that_i_clear_begins_anew_on_all_my_devices_and_for_nobody_else(
    shared: Daemon, log_in_three: LogInThree
) -> None:
    alice, bob, _ = await log_in_three(shared)
    group_id = ""
    for n in range(1, 6):
        group_id = (await alice.desk.say(f"{n}", to=bob.uid)).group_id
    await bob.phone.request(SubmitInitSeq(group_id=group_id, init_seq=3))
    [told] = (await bob.desk.told(Command.CONVERSATION_NOTICE)).groups
    for device in bob:
        seen, pulled = await view(device, group_id)
        assert (seen, pulled) == (told, ["4", "5"])
        assert (seen.init_seq, seen.max_seq) == (3, 5)
        assert await device.unread(group_id) == 2
    assert shared.inbox(bob.uid) == [(group_id, 4), (group_id, 5)]

    await bob.phone.request(SubmitInitSeq(group_id=group_id, init_seq=2))
    await bob.desk.request(SubmitInitSeq(group_id=group_id, init_seq=2**63 - 1))
    assert (await bob.phone.told(Command.CONVERSATION_NOTICE)).groups[0].init_seq == 5
    assert await bob.desk.told_all(Command.CONVERSATION_NOTICE)
    seen, pulled = await view(bob.desk, group_id)
    assert (seen.init_seq, seen.HasField("last_message"), pulled) == (5, False, [])
    assert await bob.desk.unread(group_id) == 0
    assert shared.inbox(bob.uid) == []
    seen, pulled = await view(alice.phone, group_id)
    assert (seen.init_seq, pulled) == (0, ["1", "2", "3", "4", "5"])
