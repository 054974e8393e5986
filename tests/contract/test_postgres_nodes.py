"""The SQL store on PostgreSQL, which several nodes share: none sees that there are others."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest
from pytest_twisted import async_yield_fixture, ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from imd.errors import UnavailableError
from imd.ports.groups import GroupChange
from imd.ports.messages import InboxAck, ReadMark, Stored
from imd.storage import commit

from .conftest import PostgresPlace
from .postgres_server import PostgresServer
from .subject import Subject, seqs

HOUR = 3_600_000


@pytest.fixture
def place(postgres: PostgresServer) -> Iterator[PostgresPlace]:
    """A database without anything in it."""
    place = PostgresPlace(postgres)
    yield place
    place.clean()


@async_yield_fixture
async def other(subject: Subject, place: PostgresPlace) -> AsyncIterator[Subject]:
    """A second node; ``subject`` is the first."""
    other = Subject(place, first_id=1_000_000)
    other.open()
    yield other
    await other.close()


def deadlocks(postgres: PostgresServer) -> int:
    """Return how many there have been."""
    return postgres.log.count("deadlock detected")


async def all_of(*outcomes: Deferred[Any]) -> list[Any]:
    found: list[Any] = await gatherResults(outcomes)
    return found


class TestWritingAtOnce:
    @ensureDeferred
    async def test_one_group_gets_seqs_without_gap_and_without_double(self, subject: Subject, other: Subject) -> None:
        group = await subject.group(1, 2)
        told: list[Deferred[Any]] = []
        for _ in range(30):
            told += [node.put(node.message(1, group=group)) for node in (subject, other) for _ in range(7)]
            await deferLater(reactor, 0.001)
        found = seqs(await all_of(*told))
        assert sorted(found) == list(range(2, 422))
        assert await other.pulled(2, group, page_size=1000) == list(range(1, 422))
        assert len(await subject.inbox_of(2, group)) == 421

    @ensureDeferred
    async def test_a_single_chat_that_both_open_is_one(self, subject: Subject, other: Subject) -> None:
        for peer in range(2, 22):
            found = seqs(await all_of(*(node.put(node.message(1, to=peer)) for node in (subject, other))))
            assert sorted(found) == [1, 2]

    @ensureDeferred
    async def test_a_group_that_both_make_is_made_once(self, subject: Subject, other: Subject) -> None:
        for number in range(10):
            made = (node.create(1, 2, group_id=f"tea{number}") for node in (subject, other))
            views = await all_of(*map(Deferred.fromCoroutine, made))
            assert [view.max_seq for view in views] == [1, 1]

    @ensureDeferred
    async def test_a_user_who_comes_to_both_is_known_once(self, subject: Subject, other: Subject) -> None:
        for uid in range(10, 20):
            remembered = (node.store.remember_user(uid, "Ann") for node in (subject, other))
            assert await all_of(*map(Deferred.fromCoroutine, remembered)) == [None, None]

    @ensureDeferred
    async def test_a_block_list_keeps_its_limit(self, subject: Subject, other: Subject) -> None:
        await subject.store.remember_user(1, "")
        for begin in (100, 200, 300):
            blocked = (
                Deferred.fromCoroutine(node.store.block(1, range(begin + at, begin + at + 20), 110))
                for node, at in ((subject, 0), (other, 10))
            )
            await all_of(*blocked)
        assert len(await other.store.blocked(1)) == 90

    @ensureDeferred
    async def test_what_is_unread_stays_right_while_one_node_reads_and_the_other_writes(
        self, subject: Subject, other: Subject
    ) -> None:
        group = await subject.group(1, 2)
        for _ in range(40):
            sent = [other.put(other.message(uid, group=group)) for uid in (1, 2, 1)]
            end = (await subject.view(1, group)).max_seq
            marks = subject.store.raise_watermarks([InboxAck(1, group, 0, end)], [ReadMark(1, group, end)])
            await all_of(Deferred.fromCoroutine(marks), *sent)
        view = await subject.view(1, group)
        unread = [m for m in (await subject.pull(1, group, after=view.read_seq)).messages if m.sender_id == 2]
        assert view.unread == len(unread)
        await subject.read(1, group, view.max_seq)
        assert (await other.view(1, group)).unread == 0

    @ensureDeferred
    async def test_a_message_of_ones_own_that_comes_while_a_mark_rises_is_not_unread(
        self, subject: Subject, other: Subject, postgres: PostgresServer
    ) -> None:
        group, slow = await subject.group(1, 2), await subject.group(3, 4)
        await subject.send(2, group=group)
        with locked(postgres, slow, "x_conversation"):
            marks = subject.store.raise_watermarks([], [ReadMark(3, slow, 1), ReadMark(1, group, 2)])
            marked = Deferred.fromCoroutine(marks)
            await until_waiting(postgres)
            sent = other.put(other.message(1, group=group))
            while not sent.called and postgres.waiting() < 2:
                await deferLater(reactor, 0.005)
        await all_of(marked, sent)
        assert (await subject.view(1, group)).unread == 0


class TestLocks:
    @ensureDeferred
    async def test_whatever_the_order_of_a_batch_two_nodes_never_wait_for_each_other(
        self, subject: Subject, other: Subject, postgres: PostgresServer
    ) -> None:
        groups = [await subject.group(1, 2) for _ in range(12)]
        before = deadlocks(postgres)
        for held in groups[3:9]:
            told: list[Deferred[Any]] = []
            with locked(postgres, held):
                for node, order in ((subject, groups), (other, groups[::-1])):
                    for group in order:
                        told.append(node.put(node.message(1, group=group)))
                        marks = node.store.raise_watermarks([InboxAck(2, group, 0, 10)], [ReadMark(2, group, 5)])
                        told.append(Deferred.fromCoroutine(marks))
                await until_waiting(postgres, 2)
            await all_of(*told)
        assert [(await other.view(1, group)).max_seq for group in groups] == [13] * 12
        assert deadlocks(postgres) == before

    @pytest.mark.parametrize("has_changes", [False, True], ids=["sends alone", "sends and changes of nothing in it"])
    @ensureDeferred
    async def test_nor_where_a_batch_has(
        self, subject: Subject, other: Subject, postgres: PostgresServer, has_changes: bool
    ) -> None:
        groups = [await subject.group(1, 2) for _ in range(12)]
        before = deadlocks(postgres)
        told: list[Deferred[Any]] = []
        with locked(postgres, groups[6]):
            for node, order in ((subject, groups), (other, groups[::-1])):
                for group in order:
                    told.append(node.put(node.message(1, group=group)))
                    if has_changes:
                        told.append(Deferred.fromCoroutine(node.settle()))
            await until_waiting(postgres, 2)
        await all_of(*told)
        assert deadlocks(postgres) == before

    @ensureDeferred
    async def test_a_deadlock_with_somebody_else_is_not_seen(self, subject: Subject, postgres: PostgresServer) -> None:
        first, second = sorted([await subject.group(1, 2) for _ in range(2)])
        before = deadlocks(postgres)
        with locked(postgres, second) as lock:
            sent = [subject.put(subject.message(1, group=group)) for group in (first, second)]
            await until_waiting(postgres)
            await deferToThread(lock, first)
        assert seqs(await all_of(*sent)) == [2, 2]
        assert deadlocks(postgres) == before + 1

    @pytest.mark.parametrize("failures", [1, commit.MAX_CONFLICTS])
    @ensureDeferred
    async def test_what_the_database_asks_to_do_again_is_done_again_whole(
        self, subject: Subject, postgres: PostgresServer, failures: int
    ) -> None:
        group = await subject.group(1, 2)
        with conflicting(postgres, failures):
            sent = [subject.put(subject.message(1, group=group)) for _ in range(3)]
            joined = subject.invite(group, 1, 3)
            assert seqs(await all_of(*sent)) == [2, 3, 4]
            assert (await joined).max_seq == 5
        assert await subject.pulled(2, group) == [1, 2, 3, 4, 5]

    @ensureDeferred
    async def test_it_is_not_done_for_ever(self, subject: Subject, postgres: PostgresServer) -> None:
        with conflicting(postgres, commit.MAX_CONFLICTS + 1):
            with pytest.raises(UnavailableError):
                await subject.send(1, to=2)
            assert (await subject.send(1, to=2)).message.seq_id == 1


class TestCaches:
    @ensureDeferred
    async def test_a_member_whom_another_node_has_let_in_gets_the_next_message(
        self, subject: Subject, other: Subject
    ) -> None:
        group = await subject.group(1, 2)
        cached = (await other.send(1, group=group)).members
        assert (await other.send(1, group=group, members=cached)).members is None
        await subject.invite(group, 1, 3)
        sent = await other.send(1, group=group, members=cached)
        assert sent.members is not None
        assert sorted(sent.receivers) == [2, 3]

    @ensureDeferred
    async def test_a_repeat_that_comes_to_another_node_is_known(self, subject: Subject, other: Subject) -> None:
        first = subject.put(subject.message(1, to=2, msg_id="m"))
        again = other.put(other.message(1, to=2, msg_id="m"))
        outcomes = await all_of(first, again)
        assert seqs(outcomes) == [1, 1]
        assert sorted(outcome.repeated for outcome in outcomes if isinstance(outcome, Stored)) == [False, True]


@ensureDeferred
async def test_send_time_never_falls_though_the_other_nodes_clock_is_behind(subject: Subject, other: Subject) -> None:
    group = await subject.group(1, 2)
    subject.time.ms += HOUR
    for where in ({"group": group}, {"to": 2}):
        times = []
        for node in (subject, other, subject, other):
            times.append((await node.send(1, **where)).message.send_time)
            subject.time.ms += 1000
        assert times == sorted(times)
    joined = await other.change(group, 1, GroupChange(op="invite", uids=(3,), join=(3,)))
    times = [message.send_time for message in (await other.pull(2, group)).messages]
    assert len(times) == joined.max_seq
    assert times == sorted(times)


@contextmanager
def locked(postgres: PostgresServer, group_id: str, table: str = "x_group") -> Iterator[Callable[[str], None]]:
    """Hold the rows that a group has in a table, as a third one would; yields what takes another group's as well."""
    # Where there is a deadlock it is the node that finds it, and is ended.
    with closing(psycopg2.connect(postgres.url("imd"), options="-c deadlock_timeout=60s")) as stranger:

        def lock(group_id: str) -> None:
            stranger.cursor().execute(f"SELECT 1 FROM {table} WHERE group_id = %s FOR UPDATE", (group_id,))

        lock(group_id)
        yield lock
        stranger.commit()


async def until_waiting(postgres: PostgresServer, count: int = 1) -> None:
    """Wait until so many wait for a lock."""
    while postgres.waiting() < count:
        await deferLater(reactor, 0.005)


@contextmanager
def conflicting(postgres: PostgresServer, failures: int) -> Iterator[None]:
    """Let the next ``failures`` transactions that store messages meet a serialization failure."""
    postgres.ask(
        "CREATE SEQUENCE tries; CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF nextval('tries') <= {failures} THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF;"
        " RETURN NULL; END $$;"
        " CREATE TRIGGER fail AFTER INSERT ON x_message FOR EACH STATEMENT EXECUTE FUNCTION fail()",
        "imd",
    )
    yield
    postgres.ask("DROP FUNCTION fail CASCADE; DROP SEQUENCE tries", "imd")
