"""Presence in Redis while that is away, and once it is back."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import formatEvent, globalLogPublisher

from imd.errors import UnavailableError
from imd.ports.presence import Entry

from ..certificates import make_certificate
from .conftest import NewNode
from .redis_node import Node, together, until
from .redis_server import RedisServer
from .redis_way import Way

BRIEF = {"lease": 2.0, "renew": 0.2, "timeout": 0.3}
PASSWORD = "correct horse battery"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, which it may end."""
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
def logged() -> Iterator[Callable[[], str]]:
    """All that was logged, as text."""
    events: list[Any] = []
    globalLogPublisher.addObserver(events.append)
    yield lambda: "\n".join(f"{formatEvent(event)} {event.get('log_failure', '')}" for event in events)
    globalLogPublisher.removeObserver(events.append)


def refusals(node: Node) -> list[Any]:
    """Return all that needs Redis."""
    presence = node.presence
    return [
        node.login(5, "z"),
        presence.locations(1),
        presence.client_types([1]),
        presence.nodes([1]),
        presence.check(),
        presence.register([Entry(1, 11, "a")]),
    ]


async def refused(node: Node) -> None:
    """Assert that all is refused within this turn of the reactor."""
    running = [Deferred.fromCoroutine(each) for each in refusals(node)]
    assert all(each.called for each in running)
    for each in running:
        with pytest.raises(UnavailableError):
            await each


@ensureDeferred
async def test_before_redis_is_there_all_is_refused_at_once(new_node: NewNode, redis: RedisServer) -> None:
    node = new_node()
    assert not node.presence.is_connected
    await refused(node)
    await node.start()
    assert await node.sees(5) == {}


@ensureDeferred
async def test_when_redis_is_killed_all_is_refused_at_once(new_node: NewNode, redis: RedisServer) -> None:
    node = new_node()
    await node.start()
    await node.login(1, "a")
    redis.kill()
    await node.doubts_that("the link to Redis was lost")
    assert not node.presence.is_connected
    await refused(node)
    await node.logout(1, "a")


@ensureDeferred
async def test_what_was_on_its_way_when_redis_was_killed_is_refused(new_node: NewNode, redis: RedisServer) -> None:
    node = new_node(timeout=60)
    await node.start()
    redis.pause()
    running = [Deferred.fromCoroutine(each) for each in refusals(node)]
    redis.kill()
    for each in running:
        with pytest.raises(UnavailableError):
            await each


@ensureDeferred
async def test_once_redis_is_back_presence_works_again_by_itself(new_node: NewNode, redis: RedisServer) -> None:
    first, second = new_node("imd1", **BRIEF), new_node("imd2", **BRIEF)
    await first.start()
    await second.start()
    await first.login(1, "a")
    for _ in range(3):
        redis.kill()
        await until(lambda: not (first.presence.is_connected or second.presence.is_connected))
        first.doubts.clear()
        redis.start()
        await first.doubts_that("presence can be used")
        await second.connected()
        assert await first.presence.register([Entry(1, 11, "a")]) == []
        assert await second.sees(1) == {11: first.at("a")}
        second.changed.clear()
        await first.login(2, "b")
        await second.hears_of(2)


@ensureDeferred
async def test_a_redis_that_does_not_answer_is_waited_for_no_longer_than_the_timeout(
    new_node: NewNode, redis: RedisServer
) -> None:
    node = new_node(**BRIEF)
    await node.start()
    redis.pause()
    begun = reactor.seconds()
    for outcome in await together(*refusals(node)):
        assert isinstance(outcome, UnavailableError)
    assert reactor.seconds() - begun < BRIEF["timeout"] + 1
    await until(lambda: not node.presence.is_connected)
    await refused(node)
    redis.resume()
    await node.connected()
    assert await node.login(1, "a") is None


@ensureDeferred
async def test_a_login_that_was_refused_leaves_nobody_behind(new_node: NewNode, redis: RedisServer) -> None:
    first, second = new_node("imd1", **BRIEF), new_node("imd2", **BRIEF)
    await first.start()
    await second.start()
    redis.pause()
    with pytest.raises(UnavailableError):
        await first.login(1, "a")
    await until(lambda: not first.presence.is_connected)
    redis.resume()
    await first.connected()
    await second.connected()
    await first.presence.register([])
    assert await second.sees(1) == {}
    await second.login(1, "b")
    assert await first.sees(1) == {11: second.at("b")}


