"""What clients report reaches the business: through webhooks, Redis and RabbitMQ, whoever of all goes away and when."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from imd.cli.main import main
from imd.wire.bodies import Upstream
from imd.wire.results import Result
from tests.contract.rabbit_server import RabbitServer
from tests.contract.redis_server import RedisServer
from tests.contract.webhook_server import SECRET, WebhookServer

from .cluster import Cluster
from .conftest import LogIn, NewUid, StartDaemon
from .daemon import Daemon
from .device import eventually, new_id, reactor, refusal, until
from .reporter import Reporter, check


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    """What both sides of a webhook know."""
    file = tmp_path / "orders.secret"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o600)
    return file


def webhook_table(webhook: WebhookServer, secret_file: Path, name: str = "orders", **more: object) -> str:
    return table(name, url=webhook.url, secret_file=str(secret_file), **more)


def table(name: str, **keys: object) -> str:
    """Return a destination as TOML."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    return "\n".join([f"[upstream.destinations.{name}]", *lines, ""])


def in_stream(redis: RedisServer, stream: str = "orders") -> list[tuple[int, str]]:
    """Return the uid and message_id of each entry."""
    lines = redis.ask("XRANGE", stream, "-", "+").splitlines()
    return [(int(lines[place + 3]), lines[place + 1]) for place, line in enumerate(lines) if line == "message_id"]


def at_webhook(webhook: WebhookServer) -> list[tuple[int, str]]:
    return [(report["uid"], report["message_id"]) for report in webhook.received]


def waiting(daemon: Daemon) -> int:
    return int(daemon.rows("SELECT count(*) FROM x_upstream WHERE dead = 0")[0][0])


async def all_gone(daemon: Daemon) -> None:
    """Return once everything that waits has been carried on."""

    async def is_so() -> bool:
        return waiting(daemon) == 0

    await eventually(is_so)


@ensureDeferred
async def test_a_report_reaches_its_webhook_signed(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid, webhook: WebhookServer, secret_file: Path
) -> None:
    daemon = start_daemon(config=webhook_table(webhook, secret_file))
    uid = new_uid()
    device = await log_in(daemon, uid)
    message_id = await Reporter(uid, "orders").report(device, payload=b'{"item": 17}')
    await until(lambda: len(webhook.received) == 1)
    (report,) = webhook.received
    assert webhook.forged == []
    assert base64.b64decode(report.pop("payload")) == b'{"item": 17}'
    assert abs(report.pop("created") - time.time() * 1000) < 60_000
    assert report == {
        "message_id": message_id,
        "uid": uid,
        "destination": "orders",
        "content_type": "application/json",
    }
    await all_gone(daemon)
    assert SECRET not in daemon.log
    assert '"item"' not in daemon.log


@ensureDeferred
async def test_what_can_not_be_reported_is_refused(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid, webhook: WebhookServer, secret_file: Path
) -> None:
    config = f"[upstream]\nmax_payload = 1000\n{webhook_table(webhook, secret_file, max_rows=1)}"
    webhook.stop()
    device = await log_in(start_daemon(config=config), new_uid())

    async def refused(**what: Any) -> Result:
        fields = {"destination": "orders", "message_id": new_id(), "payload": b"", **what}
        return await refusal(device.request(Upstream(**fields)))

    assert await refused(destination="nowhere") == Result.NOT_FOUND
    assert await refused(message_id="17") == Result.BAD_REQUEST
    assert await refused(payload=bytes(1001)) == Result.TOO_LARGE
    message_id = new_id()
    for _ in range(2):
        await device.request(Upstream(destination="orders", message_id=message_id, payload=b"1"))
    assert await refused(message_id=message_id, payload=b"2") == Result.CONFLICT
    assert await refused() == Result.UNAVAILABLE


