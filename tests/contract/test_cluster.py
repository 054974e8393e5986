"""A node among others, over a real Redis: what it hears, what it doubts, and that its name is its own."""

import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from secrets import token_hex
from typing import Any

import hiredis
import msgspec
import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from imd.gateway.outbox import Outbox
from imd.gateway.sessions import Sessions
from imd.ports.delivery import Push
from imd.presence import cluster
from imd.presence import redis as presence
from imd.presence.cluster import Cluster
from imd.redis.address import parse

from .redis_node import until
from .redis_server import RedisServer
from .redis_way import Way

BEAT = 0.05
LEASE = 1.5


class Member:
    """A node without sessions, and what it was told."""

    def __init__(self, url: str, name: str) -> None:
        self.doubts: list[int] = []
        self.broadcasts: list[Push] = []
        self.blocks: list[Any] = []
        self.taken = 0
        self.time = 1_000_000
        self.cluster = Cluster(
            reactor,
            parse(url),
            name,
            token_hex(4),
            Sessions(reactor, Outbox(), 100),
            lambda: self.time,
            list,
            lambda: 0,
            self.doubts.append,
            self.broadcasts.append,
            lambda uid, uids: self.blocks.append((uid, list(uids))),
            self._is_taken,
            lease=LEASE,
        )

    async def start(self) -> "Member":
        """Start, and wait until its first doubt, which is that it has come, is over."""
        self.cluster.start()
        await until(lambda: bool(self.doubts))
        return self

    async def knows(self, *others: str) -> None:
        await until(lambda: set(others) <= self.cluster.presence.others)

    async def die(self) -> None:
        """Be gone without a word."""
        self.cluster._beats.stop()
        self.cluster._checks.stop()
        await self.cluster._link.stop()

    def _is_taken(self) -> None:
        self.taken += 1


NewMember = Callable[..., Awaitable[Member]]


@pytest.fixture
def new_member(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[NewMember]:
    """Starts nodes, and stops them after the test."""
    monkeypatch.setattr(cluster, "BEAT_SECONDS", BEAT)
    monkeypatch.setattr(presence, "PROBE", BEAT)
    members: list[Member] = []

    async def start(name: str, url: str = "") -> Member:
        members.append(Member(url or redis.url, name))
        return await members[-1].start()

    yield start
    for member in members:
        pytest_twisted.blockon(Deferred.fromCoroutine(member.cluster.stop()))


def publish(server: RedisServer, channel: str, message: bytes) -> None:
    """Publish from beside."""
    with closing(socket.create_connection(("127.0.0.1", server.port))) as connection:
        connection.sendall(hiredis.pack_command(("PUBLISH", channel, message)))  # type: ignore[arg-type]
        assert connection.recv(100) == b":1\r\n"


# What it hears


@ensureDeferred
async def test_a_node_that_has_gone_deaf_notices_and_listens_anew(new_member: NewMember, redis: RedisServer) -> None:
    way = Way(redis)
    await way.open()
    node, other = await new_member("n1", way.url), await new_member("n2")
    await other.knows("n1")
    await until(lambda: node.cluster._well == node.time)
    node.doubts.clear()
    heard = node.time
    way.deafen()
    node.time += 60_000
    await until(lambda: bool(node.doubts))
    assert node.doubts == [heard - LEASE * 1000]
    other.cluster.delivery.blocked(1, [2])
    await until(lambda: node.blocks == [(1, [2])])
    await way.close()


@ensureDeferred
async def test_a_node_that_let_its_lease_end_may_have_missed_all_since_then(new_member: NewMember) -> None:
    node = await new_member("n1")
    await until(lambda: node.cluster._well == node.time)
    presence, heard = node.cluster.presence, node.time
    node.doubts.clear()
    presence._timer.cancel()
    await until(lambda: not presence.counts)
    node.time += 60_000
    node.cluster._unheard = 1
    await until(lambda: node.cluster._unheard == 0)  # it hears itself all the same
    presence._tick()
    await until(lambda: bool(node.doubts))
    assert node.doubts == [heard - LEASE * 1000]


@ensureDeferred
async def test_a_node_that_hears_itself_doubts_nothing(new_member: NewMember) -> None:
    node = await new_member("n1")
    node.doubts.clear()
    link = node.cluster._link
    beats: list[bytes] = []
    hear = node.cluster.delivery.received
    node.cluster.delivery.received = lambda frame: (beats.append(frame), hear(frame))  # type: ignore[method-assign]
    await until(lambda: len(beats) > 2 * cluster.DEAF_BEATS)
    assert (node.doubts, link.is_connected) == ([], True)


# Whose name it is


@ensureDeferred
async def test_of_two_nodes_of_one_name_the_later_is_told_and_the_first_goes_on(new_member: NewMember) -> None:
    first = await new_member("n1")
    other = await new_member("n2")
    later = await new_member("n1")
    await until(lambda: later.taken > 0)
    await later.cluster.stop()
    first.doubts.clear()
    other.cluster.delivery.blocked(1, [2])
    await until(lambda: first.blocks == [(1, [2])])
    assert (first.taken, other.taken, later.taken) == (0, 0, 1)


@ensureDeferred
async def test_a_node_that_starts_again_while_its_dead_one_s_lease_runs_has_its_name(new_member: NewMember) -> None:
    other = await new_member("n2")
    await (await new_member("n1")).die()
    again = await new_member("n1")
    rivals = again.cluster.presence._rivals
    assert len(rivals) == 1
    await until(lambda: len(rivals) == 0)
    assert (again.taken, other.taken) == (0, 0)


# Two versions side by side


@ensureDeferred
async def test_of_what_a_newer_node_sends_the_known_is_taken_and_the_rest_passed_over(
    new_member: NewMember, redis: RedisServer
) -> None:
    node = await new_member("n1")
    node.doubts.clear()
    content = {"blocks": [[1, [2], "new"]], "greetings": [{"of": "a later version"}], "kicks": [["s", 9, "", 0]]}
    publish(redis, "imd:0:to:n1", msgspec.msgpack.encode(["n9", 5, 1, content, "new"]))
    publish(redis, "imd:0:to:n1", msgspec.msgpack.encode(["n9", 5, 2, {"greetings": ["new"]}]))
    publish(redis, "imd:0:presence", b"greets n9:1 new 5;6")
    publish(redis, "imd:0:presence", b"greets")
    publish(redis, "imd:0:to:n1", msgspec.msgpack.encode(["n9", 5, 3, {"blocks": [[3, [4]]]}]))
    await until(lambda: len(node.blocks) == 2)
    assert (node.blocks, node.doubts) == ([(1, [2]), (3, [4])], [])
