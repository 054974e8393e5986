"""Two nodes: to users it makes no difference which one they and the others are on."""

import json

from pytest_twisted import ensureDeferred

from imd.wire.bodies import (
    Block,
    GroupInvite,
    GroupJoin,
    GroupMembers,
    GroupMute,
    GroupQuit,
    GroupRemove,
    GroupRole,
    ImMsg,
    IssueReadSeq,
    KickUser,
    PresenceQuery,
    PresenceSubscribe,
    RevokeMsg,
    SubmitReadSeq,
    UserPresence,
)
from imd.wire.commands import Command
from imd.wire.enums import SYSTEM_GROUP, JoinPolicy, MsgStatus, MsgType, Role
from imd.wire.results import KickReason, Result

from .cluster import Cluster
from .conftest import LogIn, LogInBoth, NewUid
from .device import ANDROID, LINUX, MAC, Device, eventually, new_id, refusal
from .users import hear_op, make_group

N = 50


async def hear_texts(device: Device, group_id: str, *texts: str) -> None:
    """Let the device hear exactly these, and see that each follows the one before it."""
    heard = [await device.hear() for _ in texts]
    assert [(each.group_id, each.msg_body) for each in heard] == [(group_id, text) for text in texts]
    assert [each.seq_id for each in heard] == list(range(heard[0].seq_id, heard[0].seq_id + len(texts)))


async def learn(device: Device, group_id: str, uid: int, receive_seq: int, read_seq: int) -> None:
    """Wait until the device is told of this receipt."""
    while True:
        receipt = await device.told(Command.ISSUE_RECEIPT)
        assert (receipt.group_id, receipt.uid) == (group_id, uid)
        if (receipt.receive_seq, receipt.read_seq) == (receive_seq, read_seq):
            return


async def told_online(device: Device, uid: int, *client_types: int) -> None:
    """Wait until the device is told that the user is online on these."""
    while list((await device.told(Command.PRESENCE_NOTICE)).users) != [
        UserPresence(uid=uid, client_types=client_types)
    ]:
        pass


# Single chats.