@ensureDeferred
async def test_a_queue_away_is_waited_for_up_to_the_bound_and_then_all_arrive_once(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid, redis: RedisServer
) -> None:
    redis.kill()
    bound = 50
    daemon = start_daemon(config=table("orders", url=redis.url, stream="orders", max_rows=bound, timeout_seconds=1))
    reporter = Reporter(new_uid(), "orders")
    device = await log_in(daemon, reporter.uid)
    for _ in range(bound):
        await reporter.report(device)
    assert await refusal(reporter.report(device)) == Result.UNAVAILABLE
    for message_id in reporter.said[:3]:  # the client wasn't sure
        await reporter.report(device, message_id)
    redis.start()
    reporter.is_done = True
    await reporter.speak(device)
    await all_gone(daemon)
    assert in_stream(redis) == [(reporter.uid, message_id) for message_id in reporter.said]


@ensureDeferred
async def test_kill_9_loses_no_acked_report_and_keeps_the_order(
    start_daemon: StartDaemon,
    log_in: LogIn,
    new_uid: NewUid,
    redis: RedisServer,
    webhook: WebhookServer,
    secret_file: Path,
) -> None:
    config = table("clicks", url=redis.url, stream="clicks") + webhook_table(webhook, secret_file)
    daemon = start_daemon(config=config)
    reporters = [Reporter(new_uid(), name) for name in ("clicks", "clicks", "orders", "orders")]
    for number in range(2):
        devices = {reporter.uid: await log_in(daemon, reporter.uid) for reporter in reporters}
        rounds = [Deferred.fromCoroutine(reporter.speak(devices[reporter.uid])) for reporter in reporters]
        sizes = [len(reporter.acked) for reporter in reporters]
        await until(
            lambda sizes=sizes: all(  # type: ignore[misc]
                len(reporter.acked) > size for reporter, size in zip(reporters, sizes, strict=True)
            )
        )
        await deferLater(reactor, 0.1 * number)
        daemon.kill()
        await gatherResults(rounds)
        daemon.start()
    for reporter in reporters:
        reporter.is_done = True
        await reporter.speak(await log_in(daemon, reporter.uid))
    await all_gone(daemon)
    for reporter in reporters:
        assert reporter.acked == set(reporter.said)
    check(reporters[:2], in_stream(redis, "clicks"))
    check(reporters[2:], at_webhook(webhook))


@ensureDeferred
async def test_a_stop_waits_for_what_is_under_way(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid, webhook: WebhookServer, secret_file: Path
) -> None:
    arrived: list[dict[str, Any]] = []

    def slow(report: dict[str, Any]) -> int:
        arrived.append(report)
        time.sleep(0.5)
        return 200

    webhook.answer = slow
    daemon = start_daemon(config=webhook_table(webhook, secret_file))
    reporter = Reporter(new_uid(), "orders")
    device = await log_in(daemon, reporter.uid)
    for _ in range(3):
        await reporter.report(device)
    await until(lambda: len(arrived) == 1)
    daemon.terminate()
    assert daemon.wait() == 0
    assert waiting(daemon) == 2
    webhook.answer = lambda _: 200
    daemon.start()
    await all_gone(daemon)
    assert [message_id for _, message_id in at_webhook(webhook)] == reporter.said


@ensureDeferred
async def test_reports_reach_rabbitmq_also_those_of_while_it_was_down(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid, rabbit: RabbitServer
) -> None:
    daemon = start_daemon(config=table("tickets", url=rabbit.url, queue="tickets", timeout_seconds=2))
    reporter = Reporter(new_uid(), "tickets")
    device = await log_in(daemon, reporter.uid)
    for _ in range(20):
        await reporter.report(device)
    await all_gone(daemon)
    rabbit.kill()
    for _ in range(20):
        await reporter.report(device)
    assert waiting(daemon) == 20
    rabbit.start()
    await all_gone(daemon)
    found = [(properties.headers["uid"], properties.message_id) for properties, _ in rabbit.take("tickets")]
    assert list(dict.fromkeys(found)) == [(reporter.uid, message_id) for message_id in reporter.said]


