"""Any faults, in any order and several at once, as a seed has it: in the end nothing is lost or doubled."""

from collections.abc import Awaitable, Callable, Iterator
from random import Random
from typing import NamedTuple

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from .cluster import Cluster
from .conftest import NewUid
from .daemon import Daemon
from .device import reactor
from .traffic import Traffic

SETTINGS = {"IMD_PRESENCE_LEASE_SECONDS": "2", "IMD_DELIVERY_SWEEP_SECONDS": "2", "IMD_STORAGE_TIMEOUT_SECONDS": "1"}

SECONDS = 5.0
"""How long faults begin."""

LONGEST = 2.5
"""Seconds that one lasts at most, which is longer than a lease."""

AWAY = 75
DEFAULT_SEEDS = 2
SOAK_SEEDS = 20


class Fault(NamedTuple):
    """What happens to a part, and lasts until it is undone; a part has one fault at a time."""

    part: str
    begin: Callable[[], Awaitable[object]]
    undo: Callable[[], Awaitable[object]]


async def done(work: Callable[[], object]) -> None:
    """Do what takes a while beside the reactor, through which the users talk on."""
    await deferToThread(work)


async def revive(node: Daemon) -> None:
    """Start a node again and again, as systemd does, while PostgreSQL is away."""
    while not node.is_running:
        try:
            await done(node.start)
        except AssertionError:
            if node.is_running or node.wait() != AWAY:
                raise


async def stop(node: Daemon) -> None:
    node.terminate()
    assert await deferToThread(node.wait) == 0


def faults(cluster: Cluster) -> list[Fault]:
    """Return all that can happen."""
    redis, postgres = cluster.redis, cluster.postgres
    found = [
        Fault("redis", lambda: done(redis.kill), lambda: done(redis.start)),
        Fault("redis", lambda: done(redis.pause), lambda: done(redis.resume)),
        Fault("redis", lambda: done(lambda: redis.ask("FLUSHALL")), lambda: done(lambda: redis.ask("PING"))),
        Fault("postgres", lambda: done(postgres.stop), lambda: done(postgres.start)),
        Fault("postgres", lambda: done(postgres.kill), lambda: done(postgres.start)),
        Fault("postgres", lambda: done(postgres.pause), lambda: done(postgres.resume)),
    ]
    for node, (name, way) in zip(cluster.nodes, cluster.ways.items(), strict=True):
        found += [
            Fault(name, lambda node=node: done(node.kill), lambda node=node: revive(node)),  # type: ignore[misc]
            Fault(name, lambda node=node: done(node.pause), lambda node=node: done(node.resume)),  # type: ignore[misc]
            Fault(name, lambda node=node: stop(node), lambda node=node: revive(node)),  # type: ignore[misc]
            Fault(f"the way of {name}", way.close, way.open),
        ]
    return found


@pytest.fixture
def traffic(cluster: Cluster, new_uid: NewUid) -> Iterator[Traffic]:
    """Users who talk from the test's begin to its end."""
    traffic = Traffic(cluster, new_uid)
    yield traffic
    traffic.end()
    cluster.heal()


@pytest.mark.parametrize(
    "seed",
    [
        *range(DEFAULT_SEEDS),
        *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(DEFAULT_SEEDS, DEFAULT_SEEDS + SOAK_SEEDS)),
    ],
)
@ensureDeferred
async def test_after_any_faults_in_any_order_nothing_is_lost_or_doubled(
    seed: int, cluster: Cluster, traffic: Traffic
) -> None:
    chance = Random(seed)
    await traffic.begin()
    ill: set[str] = set()

    async def suffer(fault: Fault, seconds: float) -> None:
        ill.add(fault.part)
        await fault.begin()
        await deferLater(reactor, seconds)
        await fault.undo()
        ill.remove(fault.part)

    running: list[Deferred[None]] = []
    ends = reactor.seconds() + SECONDS
    while reactor.seconds() < ends:
        if possible := [fault for fault in faults(cluster) if fault.part not in ill]:
            work = suffer(chance.choice(possible), chance.uniform(0, LONGEST))
            running.append(Deferred.fromCoroutine(work))
        await deferLater(reactor, chance.uniform(0, 1.5))
    await gatherResults(running)
    await traffic.goes_on(20)
    await traffic.compare()
    await traffic.is_all_acked()
