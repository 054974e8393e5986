"""Presence in Redis: several nodes, their leases, and what it costs."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.task import deferLater

from imd.ports.presence import Entry
from imd.presence import scripts

from .conftest import NewNode
from .redis_node import Node, eventually, together, until
from .redis_server import RedisServer

Pair = Callable[..., Awaitable[tuple[Node, Node]]]

BRIEF = {"lease": 0.6, "renew": 0.1}
"""A lease that tests can wait for (seconds)."""


@pytest.fixture
def two(new_node: NewNode) -> Pair:
    """Two nodes that share a Redis."""

    async def started(**pace: Any) -> tuple[Node, Node]:
        first, second = new_node("imd1", **pace), new_node("imd2", **pace)
        await first.start()
        await second.start()
        return first, second

    return started


def calls(redis: RedisServer) -> dict[str, int]:
    """Return how often each command was called since CONFIG RESETSTAT, but for what this asks itself."""
    lines = (line.partition(":calls=") for line in redis.ask("INFO", "commandstats").splitlines())
    found = {name.removeprefix("cmdstat_"): int(rest.split(",")[0]) for name, _, rest in lines if rest}
    return {name: n for name, n in found.items() if name not in ("info", "config")}


# Logins and logouts on two nodes


@ensureDeferred
async def test_a_session_that_another_node_has_replaced_is_told_to_its_own_node_once(two: Pair) -> None:
    first, second = await two()
    await first.login(1, "a")
    assert await second.login(1, "b") == first.at("a")
    assert await first.presence.check() == [Entry(1, 11, "a")]
    assert await first.presence.check() == []
    assert await second.presence.check() == []


@ensureDeferred
async def test_of_two_logins_at_once_one_remains_and_the_other_is_told_as_replaced(two: Pair) -> None:
    first, second = await two()
    for uid in range(1, 301):
        pair = [(first, "a"), (second, "b")][:: 1 if uid % 2 else -1]
        replaced = await together(*(node.login(uid, session_id) for node, session_id in pair))
        losers = [who for who in replaced if who is not None]
        assert len(losers) == 1
        (winner,) = {first.at("a"), second.at("b")} - set(losers)
        assert await first.sees(uid) == await second.sees(uid) == {11: winner}
        by_node = {node.name: [each.session_id for each in await node.presence.check()] for node, _ in pair}
        assert by_node == {losers[0].node: [losers[0].session_id], winner.node: []}


@ensureDeferred
async def test_of_many_logins_at_once_on_both_nodes_one_remains(two: Pair) -> None:
    first, second = await two()
    nodes = [(first, f"s{n}") if n % 2 else (second, f"s{n}") for n in range(40)]
    replaced = await together(*(node.login(1, session_id) for node, session_id in nodes))
    (winner,) = {node.at(session_id) for node, session_id in nodes} - set(replaced)
    assert replaced.count(None) == 1
    assert await first.sees(1) == {11: winner}


@ensureDeferred
async def test_a_late_logout_on_one_node_leaves_the_newer_login_on_the_other(two: Pair) -> None:
    first, second = await two()
    await first.login(1, "a")
    await together(first.logout(1, "a"), second.login(1, "b"))
    assert await first.sees(1) == {11: second.at("b")}
    await first.logout(1, "a")
    assert await first.sees(1) == {11: second.at("b")}


@ensureDeferred
async def test_what_an_older_link_still_had_on_its_way_puts_nobody_in(two: Pair, redis: RedisServer) -> None:
    first, _second = await two()
    own = redis.ask("HKEYS", "imd:nodes").split()[0]
    keys = ["imd:nodes", "imd:online", "imd:"]
    assert await first.link.script(scripts.LOGIN, keys, [own, 0, 1, 11, "late"]) is None
    assert await first.link.script(scripts.REGISTER, keys, [own, 0, 1, 11, "late"]) is None
    assert await first.link.script(scripts.RENEW, keys, [own, 0, 15_000, "channel"]) is None
    assert await first.sees(1) == {}


# Who is told


@ensureDeferred
async def test_every_node_is_told_of_who_comes_and_goes_on_another(two: Pair) -> None:
    first, second = await two()
    await second.login(1, "a")
    await first.hears_of(1)
    first.changed.clear()
    await second.logout(1, "a")
    await first.hears_of(1)
    assert await first.sees(1) == {}


@ensureDeferred
async def test_many_changes_at_once_are_told_to_the_other_nodes_together(two: Pair, redis: RedisServer) -> None:
    first, second = await two(gather=0.2)
    redis.ask("CONFIG", "RESETSTAT")
    await together(*(second.login(uid, f"s{uid}") for uid in range(1, 101)))
    await first.hears_of(*range(1, 101))
    assert calls(redis)["publish"] == 1


@ensureDeferred
async def test_a_node_that_has_just_come_counts_at_once(new_node: NewNode) -> None:
    first = new_node("imd1", renew=60, lease=180)
    await first.start()
    for n in range(20):
        newcomer = new_node(f"new{n}")
        await newcomer.start()
        await newcomer.login(1, f"s{n}")
        assert await first.sees(1) == {11: newcomer.at(f"s{n}")}
        await newcomer.stop()


# Nodes that are gone


@ensureDeferred
async def test_a_dead_node_s_users_are_offline_when_its_lease_ends(two: Pair) -> None:
    first, second = await two(**BRIEF)
    await second.login(1, "a")
    await second.login(2, "b")
    await first.login(2, "c", client_type=20)
    await first.hears_of(1)
    first.changed.clear()
    await second.die()
    died = reactor.seconds()
    await eventually(lambda: first.sees(1), {})
    assert reactor.seconds() - died < BRIEF["lease"] + 0.5
    assert await first.presence.nodes([1, 2]) == {2: {"imd1"}}
    assert await first.presence.client_types([1, 2]) == {1: [], 2: [20]}
    await first.hears_of(1, 2)
    await first.doubts_that("the lease of node imd2 has ended")


@ensureDeferred
async def test_until_its_lease_ends_a_node_that_is_silent_counts(two: Pair) -> None:
    first, second = await two(lease=60)
    await second.login(1, "a")
    await second.die()
    assert await first.sees(1) == {11: second.at("a")}


@ensureDeferred
async def test_who_logs_in_after_a_node_died_replaces_nobody(two: Pair) -> None:
    first, second = await two(**BRIEF)
    await second.login(1, "a")
    await second.die()
    await first.doubts_that("the lease of node imd2 has ended")
    assert await first.login(1, "b") is None
    assert await first.sees(1) == {11: first.at("b")}


@ensureDeferred
async def test_what_a_dead_node_left_is_swept_and_nothing_else(two: Pair, redis: RedisServer) -> None:
    first, second = await two(**BRIEF)
    await together(*(second.login(uid, f"s{uid}") for uid in range(1, 501)))
    await first.login(7, "mine", client_type=20)
    await first.login(8, "mine")
    await second.die()
    await until(lambda: redis.ask("HLEN", "imd:online") == "2" and redis.ask("HLEN", "imd:nodes") == "1")
    assert await first.sees(7) == {20: first.at("mine")}
    assert await first.sees(8) == {11: first.at("mine")}
    keys = redis.ask("KEYS", "imd:*").split()
    assert [key for key in keys if "imd2" in key] == []


@ensureDeferred
async def test_a_node_that_starts_again_does_not_inherit_what_it_left_when_it_died(new_node: NewNode) -> None:
    before = new_node("imd1", **BRIEF)
    await before.start()
    await before.login(1, "a")
    await before.die()
    after = new_node("imd1", **BRIEF)
    await after.start()
    await eventually(lambda: after.sees(1), {})


@ensureDeferred
async def test_a_node_that_leaves_takes_its_users_along_at_once(two: Pair, redis: RedisServer) -> None:
    first, second = await two(lease=60)
    await second.login(1, "a")
    await first.hears_of(1)
    first.changed.clear()
    await second.stop()
    await eventually(lambda: first.sees(1), {}, seconds=2)
    await first.hears_of(1)
    await until(lambda: redis.ask("HLEN", "imd:online") == "0")


@ensureDeferred
async def test_a_node_whose_lease_was_late_is_told_and_may_register(new_node: NewNode) -> None:
    first = new_node("imd1", lease=0.1, renew=60)
    await first.start()
    await first.login(1, "a")
    first.doubts.clear()
    await deferLater(reactor, 0.15)
    await first.sees(1)
    assert first.doubts == ["the lease of this node was lost"]
    assert await first.presence.register([Entry(1, 11, "a")]) == []
    assert await first.sees(1) == {11: first.at("a")}


# Registering


@ensureDeferred
async def test_after_a_flush_every_node_is_told_and_registering_brings_all_back(two: Pair, redis: RedisServer) -> None:
    first, second = await two(**BRIEF)
    await together(*(first.login(uid, f"s{uid}") for uid in range(1, 451)))
    await second.login(1, "t", client_type=20)
    for node in (first, second):
        node.doubts.clear()
    redis.ask("FLUSHALL")
    for node in (first, second):
        await node.doubts_that("the lease of this node was lost")
    second.changed.clear()
    assert await first.presence.register([Entry(uid, 11, f"s{uid}") for uid in range(1, 451)]) == []
    assert await second.presence.register([Entry(1, 20, "t")]) == []
    assert await second.sees(1) == {11: first.at("s1"), 20: second.at("t")}
    found = await second.presence.nodes(range(1, 451))
    assert {uid: set(nodes) for uid, nodes in found.items()} == {1: {"imd1", "imd2"}} | {
        uid: {"imd1"} for uid in range(2, 451)
    }
    await second.hears_of(*range(1, 451))


@ensureDeferred
async def test_that_the_entries_were_evicted_is_noticed(two: Pair, redis: RedisServer) -> None:
    first, _second = await two(**BRIEF)
    await first.login(1, "a")
    first.doubts.clear()
    redis.ask("DEL", "imd:online")
    await first.doubts_that("the lease of this node was lost")
    await first.presence.register([Entry(1, 11, "a")])
    assert await first.sees(1) == {11: first.at("a")}


@ensureDeferred
async def test_the_first_login_after_a_flush_works(two: Pair, redis: RedisServer) -> None:
    first, second = await two(lease=180, renew=60)
    redis.ask("FLUSHALL")
    assert await first.login(1, "a") is None
    assert await second.sees(1) == {11: first.at("a")}
    await first.doubts_that("the lease of this node was lost")


@ensureDeferred
async def test_registering_leaves_newer_logins_of_other_nodes_and_names_who_lost(two: Pair) -> None:
    first, second = await two()
    await first.login(1, "a")
    await first.login(2, "b")
    await second.login(1, "c")
    assert await first.presence.register([Entry(1, 11, "a"), Entry(2, 11, "b")]) == [Entry(1, 11, "a")]
    assert await first.sees(1) == {11: second.at("c")}


@ensureDeferred
async def test_registering_takes_the_place_of_a_node_that_has_died(two: Pair) -> None:
    first, second = await two(**BRIEF)
    await first.login(1, "a")
    await second.login(1, "b")
    await second.die()
    await first.doubts_that("the lease of node imd2 has ended")
    assert await first.presence.register([Entry(1, 11, "a")]) == []
    assert await first.sees(1) == {11: first.at("a")}
    assert await first.presence.check() == []


@ensureDeferred
async def test_registering_takes_out_what_has_ended_and_leaves_the_other_nodes(two: Pair) -> None:
    first, second = await two()
    await together(*(first.login(uid, f"s{uid}") for uid in range(1, 501)))
    await second.login(1, "t", client_type=20)
    await first.login(2, "u", client_type=20)
    await second.hears_of(*range(1, 501))
    second.changed.clear()
    assert await first.presence.register([Entry(2, 11, "s2"), Entry(3, 11, "s3")]) == []
    found = await second.presence.client_types(range(1, 501))
    assert {uid: list(kinds) for uid, kinds in found.items() if kinds} == {1: [20], 2: [11], 3: [11]}
    await second.hears_of(1, 2, *range(4, 501))
    assert 3 not in second.changed


@ensureDeferred
async def test_who_logs_in_while_its_node_registers_is_not_taken_out(two: Pair) -> None:
    first, second = await two()
    everybody = range(1, 301)
    registering = [first.presence.register([]) for _ in range(3)]
    await together(*registering[:2], *(first.login(uid, f"s{uid}") for uid in everybody), registering[2])
    found = await second.presence.nodes(everybody)
    assert len(found) == len(everybody)


@ensureDeferred
async def test_who_logs_out_while_its_node_registers_is_not_put_back(two: Pair, redis: RedisServer) -> None:
    first, _second = await two()
    redis.ask("FLUSHALL")
    entries = [Entry(uid, 11, f"s{uid}") for uid in range(1, 301)]
    await together(first.presence.register(entries), *(first.logout(uid, f"s{uid}") for uid in range(1, 301)))
    assert await first.presence.nodes(range(1, 301)) == {}


@ensureDeferred
async def test_of_two_nodes_that_register_the_same_place_one_has_it_and_the_other_is_told(
    two: Pair, redis: RedisServer
) -> None:
    first, second = await two()
    redis.ask("FLUSHALL")
    lost = await together(first.presence.register([Entry(1, 11, "a")]), second.presence.register([Entry(1, 11, "b")]))
    assert sorted(map(len, lost)) == [0, 1]
    winner = second.at("b") if lost[0] else first.at("a")
    assert await first.sees(1) == {11: winner}


# What it costs


@ensureDeferred
async def test_idle_users_cost_redis_nothing(two: Pair, redis: RedisServer) -> None:
    first, second = await two(lease=1.0, renew=0.05)
    await together(*(first.login(uid, f"s{uid}") for uid in range(1, 1001)))
    await second.hears_of(1000)
    redis.ask("CONFIG", "RESETSTAT")
    await until(lambda: calls(redis).get("evalsha", 0) >= 20)
    await first.presence.check()
    found = calls(redis)
    renewals = found.pop("evalsha")
    assert renewals < 100
    assert {name: n for name, n in found.items() if n > 2 * renewals} == {}
    assert redis.ask("TTL", "imd:online") == "-1"
    assert await second.sees(1) == {11: first.at("s1")}


@ensureDeferred
async def test_the_users_of_a_batch_are_looked_up_by_one_request(two: Pair, redis: RedisServer) -> None:
    first, second = await two(lease=180, renew=60)
    await together(*(second.login(uid, f"s{uid}") for uid in range(1, 501)))
    await first.presence.nodes([1])
    redis.ask("CONFIG", "RESETSTAT")
    assert len(await first.presence.nodes(range(1, 1001))) == 500
    found = calls(redis)
    assert found["hmget"] == 1
    assert "evalsha" not in found


@ensureDeferred
async def test_thousands_can_be_looked_up_at_once(two: Pair) -> None:
    first, second = await two()
    await second.login(2500, "a")
    await first.login(4999, "b")
    found = await first.presence.client_types(range(1, 5001))
    assert len(found) == 5000
    assert {uid: list(kinds) for uid, kinds in found.items() if kinds} == {2500: [11], 4999: [11]}
