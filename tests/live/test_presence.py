"""Presence: who is online on what, asked for once or watched."""

from pytest_twisted import ensureDeferred

from imd.wire.bodies import Block, PresenceNotice, PresenceQuery, PresenceSubscribe, Unblock, UserLogout, UserPresence
from imd.wire.commands import Command
from imd.wire.results import Result

from .conftest import LogIn, LogInThree, NewUid
from .daemon import Daemon
from .device import ANDROID, LINUX, MAC, Device, eventually, refusal
from .users import User


def online(uid: int, *client_types: int) -> UserPresence:
    return UserPresence(uid=uid, client_types=client_types)


async def watch(device: Device, *uids: int) -> list[UserPresence]:
    return list((await device.request(PresenceSubscribe(uids=uids))).users)


async def told(device: Device, *users: UserPresence) -> None:
    """Take the next news, which has to be of these."""
    assert await device.told(Command.PRESENCE_NOTICE) == PresenceNotice(users=users)


@ensureDeferred
async def test_a_query_tells_on_what_each_is_online(shared: Daemon, log_in_three: LogInThree, new_uid: NewUid) -> None:
    alice, bob, _ = await log_in_three(shared)
    nobody = new_uid()
    query = PresenceQuery(uids=[nobody, bob.uid, alice.uid, bob.uid])
    expected = [online(nobody), online(bob.uid, ANDROID, MAC), online(alice.uid, ANDROID, MAC)]
    assert list((await alice.desk.request(query)).users) == expected


@ensureDeferred
async def test_coming_is_told_at_once_and_going_later(
    shared: Daemon, log_in_three: LogInThree, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, bob, _ = await log_in_three(shared)
    late = new_uid()
    for device in alice:
        assert await watch(device, bob.uid, late) == [online(bob.uid, ANDROID, MAC), online(late)]
    dave = User(await log_in(shared, late, ANDROID), await log_in(shared, late, LINUX))
    for device in alice:
        users = (await device.told(Command.PRESENCE_NOTICE)).users
        while users[-1] != online(late, ANDROID, LINUX):
            assert users[-1] == online(late, ANDROID)
            users = (await device.told(Command.PRESENCE_NOTICE)).users
    await dave.phone.leave()
    assert list((await alice.desk.request(PresenceQuery(uids=[late]))).users) == [online(late, LINUX)]
    for device in alice:
        await told(device, online(late, LINUX))
        assert await device.told_all(Command.PRESENCE_NOTICE)
    for device in bob:
        assert await device.told_all(Command.PRESENCE_NOTICE)


@ensureDeferred
async def test_who_is_back_soon_was_never_away(
    shared: Daemon, log_in_three: LogInThree, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, bob, carol = await log_in_three(shared)
    dave = new_uid()
    await watch(alice.desk, bob.uid, carol.uid, dave)
    await bob.phone.leave()

    async def is_away() -> bool:
        return list((await alice.desk.request(PresenceQuery(uids=[bob.uid]))).users) == [online(bob.uid, MAC)]

    await eventually(is_away)
    await log_in(shared, dave, LINUX)
    await told(alice.desk, online(dave, LINUX))  # and nothing of bob, who went before
    await log_in(shared, bob.uid, ANDROID)
    await carol.phone.leave()
    await told(alice.desk, online(carol.uid, MAC))  # and nothing of bob, whose time would have come before
    assert await alice.desk.told_all(Command.PRESENCE_NOTICE)


@ensureDeferred
async def test_who_is_watched_no_more_is_not_told_of(shared: Daemon, log_in_three: LogInThree, log_in: LogIn) -> None:
    alice, bob, carol = await log_in_three(shared)
    for device in alice:
        await watch(device, bob.uid, carol.uid)
    assert not (await alice.desk.request(PresenceSubscribe(uids=[bob.uid], unsubscribe=True))).users
    await alice.phone.request(PresenceSubscribe(unsubscribe=True))
    await log_in(shared, bob.uid, LINUX)
    await log_in(shared, carol.uid, LINUX)
    await told(alice.desk, online(carol.uid, ANDROID, MAC, LINUX))
    for device in alice:
        assert await device.told_all(Command.PRESENCE_NOTICE)


@ensureDeferred
async def test_a_watch_ends_with_its_session(shared: Daemon, log_in_three: LogInThree, log_in: LogIn) -> None:
    alice, bob, carol = await log_in_three(shared)
    await watch(alice.desk, bob.uid)
    await watch(carol.desk, bob.uid)
    await alice.desk.request(UserLogout())
    await alice.desk.connection.login(alice.uid, shared.token(alice.uid), MAC)
    await log_in(shared, bob.uid, LINUX)
    await told(carol.desk, online(bob.uid, ANDROID, MAC, LINUX))
    assert await alice.desk.told_all(Command.PRESENCE_NOTICE)


@ensureDeferred
async def test_who_blocks_a_watcher_is_told_as_gone_for_good(
    shared: Daemon, log_in_three: LogInThree, log_in: LogIn
) -> None:
    alice, bob, carol = await log_in_three(shared)
    for watcher in (alice, carol):
        await watch(watcher.desk, bob.uid)
    await bob.desk.request(Block(uids=[alice.uid]))
    await told(alice.desk, online(bob.uid))
    assert await watch(alice.phone, bob.uid) == [online(bob.uid)]
    await bob.desk.request(Unblock(uids=[alice.uid]))
    await log_in(shared, bob.uid, LINUX)
    await told(carol.desk, online(bob.uid, ANDROID, MAC, LINUX))
    for device in alice:
        assert await device.told_all(Command.PRESENCE_NOTICE)


@ensureDeferred
async def test_a_session_watches_five_hundred_users_at_most(
    shared: Daemon, log_in_three: LogInThree, log_in: LogIn
) -> None:
    alice, bob, _ = await log_in_three(shared)
    crowd = range(10**6, 10**6 + 500)
    assert len(await watch(alice.desk, *crowd)) == 500
    assert await refusal(watch(alice.desk, bob.uid)) == Result.TOO_LARGE
    assert len(await watch(alice.desk, *crowd[:3])) == 3
    assert len(await watch(alice.phone, bob.uid)) == 1
    await alice.desk.request(PresenceSubscribe(uids=crowd[:1], unsubscribe=True))
    assert await watch(alice.desk, bob.uid) == [online(bob.uid, ANDROID, MAC)]
    await log_in(shared, bob.uid, LINUX)
    for device in alice:
        await told(device, online(bob.uid, ANDROID, MAC, LINUX))
