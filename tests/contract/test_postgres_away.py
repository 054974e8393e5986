"""The SQL store on PostgreSQL while that is away: everybody is told at once, nothing that was ACKed is lost."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing

import psycopg2
import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from imd.errors import UnavailableError
from imd.ports.messages import Stored, Submission
from imd.storage import outage

from .conftest import PostgresPlace
from .postgres_server import PostgresServer
from .subject import Subject

SOON = 0.3
"""Seconds within which whoever asks is told at once, on a machine that is busy."""

SENDERS = 5


@pytest.fixture
def place(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresPlace]:
    """A database without anything in it."""
    monkeypatch.setattr(outage, "PROBE_SECONDS", 0.02)
    place = PostgresPlace(postgres)
    yield place
    postgres.resume()
    if not postgres.is_running:
        postgres.start()
    place.clean()


async def send_until_stored(subject: Subject, submission: Submission) -> Stored:
    """Send a message as a client does: again, under the same msg_id, until it is stored."""
    while True:
        try:
            outcome = await subject.put(submission)
        except UnavailableError as error:
            outcome = error
        if isinstance(outcome, Stored):
            return outcome
        assert isinstance(outcome, UnavailableError)
        await deferLater(reactor, 0.02)


async def seconds(what: Callable[[], Awaitable[object]]) -> float:
    """Return how long it takes to be told that the store is away."""
    begun = reactor.seconds()
    with pytest.raises(UnavailableError):
        await what()
    return float(reactor.seconds() - begun)


async def until_back(subject: Subject) -> None:
    """Wait until a change is taken."""
    while True:
        try:
            await subject.settle()
        except UnavailableError:
            await deferLater(reactor, 0.01)
        else:
            return


def restart(server: PostgresServer) -> None:
    server.stop()
    server.start()


def crash(server: PostgresServer) -> None:
    server.kill()
    server.start()


def end_connections(server: PostgresServer) -> None:
    server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'imd'")


@pytest.mark.parametrize("trouble", [restart, crash, end_connections])
@ensureDeferred
async def test_under_load_every_message_is_stored_once(
    subject: Subject, postgres: PostgresServer, trouble: Callable[[PostgresServer], None]
) -> None:
    group = await subject.group(1, 2)
    stored: list[str] = []
    is_over = False

    async def send() -> None:
        while not is_over:
            submission = subject.message(1, group=group)
            outcome = await send_until_stored(subject, submission)
            stored.append(outcome.message.msg_id)

    sending = [Deferred.fromCoroutine(send()) for _ in range(SENDERS)]
    for _ in range(3):
        reached = len(stored)
        await deferToThread(trouble, postgres)
        while len(stored) < reached + 50:
            await deferLater(reactor, 0.01)
    is_over = True
    for sender in sending:
        await sender
    messages = (await subject.pull(2, group, page_size=100_000)).messages
    assert [message.seq_id for message in messages] == list(range(1, len(stored) + 2))
    assert sorted(message.msg_id for message in messages[1:]) == sorted(stored)


class TestAway:
    @ensureDeferred
    async def test_everybody_is_told_at_once_and_it_goes_on_by_itself(
        self, subject: Subject, postgres: PostgresServer
    ) -> None:
        await subject.send(1, to=2)
        postgres.stop()
        for what in (
            lambda: subject.send(1, to=2),
            lambda: subject.pull(2, "1_2"),
            lambda: subject.create(1, 2),
            lambda: subject.ack(2, "1_2", (1, 1)),
            lambda: subject.send(1, to=2),
        ):
            assert await seconds(what) < SOON
        postgres.start()
        await until_back(subject)
        assert (await subject.send(1, to=2)).message.seq_id == 2
        assert await subject.pulled(2, "1_2") == [1, 2]

    @ensureDeferred
    async def test_a_reader_that_finds_it_away_is_enough(self, subject: Subject, postgres: PostgresServer) -> None:
        await subject.send(1, to=2)
        postgres.stop()
        assert await seconds(lambda: subject.pull(2, "1_2")) < SOON
        with pytest.raises(UnavailableError):
            subject.put(subject.message(1, to=2))
        postgres.start()
        await until_back(subject)
        assert await subject.pulled(2, "1_2") == [1]

    @ensureDeferred
    async def test_it_can_be_stopped_meanwhile(self, subject: Subject, postgres: PostgresServer) -> None:
        await subject.send(1, to=2)
        postgres.stop()
        assert await seconds(lambda: subject.send(1, to=2)) < SOON
        await subject.close()
        postgres.start()
        subject.open()
        assert await subject.pulled(2, "1_2") == [1]

    @ensureDeferred
    async def test_who_was_idle_through_a_restart_does_not_notice(
        self, subject: Subject, postgres: PostgresServer
    ) -> None:
        await subject.send(1, to=2)
        await subject.pulled(2, "1_2")
        restart(postgres)
        assert await subject.pulled(2, "1_2") == [1]
        restart(postgres)
        assert (await subject.send(1, to=2)).message.seq_id == 2


class TestSilent:
    """A server that stands still, or a network that is cut, says nothing at all."""

    @ensureDeferred
    async def test_who_waits_is_told_after_a_while_and_the_others_at_once(
        self, subject: Subject, postgres: PostgresServer
    ) -> None:
        await subject.reopen(timeout=0.3)
        await subject.send(1, to=2)
        await subject.pulled(2, "1_2")
        postgres.pause()
        message = subject.message(1, to=2)
        outcome = await subject.put(message)
        assert isinstance(outcome, UnavailableError)
        for what in (lambda: subject.send(1, to=2), lambda: subject.pull(2, "1_2")):
            assert await seconds(what) < SOON
        postgres.resume()
        assert (await send_until_stored(subject, message)).message.seq_id == 2
        assert await subject.pulled(2, "1_2") == [1, 2]

    @ensureDeferred
    async def test_a_reader_is_told_too(self, subject: Subject, postgres: PostgresServer) -> None:
        await subject.reopen(timeout=0.3)
        await subject.send(1, to=2)
        await subject.pulled(2, "1_2")
        postgres.pause()
        with pytest.raises(UnavailableError):
            await subject.pull(2, "1_2")
        postgres.resume()
        await until_back(subject)
        assert await subject.pulled(2, "1_2") == [1]

    @ensureDeferred
    async def test_what_another_node_has_locked_and_left_is_free_after_a_while(
        self, subject: Subject, place: PostgresPlace
    ) -> None:
        group = await subject.group(1, 2)
        other = Subject(place)
        other.open(timeout=0.5)
        connection = other.store._commit.connection
        connection.exec_driver_sql(other.store._database._lock_sql, (f'{{"{group}"}}',))
        assert (await subject.send(1, group=group)).message.seq_id == 2
        connection.invalidate()
        await other.close()


class TestUnknownOutcome:
    @ensureDeferred
    async def test_a_message_that_was_stored_all_the_same_is_found_when_it_is_sent_again(
        self, subject: Subject, postgres: PostgresServer
    ) -> None:
        postgres.ask(
            "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$;"
            " CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON x_message DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION dawdle()",
            "imd",
        )
        try:
            message = subject.message(1, to=2)
            told = subject.put(message)
            while not postgres.ask("SELECT 1 FROM pg_stat_activity WHERE query = 'COMMIT'"):
                await deferLater(reactor, 0.005)
            cut(subject)
            assert isinstance(await told, UnavailableError)
        finally:
            postgres.ask("DROP FUNCTION dawdle CASCADE", "imd")
        await until_back(subject)
        assert await subject.pulled(2, "1_2") == [1]
        again = await send_until_stored(subject, message)
        assert (again.message.seq_id, again.repeated) == (1, True)
        assert await subject.pulled(2, "1_2") == await subject.inbox_of(2, "1_2") == [1]


@ensureDeferred
async def test_a_slow_read_does_not_hold_up_a_send(subject: Subject, postgres: PostgresServer) -> None:
    await subject.send(1, to=2)
    await subject.store.hide(2, "1_2", [1])
    with closing(psycopg2.connect(postgres.url("imd"))) as stranger:
        stranger.cursor().execute("LOCK TABLE x_hidden")
        pulled = [Deferred.fromCoroutine(subject.pull(2, "1_2")) for _ in range(5)]
        while not postgres.waiting():
            await deferLater(reactor, 0.005)
        assert (await subject.send(1, to=2)).message.seq_id == 2
        assert not any(page.called for page in pulled)
    for page in pulled:
        await page


def cut(subject: Subject) -> None:
    """Cut the writer's connection, of which the server notices nothing before it answers."""
    connection = subject.store._commit.connection.connection
    connection.info["wire"].cut()
