"""What becomes of two nodes when one of them, Redis or PostgreSQL dies: nothing that was ACKed is lost or doubled."""

from collections.abc import Awaitable, Callable

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred, gatherResults

from imd.client.errors import ResultError
from imd.wire.bodies import Heartbeat, PresenceQuery, PresenceSubscribe, UserPresence
from imd.wire.commands import Command
from imd.wire.results import KickReason, Result
from imd.wire.single import single_group_id

from .cluster import Cluster
from .conftest import LogIn, LogInBoth, NewUid
from .device import ANDROID, LINUX, MAC, Device, eventually, message, reactor, refusal, until

SETTINGS = {"IMD_PRESENCE_LEASE_SECONDS": "2", "IMD_DELIVERY_SWEEP_SECONDS": "60", "IMD_STORAGE_TIMEOUT_SECONDS": "2"}
"""The lease is short, and the sweep is not what brings anything here."""

AT_ONCE = 2.0
"""Seconds in which a refusal comes, on a machine that is busy."""

BOUNDED = 6.0
"""Seconds in which a refusal comes from who waits for a server that is silent."""


async def refused(asked: Awaitable[object], within: float) -> None:
    """See that this is refused UNAVAILABLE in time."""
    began = reactor.seconds()
    assert await refusal(asked) == Result.UNAVAILABLE
    assert reactor.seconds() - began < within


async def hear_all(device: Device, *seqs: int) -> None:
    """Let the device hear all of these, where each may come more than once."""
    missing = set(seqs)
    while missing:
        missing.discard((await device.hear()).seq_id)


async def say_many(device: Device, uid: int, n: int) -> list[int]:
    """Send the user ``n`` messages; return their seqs."""
    return [(await device.say(f"{n}", to=uid)).seq_id for n in range(n)]


async def is_stored_once(device: Device, group_id: str, end: int) -> None:
    """See that the conversation has each seq up to its end, once."""
    assert [each.seq_id for each in await device.history(group_id)] == list(range(1, end + 1))


# Logins at once.


@ensureDeferred
async def test_of_two_logins_at_once_on_two_nodes_one_remains(cluster: Cluster, log_in: LogIn, new_uid: NewUid) -> None:
    alice, uid = await log_in(cluster.one, new_uid()), new_uid()
    for n in range(10):
        rivals = await gatherResults([Deferred.fromCoroutine(log_in(node, uid)) for node in cluster.nodes])
        await until(lambda rivals=rivals: any(rival.closed.called for rival in rivals))  # type: ignore[misc]
        [loser] = [rival for rival in rivals if rival.closed.called]
        [winner] = [rival for rival in rivals if not rival.closed.called]
        assert (await loser.told(Command.USER_KICK)).reason == KickReason.REPLACED
        sent = await alice.say(f"{n}", to=uid)
        await hear_all(winner, sent.seq_id)
        assert list((await alice.request(PresenceQuery(uids=[uid]))).users) == [
            UserPresence(uid=uid, client_types=[LINUX])
        ]


# A node.


