"""Groups: what its owner and admins make of one, and how members come, go, fall silent and rise."""

import pytest
from pytest_twisted import ensureDeferred

from imd.client.errors import ResultError
from imd.wire.bodies import (
    GetGroupById,
    GroupCreate,
    GroupDismiss,
    GroupInvite,
    GroupJoin,
    GroupMembers,
    GroupMute,
    GroupQuit,
    GroupRemove,
    GroupRole,
    GroupUpdate,
    Heartbeat,
    ImGroup,
    ImMsg,
    ImMsgAck,
    PullMsg,
)
from imd.wire.enums import JoinPolicy, MsgType, Quit, Role
from imd.wire.results import Result

from .conftest import LogIn, LogInThree, NewUid
from .daemon import Daemon
from .device import MAC, Device, eventually, new_id, refusal, until
from .users import User, catch_up, hear, hear_op, make_group

HOUR = 3_600_000


async def by_id(device: Device, group_id: str) -> ImGroup:
    [group] = (await device.request(GetGroupById(group_ids=[group_id]))).groups
    assert isinstance(group, ImGroup)
    return group


async def roles(device: Device, group_id: str) -> dict[int, int]:
    members = (await device.request(GroupMembers(group_id=group_id))).members
    return {member.uid: member.role for member in members}


async def changed(device: Device, since: int) -> list[ImGroup]:
    return list((await device.conversations(since)).groups)


async def now(device: Device) -> int:
    return int((await device.request(Heartbeat())).server_time)


def typing(group_id: str) -> ImMsg:
    return ImMsg(msg_id=new_id(), msg_type=MsgType.PASSTHROUGH, group_id=group_id)


async def appoint(owner: User, member: User, group_id: str, role: int = Role.ADMIN) -> None:
    await owner.desk.request(GroupRole(group_id=group_id, uid=member.uid, role=role))


# The group itself.


@ensureDeferred
async def test_what_a_chief_changes_of_a_group_everybody_learns_by_name(
    shared: Daemon, log_in_three: LogInThree
) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)
    change = GroupUpdate(group_id=group_id, group_name="Coffee", announcement="at four", extra="", join_policy=2)
    [answered] = (await alice.phone.request(change)).groups
    assert (answered.group_name, answered.announcement, answered.join_policy) == ("Coffee", "at four", JoinPolicy.OPEN)
    for device in (*alice, *bob, *carol):
        assert (await device.hear_op("update"))["value"] == "group_name announcement join_policy"
        assert (await by_id(device, group_id)).group_name == "Coffee"
    await alice.phone.request(change)
    assert (await by_id(bob.desk, group_id)).max_seq == 2
    assert await refusal(bob.desk.request(change)) == Result.FORBIDDEN
    await appoint(alice, bob, group_id)
    await bob.desk.request(GroupUpdate(group_id=group_id, announcement=""))
    assert (await by_id(carol.desk, group_id)).announcement == ""