@ensureDeferred
async def test_a_logout_while_redis_is_away_takes_effect_once_its_node_registers(
    new_node: NewNode, redis: RedisServer
) -> None:
    first, second = new_node("imd1", **BRIEF), new_node("imd2", **BRIEF)
    await first.start()
    await second.start()
    await together(*(first.login(uid, f"s{uid}") for uid in range(1, 301)))
    redis.pause()
    await together(*(first.logout(uid, f"s{uid}") for uid in range(2, 301)))  # which time out together
    await until(lambda: not first.presence.is_connected)
    await first.logout(1, "s1")
    redis.resume()
    await first.connected()
    await second.connected()
    second.changed.clear()
    assert await first.presence.register([]) == []
    assert await second.presence.nodes(range(1, 301)) == {}
    await second.hears_of(1)


@ensureDeferred
async def test_changes_that_could_not_be_told_are_told_once_redis_is_back(
    new_node: NewNode, redis: RedisServer
) -> None:
    first, second = new_node("imd1", gather=0.2, **BRIEF), new_node("imd2", **BRIEF)
    await first.start()
    await second.start()
    await first.login(1, "a")
    redis.kill()
    await until(lambda: not (first.presence.is_connected or second.presence.is_connected))
    redis.start()
    await second.connected()
    await second.hears_of(1)


@ensureDeferred
async def test_a_redis_that_hangs_while_nobody_asks_is_noticed_by_ping(new_node: NewNode, redis: RedisServer) -> None:
    node = new_node(renew=60, lease=180, timeout=0.3, ping=0.1)
    await node.start()
    redis.pause()
    await node.doubts_that("the link to Redis was lost")
    redis.resume()
    await node.connected()


@ensureDeferred
async def test_losing_the_connection_that_listens_is_a_doubt_and_heals(new_node: NewNode, redis: RedisServer) -> None:
    first, second = new_node("imd1", **BRIEF), new_node("imd2", **BRIEF)
    await first.start()
    await second.start()
    second.doubts.clear()
    redis.ask("CLIENT", "KILL", "TYPE", "pubsub")
    await second.doubts_that("the link to Redis was lost")
    await second.doubts_that("presence can be used")
    await first.connected()
    await first.login(1, "a")
    await second.hears_of(1)


@ensureDeferred
async def test_a_node_cut_off_for_longer_than_its_lease_finds_out_who_has_taken_its_places(
    new_node: NewNode, redis: RedisServer
) -> None:
    way = Way(redis)
    await way.open()
    first, second = (
        new_node("imd1", url=way.url, **{**BRIEF, "lease": 0.6}),
        new_node("imd2", **{**BRIEF, "lease": 0.6}),
    )
    await first.start()
    await second.start()
    await first.login(1, "a")
    await first.login(2, "b")
    await way.close()
    await second.doubts_that("the lease of node imd1 has ended")
    assert await second.presence.nodes([1, 2]) == {}
    assert await second.login(1, "c") is None
    await way.open()
    await first.connected()
    assert await first.presence.register([Entry(1, 11, "a"), Entry(2, 11, "b")]) == [Entry(1, 11, "a")]
    assert await second.sees(1) == {11: second.at("c")}
    assert await second.sees(2) == {11: first.at("b")}
    await way.close()


@ensureDeferred
async def test_stopping_does_not_wait_for_a_redis_that_is_away(new_node: NewNode, redis: RedisServer) -> None:
    for break_it in (redis.pause, redis.kill):
        node = new_node(**BRIEF)
        await node.start()
        await node.login(1, "a")
        break_it()
        begun = reactor.seconds()
        await node.stop()
        assert reactor.seconds() - begun < 3 * BRIEF["timeout"] + 1
        if break_it == redis.pause:
            redis.resume()


