"""Notices, by way of requests to join a group: pushed, kept for who is offline, pulled, and gone once ACKed."""

import json

from pytest_twisted import ensureDeferred

from imd.wire.bodies import (
    CleanPushCount,
    GroupInvite,
    GroupJoin,
    GroupRole,
    GroupUpdate,
    NoticeMsg,
    NoticeMsgAck,
    PullNotice,
    UserData,
)
from imd.wire.commands import Command
from imd.wire.enums import JoinPolicy, Role
from imd.wire.results import Result

from .conftest import LogIn, LogInThree
from .daemon import Daemon
from .device import ANDROID, MAC, Device, eventually, refusal
from .users import User, catch_up, hear_op, make_group

DAY = 86_400_000


async def ask_to_join(user: User, group_id: str, word: str = "hello") -> None:
    assert await refusal(user.desk.request(GroupJoin(group_id=group_id, message=word))) == Result.FORBIDDEN


async def waiting(device: Device, *, page_size: int = 0) -> list[NoticeMsg]:
    """Pull all notices, page by page."""
    notices: list[NoticeMsg] = []
    page = UserData(has_more=True)
    while page.has_more:
        page = await device.request(PullNotice(cursor=page.cursor, page_size=page_size))
        notices += page.notices
        assert len(page.notices) <= (page_size or 20)
    return notices


@ensureDeferred
async def test_the_chiefs_are_asked_on_every_device_and_let_the_applicant_in(
    shared: Daemon, log_in_three: LogInThree
) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, join_policy=JoinPolicy.APPROVAL)
    await ask_to_join(carol, group_id)
    asked = [await device.told(Command.NOTICE_MSG) for device in alice]
    assert asked[0] == asked[1]
    assert (asked[0].notice_type, asked[0].sender) == (1, "imd")
    assert 0 <= asked[0].send_time + 30 * DAY - asked[0].expire_time < 10_000
    assert json.loads(asked[0].payload) == {
        "op": "join_request",
        "group_id": group_id,
        "group_name": "Tea",
        "uid": carol.uid,
        "message": "hello",
    }
    for device in (*bob, *carol):
        assert await device.told_all(Command.NOTICE_MSG)
        assert await waiting(device) == []
    await alice.phone.request(GroupInvite(group_id=group_id, member_ids=[carol.uid]))
    await hear_op("invite", alice, bob, carol)
    assert (await carol.phone.say("thanks", group=group_id)).seq_id == 3


@ensureDeferred
async def test_a_notice_waits_for_who_is_offline_and_its_ack_on_one_device_is_for_all(
    shared: Daemon, log_in_three: LogInThree, log_in: LogIn
) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, join_policy=JoinPolicy.APPROVAL)
    await alice.desk.request(GroupRole(group_id=group_id, uid=bob.uid, role=Role.ADMIN))
    for device in bob:
        await device.leave()
    await ask_to_join(carol, group_id)
    asked = await alice.desk.told(Command.NOTICE_MSG)

    back = User(await log_in(shared, bob.uid, ANDROID), await log_in(shared, bob.uid, MAC))
    for device in (*alice, *back):
        assert await waiting(device) == [asked]
    for _ in range(2):
        back.phone.connection.tell(Command.NOTICE_MSG_ACK, NoticeMsgAck(notice_ids=[asked.notice_id, "unknown"]))

    async def is_gone() -> bool:
        return not await waiting(back.desk)

    await eventually(is_gone)
    assert await waiting(back.phone) == []
    assert await waiting(alice.phone) == [asked]  # each of the chiefs has their own


@ensureDeferred
async def test_who_asks_again_while_it_is_pending_is_pushed_again_and_waits_once(
    shared: Daemon, log_in_three: LogInThree
) -> None:
    alice, _, carol = await log_in_three(shared)
    group_id = await make_group(alice, join_policy=JoinPolicy.APPROVAL)
    await ask_to_join(carol, group_id)
    await ask_to_join(carol, group_id, "please!")
    first, again = [await alice.desk.told(Command.NOTICE_MSG) for _ in range(2)]
    assert first.notice_id == again.notice_id
    assert [notice.notice_id for notice in await waiting(alice.phone)] == [first.notice_id]
    assert await alice.desk.told_all(Command.NOTICE_MSG)


@ensureDeferred
async def test_notices_are_pulled_by_pages_the_oldest_first(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    asked = []
    for applicant in (bob, carol, bob, carol, bob):
        group_id = await make_group(alice, join_policy=JoinPolicy.APPROVAL)
        await ask_to_join(applicant, group_id)
        asked.append(await alice.desk.told(Command.NOTICE_MSG))
    assert [notice.notice_id for notice in await waiting(alice.phone)] == [notice.notice_id for notice in asked]
    assert await waiting(alice.phone, page_size=2) == asked
    nonsense = PullNotice(cursor="nonsense")
    assert await refusal(alice.phone.request(nonsense)) == Result.BAD_REQUEST


@ensureDeferred
async def test_a_request_to_join_ends_with_a_policy_that_needs_none(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, join_policy=JoinPolicy.APPROVAL)
    too_long = GroupJoin(group_id=group_id, message="x" * 1025)
    assert await refusal(carol.desk.request(too_long)) == Result.TOO_LARGE
    await ask_to_join(carol, group_id, "x" * 1024)
    await alice.desk.request(GroupUpdate(group_id=group_id, join_policy=JoinPolicy.OPEN))
    await catch_up(alice, bob)
    await carol.desk.request(GroupJoin(group_id=group_id))
    await hear_op("join", alice, bob, carol)


@ensureDeferred
async def test_the_badge_of_offline_pushes_starts_anew(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, *_ = await log_in_three(shared)

    def badge_from() -> int:
        [(time_ms,)] = shared.rows("SELECT badge_from FROM x_user WHERE uid = ?", alice.uid)
        return int(time_ms)

    assert badge_from() == 0
    await alice.phone.request(CleanPushCount())
    first = badge_from()
    assert first > 1_700_000_000_000
    await alice.desk.await_time(first)
    await alice.desk.request(CleanPushCount())
    assert badge_from() > first
