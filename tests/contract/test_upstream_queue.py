"""IUpstreamQueue: what is put is there, whole and in order; a queue that is away says so, and comes back by itself."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol, TypedDict

import pytest
import pytest_twisted
import txredisapi
from pytest_twisted import ensureDeferred
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from zope.interface.verify import verifyObject

from imd.errors import UnavailableError
from imd.ports.upstream import IUpstreamQueue, Queued, RejectedError, TimedOutError
from imd.queues.amqp import RabbitQueue, address
from imd.queues.redis_streams import RedisStream
from imd.queues.signature import signed
from imd.queues.webhook import MAX_ANSWER, Webhook
from imd.redis.address import parse

from .rabbit_server import RabbitServer
from .redis_server import RedisServer
from .webhook_server import SECRET, WebhookServer

reactor: Any = _reactor

TIMEOUT = 1.0
WITHIN = 20.0
CREATED = 1_763_856_000_123


class Received(TypedDict):
    """A report as the business sees it."""

    message_id: str
    uid: int
    destination: str
    content_type: str
    created: int
    payload: bytes


class End(Protocol):
    """The other end of a queue."""

    queue: Any

    async def received(self) -> list[Received]:
        """Return what has arrived, in that order."""

    def leave(self) -> None:
        """Be away."""

    def come_back(self) -> None:
        """Be there again."""


class RedisEnd:
    def __init__(self, server: RedisServer, *, max_length: int = 0) -> None:
        self._server = server
        self.queue = RedisStream(reactor, parse(f"{server.url}/1"), "orders", "the stream", max_length, TIMEOUT)

    async def received(self) -> list[Received]:
        link = await txredisapi.Connection("127.0.0.1", self._server.port, dbid=1, charset=None, convertNumbers=False)
        entries = await link.execute_command("XRANGE", "the stream", "-", "+")
        await link.disconnect()
        return [_received(dict(zip(fields[::2], fields[1::2], strict=True))) for _, fields in entries]

    def leave(self) -> None:
        self._server.pause()

    def come_back(self) -> None:
        self._server.resume()


class RabbitEnd:
    name = "the queue"

    def __init__(self, server: RabbitServer) -> None:
        self.server = server
        endpoint, parameters = address(reactor, server.url, "", TIMEOUT)
        self.queue = RabbitQueue(reactor, endpoint, parameters, "orders", self.name, timeout=TIMEOUT)

    async def received(self) -> list[Received]:
        return [
            Received(
                message_id=properties.message_id,
                uid=properties.headers["uid"],
                destination=properties.headers["destination"],
                content_type=properties.content_type or "",
                created=properties.headers["created"],
                payload=body,
            )
            for properties, body in self.server.take(self.name)
        ]

    def leave(self) -> None:
        self.server.pause()

    def come_back(self) -> None:
        self.server.resume()


class WebhookEnd:
    def __init__(self, server: WebhookServer, now: Callable[[], float]) -> None:
        self._server = server
        self.queue = Webhook(reactor, "orders", server.url, SECRET.encode(), now, width=8, timeout=TIMEOUT)

    async def received(self) -> list[Received]:
        assert not self._server.forged
        return [
            Received(**{**report, "payload": base64.b64decode(report["payload"], validate=True)})  # type: ignore[typeddict-item]
            for report in self._server.received
        ]

    def leave(self) -> None:
        self._server.stop()

    def come_back(self) -> None:
        self._server.start()


def _received(fields: dict[bytes, bytes]) -> Received:
    texts = {name.decode(): value.decode() for name, value in fields.items() if name != b"payload"}
    return Received(
        message_id=texts["message_id"],
        uid=int(texts["uid"]),
        destination=texts["destination"],
        content_type=texts["content_type"],
        created=int(texts["created"]),
        payload=fields[b"payload"],
    )


def _redis(request: pytest.FixtureRequest) -> End:
    return RedisEnd(request.getfixturevalue("redis"))


def _rabbitmq(request: pytest.FixtureRequest) -> End:
    server: RabbitServer = request.getfixturevalue("rabbit")
    server.delete(RabbitEnd.name)
    request.addfinalizer(server.resume)
    return RabbitEnd(server)


def _webhook(request: pytest.FixtureRequest) -> End:
    return WebhookEnd(request.getfixturevalue("webhook"), time.time)


ENDS = {"rabbitmq": _rabbitmq, "redis": _redis, "webhook": _webhook}


@pytest.fixture(params=sorted(ENDS))
def end(request: pytest.FixtureRequest) -> Iterator[End]:
    """The other end of a queue that is started, one for each implementation."""
    end = ENDS[request.param](request)
    end.queue.start()
    yield end
    pytest_twisted.blockon(Deferred.fromCoroutine(end.queue.stop()))


def report(number: int, *, uid: int = 7, payload: bytes = b"{}", content_type: str = "a/b") -> Queued:
    message_id = f"0192f5a0-7c00-7000-8000-{number:012d}"
    return Queued(number, uid, message_id, content_type, payload, CREATED + number, 0)


async def put(queue: Any, *reports: Queued) -> None:
    """Put reports once the queue can be reached, as many at a time as it takes."""
    deadline = reactor.seconds() + WITHIN
    waiting = list(reports)
    while waiting:
        try:
            await queue.put(waiting[: queue.batch])
        except UnavailableError:
            assert reactor.seconds() < deadline
            await deferLater(reactor, 0.02)
        else:
            del waiting[: queue.batch]


async def put_until_it_is_refused(queue: Any, again: Queued) -> None:
    """Put a report again and again: what is on its way already may still be taken."""
    while True:
        with suppress(TimedOutError):  # so does a webhook's connection that was open still
            await queue.put([again])


def test_it_provides_the_port(end: End) -> None:
    verifyObject(IUpstreamQueue, end.queue)


@ensureDeferred
async def test_a_report_arrives_whole(end: End) -> None:
    await put(end.queue, report(1, uid=2**53 + 1, payload=bytes(range(256)), content_type="text/plain; charset=utf-8"))
    assert (await end.received()) == [
        Received(
            message_id="0192f5a0-7c00-7000-8000-000000000001",
            uid=2**53 + 1,
            destination="orders",
            content_type="text/plain; charset=utf-8",
            created=CREATED + 1,
            payload=bytes(range(256)),
        )
    ]


@ensureDeferred
async def test_an_empty_report_arrives(end: End) -> None:
    await put(end.queue, report(1, payload=b"", content_type=""))
    (received,) = await end.received()
    assert (received["payload"], received["content_type"]) == (b"", "")


@ensureDeferred
async def test_reports_arrive_in_their_order(end: End) -> None:
    await put(end.queue, *[report(number, payload=b"%d" % number) for number in range(30)])
    assert [received["payload"] for received in (await end.received())] == [b"%d" % number for number in range(30)]


@ensureDeferred
async def test_a_large_report_arrives(end: End) -> None:
    await put(end.queue, report(1, payload=bytes(1_000_000)))
    assert [len(received["payload"]) for received in (await end.received())] == [1_000_000]


@ensureDeferred
async def test_what_is_put_while_it_is_away_is_refused_and_taken_when_it_is_back(end: End) -> None:
    await put(end.queue, report(1))
    end.leave()
    begun = reactor.seconds()
    with pytest.raises(UnavailableError):
        await put_until_it_is_refused(end.queue, report(2))
    assert reactor.seconds() - begun < TIMEOUT + 5
    end.come_back()
    await put(end.queue, report(3))
    numbers = [received["message_id"][-1] for received in (await end.received())]
    assert (numbers[0], numbers[-1]) == ("1", "3")


class TestRedis:
    @ensureDeferred
    async def test_a_stream_is_cut_to_about_its_length(self, redis: RedisServer) -> None:
        end = RedisEnd(redis, max_length=200)
        end.queue.start()
        for begin in range(0, 3000, 500):
            await put(end.queue, *[report(number) for number in range(begin, begin + 500)])
        assert 200 <= len(await end.received()) < 1000
        await end.queue.stop()

    @ensureDeferred
    async def test_of_reports_that_can_not_be_added_none_is(self, redis: RedisServer) -> None:
        end = RedisEnd(redis)
        end.queue.start()
        await put(end.queue, report(1))
        redis.ask("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(UnavailableError):
            await end.queue.put([report(2), report(3)])
        redis.ask("CONFIG", "SET", "maxmemory", "0")
        await put(end.queue, report(4))
        assert [received["message_id"][-1] for received in (await end.received())] == ["1", "4"]
        await end.queue.stop()


class TestRabbit:
    @ensureDeferred
    async def test_the_queue_is_durable_and_so_is_what_is_in_it(self, rabbit: RabbitServer) -> None:
        rabbit.delete(RabbitEnd.name)
        end = RabbitEnd(rabbit)
        end.queue.start()
        await put(end.queue, report(1))
        rabbit.declare(end.name, durable=True)  # it would be refused if it were not
        ((properties, _),) = rabbit.take(end.name)
        assert properties.delivery_mode == 2
        await end.queue.stop()

    @ensureDeferred
    async def test_a_queue_that_is_there_is_used_as_it_is(self, rabbit: RabbitServer) -> None:
        rabbit.delete(RabbitEnd.name)
        rabbit.declare(RabbitEnd.name, durable=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
        end = RabbitEnd(rabbit)
        end.queue.start()
        await put(end.queue, report(1))
        with pytest.raises(UnavailableError):
            await put_until_it_is_refused(end.queue, report(2))  # which the broker does when there is more than one
        assert (await end.received())[0]["message_id"][-1] == "1"
        await put(end.queue, report(4))
        await end.queue.stop()

    @ensureDeferred
    async def test_a_queue_that_was_deleted_is_made_again(self, rabbit: RabbitServer) -> None:
        rabbit.delete(RabbitEnd.name)
        end = RabbitEnd(rabbit)
        end.queue.start()
        await put(end.queue, report(1))
        rabbit.delete(end.name)
        await put(end.queue, report(2))
        assert [received["message_id"][-1] for received in (await end.received())] == ["2"]
        await end.queue.stop()


class TestWebhook:
    @ensureDeferred
    async def test_any_2xx_takes_it(self, webhook: WebhookServer) -> None:
        end = WebhookEnd(webhook, lambda: 0.0)
        for status in (200, 201, 202, 204):
            webhook.answer = lambda _, status=status: status  # type: ignore[misc]
            await end.queue.put([report(status)])
        await end.queue.stop()

    @ensureDeferred
    async def test_others_refuse_it_and_no_redirection_is_followed(self, webhook: WebhookServer) -> None:
        end = WebhookEnd(webhook, lambda: 0.0)
        for status in (301, 307, 400, 404, 500):
            webhook.answer = lambda _, status=status: status  # type: ignore[misc]
            with pytest.raises(RejectedError, match=str(status)):
                await end.queue.put([report(status)])
        await end.queue.stop()

    @ensureDeferred
    async def test_some_say_that_it_can_take_nothing_now(self, webhook: WebhookServer) -> None:
        end = WebhookEnd(webhook, lambda: 0.0)
        for status in (429, 502, 503, 504):
            webhook.answer = lambda _, status=status: status  # type: ignore[misc]
            with pytest.raises(UnavailableError, match=str(status)):
                await end.queue.put([report(status)])
        await end.queue.stop()

    @ensureDeferred
    async def test_no_answer_in_time_or_none_at_all_is_told_apart(self, webhook: WebhookServer) -> None:
        end = WebhookEnd(webhook, lambda: 0.0)
        done = threading.Event()
        webhook.answer = lambda _: 200 if done.wait(WITHIN) else 500
        with pytest.raises(TimedOutError):
            await end.queue.put([report(1)])
        done.set()
        webhook.answer = lambda _: 0
        with pytest.raises(TimedOutError):
            await end.queue.put([report(2)])
        await end.queue.stop()

    @ensureDeferred
    async def test_each_attempt_is_signed_with_its_own_time(self, webhook: WebhookServer) -> None:
        end = WebhookEnd(webhook, lambda: 0.0)
        await end.queue.put([report(1)])
        assert len(webhook.forged) == 1  # it is well signed, and half a century old
        await end.queue.stop()

    @ensureDeferred
    async def test_connections_are_used_again_also_after_a_very_long_answer(self, webhook: WebhookServer) -> None:
        end = WebhookEnd(webhook, lambda: 0.0)
        for number in range(5):
            await end.queue.put([report(number)])
        assert webhook.connections == 1
        webhook.answer_body = bytes(20 * MAX_ANSWER)
        await end.queue.put([report(6)])
        webhook.answer_body = b""
        await end.queue.put([report(7)])
        assert webhook.connections <= 2
        await end.queue.stop()


def test_a_signature_is_that_of_the_documents() -> None:
    """Made with openssl: printf '1763856000.{}' | openssl dgst -sha256 -hmac SECRET."""
    assert signed(SECRET.encode(), b"{}", 1_763_856_000) == {
        "Imd-Timestamp": "1763856000",
        "Imd-Signature": "sha256=294b20ec86918a5c9daac70468828bb0ef1bc2ba74449472ccd62aec13d1b64f",
    }