class TestSeveralNodes:
    @pytest.fixture
    def cluster(self, tmp_path: Path, webhook: WebhookServer, secret_file: Path) -> Iterator[Cluster]:
        """Two nodes that know the webhook."""
        config = f"[upstream]\nlease_seconds = 1\n{webhook_table(webhook, secret_file)}"
        with Cluster(tmp_path, {"IMD_PRESENCE_LEASE_SECONDS": "1"}, config) as cluster:
            yield cluster

    @ensureDeferred
    async def test_when_the_node_that_carries_them_on_dies_another_takes_over(
        self, cluster: Cluster, log_in: LogIn, new_uid: NewUid, webhook: WebhookServer
    ) -> None:
        await cluster.joined()
        nodes = {"n1": cluster.one, "n2": cluster.two}
        leader = await self._leader(cluster)
        other = next(node for name, node in nodes.items() if name != leader)
        reporters = [Reporter(new_uid(), "orders") for _ in range(3)]
        rounds = [Deferred.fromCoroutine(each.speak(await log_in(other, each.uid), pause=0.1)) for each in reporters]
        await until(lambda: len(webhook.received) > 50)
        nodes[leader].kill()
        seen = len(webhook.received)
        await until(lambda: len(webhook.received) > seen + 50)
        assert await self._leader(cluster) != leader
        for each in reporters:
            each.is_done = True
        await gatherResults(rounds)

        async def all_gone() -> bool:
            return cluster.postgres.ask("SELECT count(*) FROM x_upstream") == [(0,)]

        await eventually(all_gone)
        check(reporters, at_webhook(webhook))

    async def _leader(self, cluster: Cluster) -> str:
        found: list[Any] = []

        async def there_is_one() -> bool:
            sql = "SELECT node FROM x_upstream_queue WHERE lease_until > extract(epoch FROM clock_timestamp()) * 1000"
            found[:] = cluster.postgres.ask(sql)
            return bool(found)

        await eventually(there_is_one)
        return str(found[0][0])


class TestTheDead:
    @ensureDeferred
    async def test_what_is_refused_for_good_is_listed_replayed_and_dropped(
        self, start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid, webhook: WebhookServer, secret_file: Path
    ) -> None:
        daemon = start_daemon(config=webhook_table(webhook, secret_file, attempts=1))
        bad, good = Reporter(new_uid(), "orders"), Reporter(new_uid(), "orders")
        webhook.answer = lambda report: 400 if report["uid"] == bad.uid else 200
        devices = {each.uid: await log_in(daemon, each.uid) for each in (bad, good)}
        for each in (bad, good, bad, bad):
            await each.report(devices[each.uid])
        await all_gone(daemon)
        assert at_webhook(webhook) == [(good.uid, good.said[0])]

        (status,) = self._json(daemon, "status")
        assert (status["destination"], status["waiting"], status["dead"], status["node"]) == ("orders", 0, 3, "imd1")
        dead = self._json(daemon, "dead", "orders")
        assert [(report["uid"], report["message_id"]) for report in dead] == [(bad.uid, each) for each in bad.said]
        assert "orders" in self._imctl(daemon, "status")
        assert str(bad.uid) in self._imctl(daemon, "dead", "orders")

        webhook.answer = lambda _: 200
        assert "1 report is deleted" in self._imctl(daemon, "drop", "orders", dead[0]["id"])
        assert "2 reports are sent again" in self._imctl(daemon, "replay", "orders", "--all")
        await until(lambda: len(webhook.received) == 3)
        assert at_webhook(webhook)[1:] == [(bad.uid, each) for each in bad.said[1:]]
        assert "No report" in self._imctl(daemon, "dead", "orders")
        self._imctl(daemon, "drop", "orders", dead[0]["id"], exit_code=1)
        self._imctl(daemon, "dead", "nowhere", exit_code=78)
        self._imctl(daemon, "replay", "orders", exit_code=2)

    def _json(self, daemon: Daemon, *command: object) -> Any:
        return json.loads(self._imctl(daemon, *command, "--json"))

    def _imctl(self, daemon: Daemon, *command: object, exit_code: int = 0) -> str:
        where = ["--config", str(daemon.config), "--data", str(daemon.data)]
        shown = CliRunner().invoke(main, ["upstream", *map(str, command), *where])
        assert shown.exit_code == exit_code, shown.output
        return shown.stdout
