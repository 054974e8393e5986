"""Whatever dies under load, nothing is lost: each ACKed message is stored once, heard once, and no seq is missing."""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from .cluster import Cluster
from .conftest import NewUid
from .device import reactor, until
from .traffic import Traffic

SETTINGS = {"IMD_PRESENCE_LEASE_SECONDS": "2", "IMD_DELIVERY_SWEEP_SECONDS": "60", "IMD_STORAGE_TIMEOUT_SECONDS": "1"}
"""The lease and what waits for PostgreSQL are short, and the sweep is not what brings anything here."""

PAUSE = 3.5
"""Seconds: longer than the lease, and than any node waits for an answer."""

Begin = Callable[[], Coroutine[Any, Any, Traffic]]


@pytest.fixture
def begin(cluster: Cluster, new_uid: NewUid) -> Iterator[Begin]:
    """Begins to talk, and ends with the test."""
    traffic = Traffic(cluster, new_uid)
    yield traffic.begin
    traffic.end()
    cluster.heal()


async def passed(seconds: float) -> None:
    await deferLater(reactor, seconds)


async def kill_a_node(cluster: Cluster, traffic: Traffic) -> None:
    cluster.two.kill()
    await traffic.goes_on()
    await deferToThread(cluster.two.start)


async def stop_a_node(cluster: Cluster, traffic: Traffic) -> None:
    cluster.two.terminate()
    await traffic.goes_on()
    assert await deferToThread(cluster.two.wait) == 0
    await deferToThread(cluster.two.start)


async def pause_a_node(cluster: Cluster, traffic: Traffic) -> None:
    cluster.two.pause()
    await passed(PAUSE)
    await traffic.goes_on(talkers=traffic.talkers[::2])
    cluster.two.resume()


async def restart_redis(cluster: Cluster, traffic: Traffic) -> None:
    cluster.redis.kill()
    await traffic.goes_on()
    cluster.redis.start()


async def flush_redis(cluster: Cluster, traffic: Traffic) -> None:
    for _ in range(3):
        assert cluster.redis.ask("FLUSHALL") == "OK"
        await traffic.goes_on()


async def pause_redis(cluster: Cluster, traffic: Traffic) -> None:
    cluster.redis.pause()
    await passed(PAUSE)
    await traffic.goes_on()
    cluster.redis.resume()


async def cut_a_node_from_redis(cluster: Cluster, traffic: Traffic) -> None:
    await cluster.ways["n2"].close()
    await passed(PAUSE)
    await traffic.goes_on()
    await cluster.ways["n2"].open()


async def restart_postgresql(cluster: Cluster, _: Traffic) -> None:
    await deferToThread(cluster.postgres.stop)
    await deferToThread(cluster.postgres.start)


async def crash_postgresql(cluster: Cluster, _: Traffic) -> None:
    await deferToThread(cluster.postgres.kill)
    await deferToThread(cluster.postgres.start)


async def pause_postgresql(cluster: Cluster, _: Traffic) -> None:
    cluster.postgres.pause()
    await passed(PAUSE)
    cluster.postgres.resume()


@pytest.mark.parametrize(
    "fault",
    [
        kill_a_node,
        stop_a_node,
        pause_a_node,
        restart_redis,
        flush_redis,
        pause_redis,
        cut_a_node_from_redis,
        restart_postgresql,
        crash_postgresql,
        pause_postgresql,
    ],
)
@ensureDeferred
async def test_under_load_nothing_is_lost_or_doubled(
    fault: Callable[[Cluster, Traffic], Coroutine[Any, Any, None]], begin: Begin, cluster: Cluster
) -> None:
    traffic = await begin()
    await fault(cluster, traffic)
    await traffic.goes_on(20)
    await traffic.compare()


@ensureDeferred
async def test_a_user_who_logs_in_on_both_nodes_at_once_keeps_one_session_and_misses_nothing(
    begin: Begin, cluster: Cluster
) -> None:
    traffic = await begin()
    rival = traffic.talkers[1]
    for _ in range(5):
        coming = [Deferred.fromCoroutine(rival.come(node)) for node in cluster.nodes]
        for each in coming:
            await each
        await until(lambda: len(rival.sessions) == 1)
        await traffic.goes_on()
        assert len(rival.sessions) == 1
    await traffic.compare()