@ensureDeferred
async def test_two_users_on_two_nodes_chat_in_order_and_exactly_once(
    cluster: Cluster, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, bob = await log_in(cluster.one, new_uid()), await log_in(cluster.two, new_uid())
    group_id = ""
    for n in range(N):
        group_id = (await alice.say(f"a{n}", to=bob.uid)).group_id
    await hear_texts(bob, group_id, *(f"a{n}" for n in range(N)))
    for n in range(N):
        await bob.say(f"b{n}", to=alice.uid)
    await hear_texts(alice, group_id, *(f"b{n}" for n in range(N)))
    await bob.say("end", to=alice.uid)
    await alice.say("end", to=bob.uid)
    for device in (alice, bob):  # whatever came twice would come before these
        await hear_texts(device, group_id, "end")
    history = await alice.history(group_id)
    assert [each.seq_id for each in history] == list(range(1, 2 * N + 3))
    await eventually(cluster.has_nothing_for(alice.uid, bob.uid))


@ensureDeferred
async def test_both_speak_at_once_into_one_chat_without_gap(cluster: Cluster, log_in: LogIn, new_uid: NewUid) -> None:
    alice, bob = await log_in(cluster.one, new_uid()), await log_in(cluster.two, new_uid())
    asked = []
    for n in range(N):
        asked.append(alice.connection.request(Command.IM_SEND_MSG, text(f"a{n}", bob.uid)))
        asked.append(bob.connection.request(Command.IM_SEND_MSG, text(f"b{n}", alice.uid)))
    acks = [await each for each in asked]
    assert sorted(ack.seq_id for ack in acks) == list(range(1, 2 * N + 1))
    assert [(await bob.hear()).msg_body for _ in range(N)] == [f"a{n}" for n in range(N)]
    assert [(await alice.hear()).msg_body for _ in range(N)] == [f"b{n}" for n in range(N)]


def text(body: str, to: int) -> ImMsg:
    return ImMsg(msg_id=new_id(), msg_type=1, msg_body=body, receiver_id=to)


@ensureDeferred
async def test_a_message_said_again_on_the_other_node_is_stored_once(cluster: Cluster, log_in_both: LogInBoth) -> None:
    alice, bob = await log_in_both(), await log_in_both()
    msg_id = new_id()
    first = await alice.phone.say("once", to=bob.uid, msg_id=msg_id)
    for device in bob:
        await hear_texts(device, first.group_id, "once")
    await eventually(cluster.has_nothing_for(bob.uid))
    again = await alice.desk.say("once", to=bob.uid, msg_id=msg_id)
    assert again.seq_id == first.seq_id
    await alice.desk.say("end", to=bob.uid)
    for device in bob:
        await hear_texts(device, first.group_id, "end")


@ensureDeferred
async def test_my_other_device_on_the_other_node_gets_what_i_say(log_in_both: LogInBoth) -> None:
    alice, bob = await log_in_both(), await log_in_both()
    group_id = (await alice.phone.say("from the phone", to=bob.uid)).group_id
    await hear_texts(alice.desk, group_id, "from the phone")
    await alice.desk.say("from the desk", to=bob.uid)
    await hear_texts(alice.phone, group_id, "from the desk")
    for device in bob:
        await hear_texts(device, group_id, "from the phone", "from the desk")


@ensureDeferred
async def test_receipts_and_read_marks_come_across(log_in_both: LogInBoth, cluster: Cluster) -> None:
    alice, bob = await log_in_both(), await log_in_both()
    group_id = (await alice.phone.say("one", to=bob.uid)).group_id
    await hear_texts(bob.desk, group_id, "one")
    for device in alice:
        await learn(device, group_id, bob.uid, 1, 0)
    await bob.desk.request(SubmitReadSeq(group_id=group_id, read_seq=1))
    for device in alice:
        await learn(device, group_id, bob.uid, 1, 1)
    assert await bob.phone.told(Command.ISSUE_READ_SEQ) == IssueReadSeq(group_id=group_id, read_seq=1)
    assert await bob.phone.unread(group_id) == 0
    assert (await alice.phone.conversation(group_id)).peer_read_seq == 1
    assert await cluster.has_nothing_for(bob.uid)()


@ensureDeferred
async def test_who_was_offline_has_everything_on_either_node(cluster: Cluster, log_in: LogIn, new_uid: NewUid) -> None:
    alice, uid = await log_in(cluster.one, new_uid()), new_uid()
    group_id = (await alice.say("one", to=uid)).group_id
    await alice.say("two", to=uid)
    bob = await log_in(cluster.two, uid)
    assert await bob.unread(group_id) == 2
    assert [each.msg_body for each in await bob.history(group_id)] == ["one", "two"]


@ensureDeferred
async def test_who_is_blocked_on_one_node_is_so_on_the_other(cluster: Cluster, log_in: LogIn, new_uid: NewUid) -> None:
    alice, bob = await log_in(cluster.one, new_uid()), await log_in(cluster.two, new_uid())
    await alice.say("one", to=bob.uid)
    await bob.request(Block(uids=[alice.uid]))
    assert await refusal(alice.say("two", to=bob.uid)) == Result.BLOCKED


@ensureDeferred
async def test_passthrough_comes_across(log_in_both: LogInBoth) -> None:
    alice, bob = await log_in_both(), await log_in_both()
    typing = ImMsg(msg_id=new_id(), msg_type=MsgType.PASSTHROUGH, receiver_id=bob.uid, msg_body="typing")
    await alice.phone.request(typing)
    for device in (alice.desk, *bob):
        seen, _ = await device.see()
        assert (seen.msg_id, seen.msg_body, seen.seq_id) == (typing.msg_id, "typing", 0)


# Groups.


@ensureDeferred
async def test_a_group_whose_members_are_spread_hears_everyone(log_in_both: LogInBoth) -> None:
    alice, bob, carol = await log_in_both(), await log_in_both(), await log_in_both()
    group_id = await make_group(alice, bob, carol)
    for speaker, letter, others in ((alice.phone, "a", (*carol, bob.desk)), (bob.desk, "b", (*carol, alice.phone))):
        texts = [f"{letter}{n}" for n in range(N)]
        for each in texts:
            await speaker.say(each, group=group_id)
        for device in others:  # of two speakers at once, on two nodes, either may be heard first
            await hear_texts(device, group_id, *texts)
    assert [each.seq_id for each in await carol.desk.history(group_id)] == list(range(1, 2 * N + 2))


@ensureDeferred
async def test_many_speak_at_once_into_a_group_on_both_nodes_without_gap(log_in_both: LogInBoth) -> None:
    users = [await log_in_both() for _ in range(3)]
    group_id = await make_group(*users)
    asked = [
        device.connection.request(Command.IM_SEND_MSG, ImMsg(msg_id=new_id(), msg_type=1, group_id=group_id))
        for _ in range(N)
        for user in users
        for device in user
    ]
    acks = [await each for each in asked]
    everything = list(range(2, len(acks) + 2))
    assert sorted(ack.seq_id for ack in acks) == everything
    assert [each.seq_id for each in await users[0].phone.history(group_id)] == [1, *everything]
    for user in users:
        heard: set[int] = set()
        for device in user:
            pushed = [(await device.hear()).seq_id for _ in range(len(acks) - N)]
            assert len(set(pushed)) == len(pushed)
            heard.update(pushed)
        assert heard == set(everything)


@ensureDeferred
async def test_membership_is_the_same_on_both_nodes_at_once(log_in_both: LogInBoth) -> None:
    alice, bob, carol = await log_in_both(), await log_in_both(), await log_in_both()
    group_id = await make_group(alice, bob)
    await bob.desk.say("here we are", group=group_id)  # now both nodes know the members
    await alice.phone.say("so we are", group=group_id)
    for device in (alice.desk, bob.phone):
        await hear_texts(device, group_id, "here we are", "so we are")
    await alice.phone.request(GroupInvite(group_id=group_id, member_ids=[carol.uid]))
    await carol.desk.say("me too", group=group_id)
    for device in carol:
        await device.hear_op("invite")
    await hear_texts(carol.phone, group_id, "me too")
    await bob.desk.say("welcome", group=group_id)
    for device in carol:
        await hear_texts(device, group_id, "welcome")
    await alice.phone.request(GroupRemove(group_id=group_id, member_ids=[carol.uid]))
    assert await refusal(carol.desk.say("why", group=group_id)) == Result.NOT_IN_GROUP
    await bob.desk.request(GroupQuit(group_id=group_id))
    assert await refusal(bob.phone.say("back", group=group_id)) == Result.NOT_IN_GROUP
    members = (await alice.desk.request(GroupMembers(group_id=group_id))).members
    assert [member.uid for member in members] == [alice.uid]
    await bob.desk.say("end", to=carol.uid)
    await alice.desk.say("alone", group=group_id)
    for device in carol:
        await device.hear_op("remove")
        assert (await device.hear()).msg_body == "end"


@ensureDeferred
async def test_a_mute_and_a_role_hold_on_the_other_node_at_once(log_in_both: LogInBoth) -> None:
    alice, bob = await log_in_both(), await log_in_both()
    group_id = await make_group(alice, bob)
    await bob.desk.say("hello", group=group_id)
    await alice.phone.request(GroupMute(group_id=group_id, uid=bob.uid, until=2**53))
    assert await refusal(bob.desk.say("hello?", group=group_id)) == Result.MUTED
    await alice.phone.request(GroupMute(group_id=group_id, uid=bob.uid, until=0))
    await bob.desk.say("at last", group=group_id)
    await alice.phone.request(GroupMute(group_id=group_id, uid=0, until=2**53))
    assert await refusal(bob.desk.say("hello?", group=group_id)) == Result.MUTED
    await alice.phone.request(GroupRole(group_id=group_id, uid=bob.uid, role=Role.ADMIN))
    await bob.desk.say("a chief may", group=group_id)


@ensureDeferred
async def test_what_is_revoked_on_one_node_is_so_on_the_other(log_in_both: LogInBoth) -> None:
    alice, bob = await log_in_both(), await log_in_both()
    said = await alice.phone.say("oops", to=bob.uid)
    for device in bob:
        await hear_texts(device, said.group_id, "oops")
    await alice.desk.request(RevokeMsg(msg_id=said.msg_id, group_id=said.group_id))
    for device in bob:
        assert (await device.hear_op("revoke"))["msg_id"] == said.msg_id
        [revoked, _] = await device.history(said.group_id)
        assert (revoked.msg_status, revoked.msg_body) == (MsgStatus.REVOKED, "")


@ensureDeferred
async def test_the_chiefs_on_the_other_node_are_asked(log_in_both: LogInBoth) -> None:
    alice, bob = await log_in_both(), await log_in_both()
    group_id = await make_group(alice, join_policy=JoinPolicy.APPROVAL)
    assert await refusal(bob.desk.request(GroupJoin(group_id=group_id, message="hello"))) == Result.FORBIDDEN
    asked = [await device.told(Command.NOTICE_MSG) for device in alice]
    assert asked[0] == asked[1]
    assert json.loads(asked[0].payload)["uid"] == bob.uid
    await alice.desk.request(GroupInvite(group_id=group_id, member_ids=[bob.uid]))
    await hear_op("invite", alice, bob)


@ensureDeferred
async def test_a_broadcast_reaches_users_of_both_nodes_once(
    cluster: Cluster, log_in_both: LogInBoth, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, uid = await log_in_both(), new_uid()
    admin = await log_in(cluster.two, uid, token=cluster.two.token(uid, is_admin=True))
    await admin.say("to all", group=SYSTEM_GROUP)
    await admin.say("to all again", group=SYSTEM_GROUP)
    for device in alice:
        await hear_texts(device, SYSTEM_GROUP, "to all", "to all again")
        assert await device.unread(SYSTEM_GROUP) == 2


# Sessions and presence.


@ensureDeferred
async def test_a_login_of_the_same_kind_on_the_other_node_ends_the_first(
    cluster: Cluster, log_in: LogIn, new_uid: NewUid
) -> None:
    bob, uid = await log_in(cluster.one, new_uid()), new_uid()
    for before, after in ((cluster.one, cluster.two), (cluster.two, cluster.one)):
        old = await log_in(before, uid)
        new = await log_in(after, uid)
        assert (await old.told(Command.USER_KICK)).reason == KickReason.REPLACED
        await old.end()
        await bob.say("still there?", to=uid)
        assert (await new.hear()).msg_body == "still there?"
        assert list((await bob.request(PresenceQuery(uids=[uid]))).users) == [
            UserPresence(uid=uid, client_types=[LINUX])
        ]
        await new.leave()


@ensureDeferred
async def test_an_admin_ends_sessions_on_every_node(
    cluster: Cluster, log_in_both: LogInBoth, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, uid = await log_in_both(), new_uid()
    admin = await log_in(cluster.one, uid, token=cluster.one.token(uid, is_admin=True))
    answer = await admin.request(KickUser(uid=alice.uid, message="go home"))
    assert answer.sessions == 2
    for device in alice:
        kick = await device.told(Command.USER_KICK)
        assert (kick.reason, kick.message) == (KickReason.ADMIN, "go home")
        await device.end()


@ensureDeferred
async def test_who_comes_and_goes_on_the_other_node_is_told(cluster: Cluster, log_in: LogIn, new_uid: NewUid) -> None:
    alice, uid = await log_in(cluster.one, new_uid()), new_uid()
    asked = await alice.request(PresenceSubscribe(uids=[uid]))
    assert list(asked.users) == [UserPresence(uid=uid)]
    bob = await log_in(cluster.two, uid, ANDROID)
    await told_online(alice, uid, ANDROID)
    desk = await log_in(cluster.one, uid, MAC)
    await told_online(alice, uid, ANDROID, MAC)
    await bob.leave()
    await told_online(alice, uid, MAC)
    await desk.leave()
    await told_online(alice, uid)