@ensureDeferred
async def test_a_node_that_has_stopped_does_nothing_more(new_node: NewNode, redis: RedisServer) -> None:
    idle = set(reactor.getDelayedCalls())
    node = new_node(**BRIEF)
    await node.start()
    await node.login(1, "a")
    await node.stop()
    assert set(reactor.getDelayedCalls()) <= idle
    await until(lambda: len(redis.ask("CLIENT", "LIST").splitlines()) == 1)  # who asks


# Accounts, databases, TLS


@ensureDeferred
async def test_the_password_is_given_and_never_logged(
    new_node: NewNode, redis: RedisServer, logged: Callable[[], str]
) -> None:
    redis.ask("CONFIG", "SET", "requirepass", PASSWORD)
    node, stranger = new_node(password=PASSWORD), new_node(password="wrong" + PASSWORD)
    stranger.link.start()
    await node.start()
    await node.login(1, "a")
    await until(lambda: "WRONGPASS" in logged())
    assert not stranger.presence.is_connected
    assert PASSWORD not in logged()


@ensureDeferred
async def test_a_password_that_becomes_right_needs_no_restart(
    new_node: NewNode, redis: RedisServer, logged: Callable[[], str]
) -> None:
    redis.ask("CONFIG", "SET", "requirepass", "another")
    node = new_node(password=PASSWORD)
    node.link.start()
    await until(lambda: "WRONGPASS" in logged())
    redis.ask("-a", "another", "CONFIG", "SET", "requirepass", PASSWORD)
    await node.connected()


@ensureDeferred
async def test_a_link_that_drops_in_the_midst_of_the_greeting_is_made_again(
    new_node: NewNode, redis: RedisServer
) -> None:
    redis.ask("CONFIG", "SET", "requirepass", PASSWORD)
    dropped: list[bytes] = []

    class Drop(Protocol):
        def dataReceived(self, data: bytes) -> None:
            dropped.append(data)
            self.transport.loseConnection()

    port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(Factory.forProtocol(Drop))
    number = port.getHost().port
    node = new_node(url=f"redis://127.0.0.1:{number}/3", password=PASSWORD)
    node.link.start()
    await until(lambda: len(dropped) >= 6)
    await port.stopListening()
    way = Way(redis, number)
    await way.open()
    await node.connected()
    await way.close()


@ensureDeferred
async def test_databases_of_one_server_do_not_mix(new_node: NewNode, redis: RedisServer) -> None:
    first, second = new_node("imd1", url=redis.url + "/1"), new_node("imd2", url=redis.url + "/2")
    await first.start()
    await second.start()
    await first.login(1, "a")
    assert await second.sees(1) == {}
    assert second.changed == []


@ensureDeferred
async def test_presence_by_a_unix_socket(new_node: NewNode, tmp_path: Path) -> None:
    socket = tmp_path / "socket"
    with RedisServer(tmp_path, "--unixsocket", str(socket)):
        node = new_node(url=f"unix://{socket}?db=2")
        await node.start()
        await node.login(1, "a")
        assert await node.sees(1) == {11: node.at("a")}


@ensureDeferred
async def test_over_tls_redis_has_to_show_a_certificate_for_its_host(
    new_node: NewNode, redis: RedisServer, tmp_path: Path, logged: Callable[[], str]
) -> None:
    authority = make_certificate(tmp_path, "127.0.0.1")
    way = Way(redis, tls=tmp_path)
    await way.open()
    url = way.url.replace("redis://", "rediss://")
    node, stranger = new_node(url=url, authorities=authority), new_node("imd2", url=url)
    stranger.link.start()
    await node.start()
    await node.login(1, "a")
    assert await node.sees(1) == {11: node.at("a")}
    await until(lambda: "certificate verify failed" in logged())
    assert not stranger.presence.is_connected
    await way.close()


@ensureDeferred
async def test_a_certificate_for_another_host_is_refused(
    new_node: NewNode, redis: RedisServer, tmp_path: Path, logged: Callable[[], str]
) -> None:
    authority = make_certificate(tmp_path, "127.0.0.2")
    way = Way(redis, tls=tmp_path)
    await way.open()
    node = new_node(url=way.url.replace("redis://", "rediss://"), authorities=authority)
    node.link.start()
    await until(lambda: "can't be used" in logged())
    assert not node.presence.is_connected
    await way.close()