@ensureDeferred
async def test_what_a_group_is_called_and_says_has_limits(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, *_ = await log_in_three(shared)
    group_id = await make_group(alice)
    limits = {"group_name": 256, "avatar": 1024, "announcement": 4096, "extra": 4096}
    for name, limit in limits.items():
        await alice.desk.request(GroupUpdate(group_id=group_id, **{name: "é" * (limit // 2)}))
        too_long = GroupUpdate(group_id=group_id, **{name: "é" * (limit // 2) + "x"})
        assert await refusal(alice.desk.request(too_long)) == Result.TOO_LARGE
    for wrong in ({"group_name": ""}, {"group_name": " \t"}, {"join_policy": 3}, {"join_policy": -1}):
        assert await refusal(alice.desk.request(GroupUpdate(group_id=group_id, **wrong))) == Result.BAD_REQUEST
    kept = await by_id(alice.phone, group_id)
    assert {name: len(getattr(kept, name).encode()) for name in limits} == limits


@ensureDeferred
async def test_who_does_not_come_in_past_the_limit_of_members(
    shared: Daemon, log_in_three: LogInThree, new_uid: NewUid
) -> None:
    alice, bob, carol = await log_in_three(shared)
    others = tuple(new_uid() for _ in range(4))
    too_many = GroupCreate(group_name="Crowd", member_ids=[bob.uid, carol.uid, *others])
    assert await refusal(alice.desk.request(too_many)) == Result.TOO_LARGE
    group_id = await make_group(alice, bob, uids=others, join_policy=JoinPolicy.OPEN)
    invite = GroupInvite(group_id=group_id, member_ids=[carol.uid])
    assert await refusal(alice.desk.request(invite)) == Result.TOO_LARGE
    assert await refusal(carol.desk.request(GroupJoin(group_id=group_id))) == Result.TOO_LARGE
    await bob.desk.request(GroupQuit(group_id=group_id))
    await carol.desk.request(GroupJoin(group_id=group_id))
    assert set(await roles(alice.desk, group_id)) == {alice.uid, carol.uid, *others}


@ensureDeferred
async def test_a_group_is_dismissed_for_everybody_and_for_good(
    shared: Daemon, log_in_three: LogInThree, log_in: LogIn
) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)
    await alice.desk.say("the last word", group=group_id)
    await catch_up(alice, bob)
    for device in carol:
        await device.leave()
    assert await refusal(bob.desk.request(GroupDismiss(group_id=group_id))) == Result.FORBIDDEN
    await alice.desk.request(GroupDismiss(group_id=group_id))
    await hear_op("dismiss", alice, bob)
    await alice.desk.request(GroupDismiss(group_id=group_id))
    for device in (alice.phone, bob.phone, await log_in(shared, carol.uid, MAC)):
        seen = await device.conversation(group_id)
        assert (seen.is_quit, seen.max_seq, seen.role, seen.unread) == (Quit.DISMISSED, 3, 0, 0)
        assert [each.seq_id for each in await device.history(group_id)] == [1, 2, 3]
        assert await device.unread(group_id) == 0
        assert await refusal(device.say("anybody?", group=group_id)) == Result.NOT_IN_GROUP
        assert await refusal(device.request(GroupMembers(group_id=group_id))) == Result.NOT_IN_GROUP
        assert await refusal(device.request(GroupJoin(group_id=group_id))) == Result.NOT_IN_GROUP


# Coming and going.


@ensureDeferred
async def test_a_removed_member_learns_it_and_sees_nothing_after(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)
    await alice.desk.say("before", group=group_id)
    since = (await carol.phone.conversations()).server_time
    await catch_up(alice, bob, carol)
    await alice.desk.request(GroupRemove(group_id=group_id, member_ids=[carol.uid]))
    for device in (*alice, *bob, *carol):
        body = await device.hear_op("remove")
        assert (body["by"], body["uids"]) == (alice.uid, [carol.uid])
    await alice.desk.say("among us", group=group_id)
    await hear("among us", *bob)

    for device in carol:
        assert await device.heard_all()
        assert await refusal(device.say("let me in", group=group_id)) == Result.NOT_IN_GROUP
        assert await refusal(device.request(typing(group_id))) == Result.NOT_IN_GROUP
        seen = await device.conversation(group_id)
        assert (seen.is_quit, seen.max_seq, seen.unread) == (Quit.REMOVED, 3, 0)
        assert (group_id, Quit.REMOVED) in [(each.group_id, each.is_quit) for each in await changed(device, since)]
        assert [each.seq_id for each in await device.history(group_id)] == [1, 2, 3]
        assert (await device.request(PullMsg(group_id=group_id, receive_seq_id=3))).messages == []
        assert await device.unread(group_id) == 0
    await until(lambda: shared.inbox(carol.uid) == [])
    assert await roles(bob.desk, group_id) == {alice.uid: Role.OWNER, bob.uid: Role.MEMBER}


@ensureDeferred
async def test_who_comes_back_sees_only_what_is_said_from_then_on(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)
    await alice.desk.say("before", group=group_id)
    await alice.desk.request(GroupRemove(group_id=group_id, member_ids=[carol.uid]))
    for n in range(4, 9):
        await alice.desk.say(f"{n}", group=group_id)
    await catch_up(alice, bob, carol)
    await bob.desk.request(GroupInvite(group_id=group_id, member_ids=[carol.uid]))
    await hear_op("invite", alice, bob, carol)
    seen = await carol.phone.conversation(group_id)
    assert (seen.is_quit, seen.init_seq, seen.read_seq, seen.max_seq, seen.unread) == (Quit.IN, 8, 8, 9, 0)
    await alice.desk.say("welcome", group=group_id)
    await hear("welcome", *carol)
    assert [each.seq_id for each in await carol.desk.history(group_id)] == [9, 10]
    assert await carol.desk.unread(group_id) == 1
    assert (await carol.desk.say("here again", group=group_id)).seq_id == 11


@ensureDeferred
async def test_a_chief_removes_only_those_below(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)

    def remove(*users: User) -> GroupRemove:
        return GroupRemove(group_id=group_id, member_ids=[user.uid for user in users])

    assert await refusal(bob.desk.request(remove(carol))) == Result.FORBIDDEN
    await appoint(alice, bob, group_id)
    assert await refusal(bob.desk.request(remove(carol, alice))) == Result.FORBIDDEN
    assert await refusal(bob.desk.request(remove(bob))) == Result.BAD_REQUEST
    assert len(await roles(alice.desk, group_id)) == 3
    await bob.desk.request(remove(carol))
    await bob.desk.request(remove(carol))
    assert await roles(alice.desk, group_id) == {alice.uid: Role.OWNER, bob.uid: Role.ADMIN}
    assert (await by_id(alice.desk, group_id)).max_seq == 3


@ensureDeferred
async def test_a_group_is_joined_as_its_policy_says(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob)
    join = GroupJoin(group_id=group_id, message="hello")
    assert await refusal(carol.desk.request(join)) == Result.NOT_IN_GROUP
    assert not (await carol.desk.request(GetGroupById(group_ids=[group_id]))).groups

    await alice.desk.request(GroupUpdate(group_id=group_id, join_policy=JoinPolicy.APPROVAL))
    assert await refusal(carol.desk.request(join)) == Result.FORBIDDEN
    invite = GroupInvite(group_id=group_id, member_ids=[carol.uid])
    assert await refusal(bob.desk.request(invite)) == Result.FORBIDDEN
    seen = await by_id(carol.desk, group_id)
    assert seen == ImGroup(group_id=group_id, group_type=2, group_name="Tea", member_count=2, join_policy=1)

    await alice.desk.request(GroupUpdate(group_id=group_id, join_policy=JoinPolicy.OPEN))
    await catch_up(alice, bob, carol)
    await carol.desk.request(join)
    await hear_op("join", alice, bob, carol)
    await carol.phone.request(join)
    for device in (*alice, *bob, *carol):
        assert await device.heard_all()
    assert [each.seq_id for each in await carol.desk.history(group_id)] == [4]


@ensureDeferred
async def test_an_owner_who_quits_leaves_the_group_to_the_admin(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)
    await appoint(alice, carol, group_id)
    await catch_up(alice, bob, carol)
    await alice.desk.request(GroupQuit(group_id=group_id))
    for device in (*alice, *bob, *carol):
        assert (await device.hear_op("quit"))["value"] == str(carol.uid)
    await alice.phone.request(GroupQuit(group_id=group_id))
    assert await roles(bob.desk, group_id) == {bob.uid: Role.MEMBER, carol.uid: Role.OWNER}
    assert (await by_id(alice.desk, group_id)).is_quit == Quit.LEFT
    for device in carol:
        assert await device.heard_all()


# Roles and silence.


@ensureDeferred
async def test_a_group_is_handed_over(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)
    await appoint(alice, bob, group_id)
    for device in (*alice, *bob, *carol):
        body = await device.hear_op("role")
        assert (body["uids"], body["value"]) == ([bob.uid], "2")
    assert await refusal(appoint(bob, carol, group_id)) == Result.FORBIDDEN
    assert await refusal(appoint(alice, alice, group_id, Role.MEMBER)) == Result.BAD_REQUEST
    for _ in range(2):
        await appoint(alice, carol, group_id, Role.OWNER)
    await hear_op("role", alice, bob, carol)
    assert await roles(bob.desk, group_id) == {
        alice.uid: Role.MEMBER,
        bob.uid: Role.ADMIN,
        carol.uid: Role.OWNER,
    }
    assert (await by_id(alice.desk, group_id)).owner_id == carol.uid
    assert await refusal(appoint(alice, bob, group_id, Role.MEMBER)) == Result.FORBIDDEN
    await appoint(carol, bob, group_id, Role.MEMBER)
    assert (await roles(bob.desk, group_id))[bob.uid] == Role.MEMBER


@ensureDeferred
async def test_a_muted_member_cannot_speak_until_that_is_lifted(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)
    until_ms = await now(alice.desk) + HOUR
    mute = GroupMute(group_id=group_id, uid=bob.uid, until=until_ms)
    assert await refusal(carol.desk.request(mute)) == Result.FORBIDDEN
    await alice.desk.request(mute)
    for device in (*alice, *bob, *carol):
        body = await device.hear_op("mute")
        assert (body["uids"], body["value"]) == ([bob.uid], str(until_ms))
    assert await refusal(bob.phone.say("but", group=group_id)) == Result.MUTED
    assert await refusal(bob.desk.request(typing(group_id))) == Result.MUTED
    assert (await by_id(bob.desk, group_id)).mute_until == until_ms
    await carol.desk.say("I may", group=group_id)
    await hear("I may", *bob)
    await alice.desk.request(mute)
    await alice.desk.request(GroupMute(group_id=group_id, uid=bob.uid))
    assert [(await device.hear_op("mute"))["value"] for device in bob] == ["0", "0"]
    assert (await bob.phone.say("thanks", group=group_id)).seq_id == 5


@ensureDeferred
async def test_a_mute_ends_by_itself(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, _ = await log_in_three(shared)
    group_id = await make_group(alice, bob)
    until_ms = await now(alice.desk) + 300
    await alice.desk.request(GroupMute(group_id=group_id, uid=bob.uid, until=until_ms))
    await catch_up(alice, bob)
    spoken = ImMsgAck()

    async def may_speak() -> bool:
        try:
            spoken.CopyFrom(await bob.phone.say("at last", group=group_id))
        except ResultError as error:
            if error.result != Result.MUTED:
                raise
        return spoken.seq_id > 0

    await eventually(may_speak)
    assert (spoken.seq_id, spoken.send_time >= until_ms) == (3, True)
    await hear("at last", bob.desk, *alice)
    assert (await by_id(bob.desk, group_id)).mute_until == 0


@ensureDeferred
async def test_while_everybody_is_muted_the_chiefs_speak(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)
    await appoint(alice, bob, group_id)
    await catch_up(alice, bob, carol)
    until_ms = await now(alice.desk) + HOUR
    await bob.desk.request(GroupMute(group_id=group_id, until=until_ms))
    for device in (*alice, *bob, *carol):
        body = await device.hear_op("mute")
        assert (body["uids"], body["value"]) == ([], str(until_ms))
        assert (await by_id(device, group_id)).mute_all == 1
    assert await refusal(carol.phone.say("but", group=group_id)) == Result.MUTED
    assert await refusal(carol.phone.request(typing(group_id))) == Result.MUTED
    assert await refusal(carol.phone.request(GroupMute(group_id=group_id))) == Result.FORBIDDEN
    await alice.desk.say("order", group=group_id)
    await bob.desk.say("order!", group=group_id)
    await alice.desk.request(GroupMute(group_id=group_id))
    await carol.phone.say("thanks", group=group_id)
    assert (await by_id(carol.desk, group_id)).mute_all == 0


@pytest.mark.parametrize("until", [-1, 1, -(2**63)])
@ensureDeferred
async def test_a_mute_until_what_is_over_is_refused(shared: Daemon, log_in: LogIn, new_uid: NewUid, until: int) -> None:
    alice, uid = await log_in(shared, new_uid()), new_uid()
    group_id = await alice.make_group("Tea", uid)
    for muted in (0, uid):
        mute = GroupMute(group_id=group_id, uid=muted, until=until)
        assert await refusal(alice.request(mute)) == Result.BAD_REQUEST
