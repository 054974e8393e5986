"""A node among others starts and stops, whatever is away just then, and has its name for itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from imd.wire.results import Result

from .conftest import LogIn, NewUid
from .daemon import run
from .device import message, reactor, refusal
from .redis_nodes import RedisNodes, let_in
from .test_start import complaint

BAD_CONFIGURATION, AWAY = 78, 75

AT_ONCE = 2.0
"""Seconds in which a refusal comes, on a machine that is busy."""

BOUNDED = 15.0
"""Seconds in which a node has left that waits for a Redis that is silent."""


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[RedisNodes]:
    """A Redis of the test's own."""
    with RedisNodes(tmp_path) as nodes:
        yield nodes


@ensureDeferred
async def test_of_two_nodes_of_one_name_the_later_leaves_and_says_why(
    nodes: RedisNodes, log_in: LogIn, new_uid: NewUid
) -> None:
    (first,) = nodes.start("gate1")
    alice = await let_in(log_in, first, new_uid())
    (later,) = nodes.start("gate1")
    later.is_expected_to_fail = True
    assert await deferToThread(later.wait) == BAD_CONFIGURATION
    told = "another node named gate1 runs already with the same Redis: give each node a name of its own"
    assert complaint(later.log).startswith(told)
    bob = await log_in(first, new_uid())
    await alice.say("still here", to=bob.uid)
    assert (await bob.hear()).msg_body == "still here"


@ensureDeferred
async def test_without_redis_a_node_starts_and_lets_users_in_once_it_is_there(
    nodes: RedisNodes, log_in: LogIn, new_uid: NewUid
) -> None:
    nodes.redis.kill()
    (node,) = nodes.start("gate1")
    began = reactor.seconds()
    assert await refusal(log_in(node, new_uid())) == Result.UNAVAILABLE
    assert reactor.seconds() - began < AT_ONCE
    nodes.redis.start()
    await let_in(log_in, node, new_uid())


@ensureDeferred
async def test_a_node_that_is_stopped_does_not_wait_for_a_redis_that_is_silent(
    nodes: RedisNodes, log_in: LogIn, new_uid: NewUid
) -> None:
    node, other = nodes.start("gate1", "gate2")
    alice, bob = await let_in(log_in, node, new_uid()), await let_in(log_in, other, new_uid())
    nodes.redis.pause()
    began = reactor.seconds()
    asked = [alice.request(message(f"{n}", to=bob.uid)) for n in range(20)]
    acks = [await each for each in asked]
    node.terminate()
    await alice.end()
    assert await deferToThread(node.wait) == 0
    assert reactor.seconds() - began < BOUNDED
    assert [ack.seq_id for ack in acks] == list(range(1, 21))
    nodes.redis.resume()


def test_without_postgresql_a_node_leaves_with_75_and_one_sentence(tmp_path: Path) -> None:
    left = run("--data", str(tmp_path), variables={"IMD_STORAGE_URL": f"postgresql://imd@/imd?host={tmp_path}"})
    assert left.returncode == AWAY
    assert complaint(left.stdout + left.stderr).startswith("the database imd can't be used: ")
