"""Single and group chat between real connections."""

import pytest
from pytest_twisted import ensureDeferred

from imd.client.errors import ResultError
from imd.wire.bodies import GroupMembers, GroupQuit, UserData
from imd.wire.commands import Command
from imd.wire.enums import MsgType
from imd.wire.results import Result
from imd.wire.single import single_group_id

from .conftest import LogIn, NewUid
from .daemon import Daemon
from .device import ANDROID, LINUX, MAC, message, new_id, until


@ensureDeferred
async def test_a_message_is_acked_and_reaches_the_other_user(daemon: Daemon, log_in: LogIn, new_uid: NewUid) -> None:
    alice, bob = await log_in(daemon, new_uid()), await log_in(daemon, new_uid())
    ack = await alice.say("你好", to=bob.uid)
    heard = await bob.hear()
    assert (ack.group_id, ack.seq_id) == (single_group_id(alice.uid, bob.uid), 1)
    assert (heard.msg_id, heard.seq_id, heard.send_time) == (ack.msg_id, ack.seq_id, ack.send_time)
    assert (heard.msg_body, heard.sender_id, heard.receiver_id) == ("你好", alice.uid, bob.uid)


@ensureDeferred
async def test_a_conversation_is_heard_in_the_order_in_which_it_was_said(
    daemon: Daemon, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, bob = await log_in(daemon, new_uid()), await log_in(daemon, new_uid())
    said = [message(f"{n}", to=bob.uid) for n in range(300)]
    acks = [alice.connection.request(Command.IM_SEND_MSG, each) for each in said]
    heard = [await bob.hear() for _ in said]
    assert [each.msg_body for each in heard] == [each.msg_body for each in said]
    assert [(await ack).seq_id for ack in acks] == list(range(1, 301))


@ensureDeferred
async def test_the_name_in_the_token_is_the_senders_name(daemon: Daemon, log_in: LogIn, new_uid: NewUid) -> None:
    uid = new_uid()
    alice = await log_in(daemon, uid, token=daemon.token(uid, name="Alice"))
    bob = await log_in(daemon, new_uid())
    await alice.say("hello", to=bob.uid)
    assert (await bob.hear()).sender_name == "Alice"


@ensureDeferred
async def test_the_senders_other_devices_get_a_copy(daemon: Daemon, log_in: LogIn, new_uid: NewUid) -> None:
    uid = new_uid()
    desk, phone = await log_in(daemon, uid, LINUX), await log_in(daemon, uid, ANDROID)
    bob = await log_in(daemon, new_uid())
    ack = await desk.say("from my desk", to=bob.uid)
    copy, _ = await phone.see()
    assert (copy.msg_id, copy.seq_id, copy.sender_id) == (ack.msg_id, ack.seq_id, uid)
    assert await desk.heard_all()
    assert daemon.inbox(uid) == []


@ensureDeferred
async def test_the_same_message_again_is_stored_and_heard_once(daemon: Daemon, log_in: LogIn, new_uid: NewUid) -> None:
    alice, bob = await log_in(daemon, new_uid()), await log_in(daemon, new_uid())
    first = await alice.say("once", to=bob.uid)
    await bob.hear()
    await until(lambda: daemon.inbox(bob.uid) == [])
    assert await alice.say("once", to=bob.uid, msg_id=first.msg_id) == first
    assert await bob.heard_all()
    assert len(await bob.history(first.group_id)) == 1


@ensureDeferred
async def test_another_text_under_the_same_msg_id_is_a_conflict(daemon: Daemon, log_in: LogIn, new_uid: NewUid) -> None:
    alice, peer, msg_id = await log_in(daemon, new_uid()), new_uid(), new_id()
    await alice.say("this", to=peer, msg_id=msg_id)
    with pytest.raises(ResultError) as refused:
        await alice.say("that", to=peer, msg_id=msg_id)
    assert refused.value.result == Result.CONFLICT


@ensureDeferred
async def test_a_group_of_three_users_with_two_devices_each_hears_everything(
    daemon: Daemon, log_in: LogIn, new_uid: NewUid
) -> None:
    uids = [new_uid() for _ in range(3)]
    devices = [await log_in(daemon, uid, client_type) for uid in uids for client_type in (ANDROID, MAC)]
    group_id = await devices[0].make_group("three", *uids[1:])
    for device in devices:
        assert (await device.hear()).msg_type == MsgType.CONTROL
    for device in devices:
        await device.say(f"{device.uid} on {device.client_type}", group=group_id)
    for device in devices:
        heard = {(await device.hear()).msg_body for _ in range(5)}
        assert heard == {f"{other.uid} on {other.client_type}" for other in devices if other is not device}
        assert await device.heard_all()
    for uid in uids:
        await until(lambda uid=uid: daemon.inbox(uid) == [])  # type: ignore[misc]
    assert [each.seq_id for each in await devices[0].history(group_id)] == list(range(1, 8))


@ensureDeferred
async def test_who_has_left_a_group_neither_speaks_nor_hears_in_it(
    daemon: Daemon, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, bob = await log_in(daemon, new_uid()), await log_in(daemon, new_uid())
    group_id = await alice.make_group("two", bob.uid)
    await bob.hear()
    await bob.ask(Command.GROUP_QUIT, GroupQuit(group_id=group_id), UserData)
    await alice.say("without you", group=group_id)
    with pytest.raises(ResultError) as refused:
        await bob.say("without me", group=group_id)
    assert refused.value.result == Result.NOT_IN_GROUP
    assert "without you" not in [each.msg_body for each in await bob.history(group_id)]
    members = await alice.ask(Command.GROUP_MEMBERS, GroupMembers(group_id=group_id), UserData)
    assert [member.uid for member in members.members] == [alice.uid]