@ensureDeferred
async def test_users_of_a_killed_node_come_back_on_the_other_one_and_miss_nothing(
    cluster: Cluster, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, bob, carol = (
        await log_in(cluster.one, new_uid()),
        await log_in(cluster.two, new_uid()),
        await log_in(cluster.two, new_uid()),
    )
    await alice.request(PresenceSubscribe(uids=[carol.uid]))
    before = await say_many(alice, bob.uid, 3)
    await hear_all(bob, *before)
    cluster.two.kill()
    try:
        group_id = (await alice.say("are you there?", to=bob.uid)).group_id
        back = await log_in(cluster.one, bob.uid)
        assert [each.seq_id for each in await back.history(group_id)] == [1, 2, 3, 4]
        assert (await back.history(group_id))[-1].msg_body == "are you there?"
        heard = await alice.say("good", to=bob.uid)
        await hear_all(back, heard.seq_id)
        gone = await alice.told(Command.PRESENCE_NOTICE)
        assert list(gone.users) == [UserPresence(uid=carol.uid)]
        asked = await alice.request(PresenceQuery(uids=[bob.uid, carol.uid]))
        assert list(asked.users) == [UserPresence(uid=bob.uid, client_types=[LINUX]), UserPresence(uid=carol.uid)]
    finally:
        cluster.two.start()


@ensureDeferred
async def test_users_of_a_stopped_node_come_back_on_the_other_one(
    cluster: Cluster, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, bob = await log_in(cluster.one, new_uid()), await log_in(cluster.two, new_uid())
    await alice.request(PresenceSubscribe(uids=[bob.uid]))
    sent = await alice.say("one", to=bob.uid)
    await hear_all(bob, sent.seq_id)
    cluster.two.terminate()
    try:
        await bob.end()
        back = await log_in(cluster.one, bob.uid, MAC)
        await hear_all(back, (await alice.say("two", to=bob.uid)).seq_id)
        await is_stored_once(back, sent.group_id, 2)
        assert cluster.two.wait() == 0
    finally:
        cluster.two.start()


# Redis.


@ensureDeferred
async def test_a_flushed_redis_loses_no_message(
    cluster: Cluster, log_in_both: LogInBoth, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, bob, carol = await log_in_both(), await log_in_both(), await log_in(cluster.two, new_uid())
    to_bob, to_carol = f"{alice.uid}_{bob.uid}", f"{alice.uid}_{carol.uid}"
    for n in range(20, 61, 20):
        seqs = await say_many(alice.phone, carol.uid, 10)
        await say_many(alice.phone, bob.uid, 10)
        assert cluster.redis.ask("FLUSHALL") == "OK"
        seqs += await say_many(alice.phone, carol.uid, 10)
        await say_many(alice.phone, bob.uid, 10)
        await hear_all(carol, *seqs)
        for device in (*bob, alice.desk):
            await comes_to_know(device, to_bob, n)
    await is_stored_once(bob.desk, to_bob, 60)
    await is_stored_once(carol, to_carol, 60)
    asked = await alice.phone.request(PresenceQuery(uids=[bob.uid, carol.uid]))
    assert [list(user.client_types) for user in asked.users] == [[ANDROID, MAC], [LINUX]]


async def comes_to_know(device: Device, group_id: str, end: int) -> None:
    """See that the device is pushed a conversation's last message, or told that there is one."""
    known = [0]

    async def knows() -> bool:
        while not await device.heard_all():
            pushed, trace_id = await device.see()
            device.connection.acknowledge(trace_id)
            known.extend([pushed.seq_id] * (pushed.group_id == group_id))
        while not await device.told_all(Command.CONVERSATION_NOTICE):
            told = await device.told(Command.CONVERSATION_NOTICE)
            known.extend(group.max_seq for group in told.groups if group.group_id == group_id)
        return max(known) >= end

    await eventually(knows)


@pytest.mark.parametrize("way", ["kill", "pause"])
@ensureDeferred
async def test_without_redis_chat_goes_on_and_what_is_for_the_other_node_comes_later(
    way: str, cluster: Cluster, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, bob, carol = (
        await log_in(cluster.one, new_uid()),
        await log_in(cluster.two, new_uid()),
        await log_in(cluster.one, new_uid()),
    )
    group_id = (await alice.say("before", to=bob.uid)).group_id
    await hear_all(bob, 1)
    getattr(cluster.redis, way)()
    try:
        seqs = await say_many(alice, bob.uid, 20)
        for n in range(20):
            sent = await alice.say(f"{n}", to=carol.uid)
            await hear_all(carol, sent.seq_id)
        for node in cluster.nodes:
            await refused(log_in(node, new_uid()), BOUNDED)
        began = reactor.seconds()
        await until(lambda: reactor.seconds() - began > 3)  # longer than the lease
        for node in cluster.nodes:
            await refused(log_in(node, new_uid()), AT_ONCE if way == "kill" else BOUNDED)
        seqs += await say_many(alice, bob.uid, 5)
        sent = await alice.say("still", to=carol.uid)
        await hear_all(carol, sent.seq_id)
    finally:
        cluster.redis.start() if way == "kill" else cluster.redis.resume()
    await hear_all(bob, *seqs)
    await cluster.joined()
    sent = await bob.say("after", to=alice.uid)
    await hear_all(alice, sent.seq_id)
    await is_stored_once(bob, group_id, 27)


@ensureDeferred
async def test_who_logged_in_elsewhere_while_a_node_was_cut_from_redis_is_kicked_there(
    cluster: Cluster, log_in: LogIn, new_uid: NewUid
) -> None:
    cut, way = cluster.two, cluster.ways["n2"]
    alice, uid = await log_in(cluster.one, new_uid()), new_uid()
    bob, carol, dave = await log_in(cut, uid), await log_in(cut, new_uid()), await log_in(cut, new_uid())
    await hear_all(bob, *await say_many(alice, uid, 1))
    await way.close()
    try:
        to_carol = await say_many(alice, carol.uid, 5)
        from_carol = await say_many(carol, alice.uid, 5)
        await hear_all(dave, *await say_many(bob, dave.uid, 5))
        await refused(log_in(cut, new_uid()), BOUNDED)
        back = await log_in(cluster.one, uid)
        await hear_all(back, *await say_many(alice, uid, 5))
        assert not bob.closed.called
    finally:
        await way.open()
    assert (await bob.told(Command.USER_KICK)).reason == KickReason.REPLACED
    await hear_all(carol, *to_carol)
    await hear_all(alice, *from_carol)
    await hear_all(back, *await say_many(alice, uid, 5))
    for device, end in ((back, 11), (carol, 10)):
        await is_stored_once(device, single_group_id(alice.uid, device.uid), end)
    asked = await alice.request(PresenceQuery(uids=[uid, carol.uid]))
    assert [list(user.client_types) for user in asked.users] == [[LINUX], [LINUX]]


@ensureDeferred
async def test_who_came_and_went_while_a_node_was_cut_from_redis_is_told_there_to_who_watches(
    cluster: Cluster, log_in: LogIn, new_uid: NewUid
) -> None:
    comes, goes, stays = new_uid(), await log_in(cluster.one, new_uid()), await log_in(cluster.one, new_uid())
    alice = await log_in(cluster.two, new_uid())
    await alice.request(PresenceSubscribe(uids=[comes, goes.uid, stays.uid]))
    await cluster.ways["n2"].close()
    try:
        await goes.leave()
        await log_in(cluster.one, comes)
    finally:
        await cluster.ways["n2"].open()
    told = {}
    while len(told) < 2:
        for user in (await alice.told(Command.PRESENCE_NOTICE)).users:
            told[user.uid] = list(user.client_types)
    assert told == {comes: [LINUX], goes.uid: []}


# PostgreSQL.


async def works(asked: Callable[[], Awaitable[object]]) -> None:
    """Ask until it is not refused UNAVAILABLE."""

    async def is_done() -> bool:
        try:
            await asked()
        except ResultError as error:
            if error.result == Result.UNAVAILABLE:
                return False
            raise
        return True

    await eventually(is_done)


@pytest.mark.parametrize(("way", "back", "within"), [("kill", "start", AT_ONCE), ("pause", "resume", BOUNDED)])
@ensureDeferred
async def test_without_postgresql_it_is_unavailable_and_works_again_after(
    way: str, back: str, within: float, cluster: Cluster, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, bob = await log_in(cluster.one, new_uid()), await log_in(cluster.two, new_uid())
    group_id = (await alice.say("before", to=bob.uid)).group_id
    await hear_all(bob, 1)
    getattr(cluster.postgres, way)()
    said = message("during", to=bob.uid)
    try:
        await refused(alice.request(said), within)
        await refused(alice.conversations(), within)
        await refused(bob.history(group_id), within)
        await refused(log_in(cluster.two, new_uid()), within)
        await refused(alice.request(said), AT_ONCE)  # by now it is known
        await alice.request(Heartbeat())
    finally:
        getattr(cluster.postgres, back)()
    await works(lambda: alice.request(said))
    await hear_all(bob, 2)
    await works(bob.conversations)
    await hear_all(alice, (await bob.say("after", to=alice.uid)).seq_id)
    await is_stored_once(bob, group_id, 3)
