"""IReportStore, IUpstreamStore: reports are kept once, counted, and read in commit order; one node carries them on."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from sqlalchemy import Connection, text
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from zope.interface.verify import verifyObject

from imd.errors import ConflictError, RefusedError, UnavailableError
from imd.ports.upstream import ROW_SIZE, Bound, IReportStore, IUpstreamStore, Queued, Report, Reported, Settled
from imd.storage.store import SqlStore

from .subject import NOBODY, START, Place, Subject

reactor: Any = _reactor

ROWS, SIZE = 5, 2000
BOUNDS = {"orders": Bound(1000, 10**6), "clicks": Bound(1000, 10**6), "small": Bound(ROWS, SIZE)}
LEASE = 0.3
"""Seconds, of the database's own clock."""

_numbers = itertools.count(1)


class Reporter:
    """A store that keeps reports, and what became of each."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.batches: list[Sequence[Reported]] = []
        self._waiting: dict[int, Deferred[RefusedError | None]] = {}
        self.store: SqlStore = subject.store
        self.store.on_reports(self._reported)

    def put(
        self, uid: int, *, to: str = "orders", message_id: str = "", payload: bytes = b"{}", kind: str = "a/b"
    ) -> "Deferred[RefusedError | None]":
        """Hand a report to the store; fires with why it is refused, or None."""
        number = next(_numbers)
        outcome = self._waiting[number] = Deferred()
        size = len(payload) + ROW_SIZE
        self.store.report(Report(NOBODY, number, uid, to, message_id or f"m{number}", kind, payload, size))
        return outcome

    async def report(self, uid: int, **what: Any) -> RefusedError | None:
        return await self.put(uid, **what)

    async def queued(self, to: str = "orders", after: int = 0, limit: int = 100, **what: Any) -> Sequence[Queued]:
        wanted = {"size": 10**6, "without": (), **what}
        return await self.store.queued(to, after, limit, **wanted)

    async def payloads(self, to: str = "orders", **what: Any) -> list[bytes]:
        return [queued.payload for queued in await self.queued(to, **what)]

    async def counted(self, to: str) -> tuple[int, int]:
        """Return what no port shows: how many rows the store thinks it keeps, and how many bytes."""

        def query(connection: Connection) -> tuple[int, int]:
            found = connection.execute(text("SELECT kept, size FROM x_upstream_queue WHERE queue = :q"), {"q": to})
            kept, size = found.one()
            return kept, size

        return await self.store._read(query)

    def _reported(self, batch: Sequence[Reported]) -> None:
        self.batches.append(batch)
        for report, refusal in batch:
            self._waiting.pop(report.trace_id).callback(refusal)


@pytest.fixture
def reporter(place: Place) -> Iterator[Reporter]:
    """An open store, one for each implementation."""
    subject = Subject(place)
    subject.open(upstream=BOUNDS)
    yield Reporter(subject)
    pytest_twisted.blockon(Deferred.fromCoroutine(subject.close()))


@pytest.fixture
def other(place: Place, reporter: Reporter) -> Iterator[Reporter]:
    """Another store over the same place, as another node has it."""
    subject = Subject(place, first_id=10**6)
    subject.open(upstream=BOUNDS)
    yield Reporter(subject)
    pytest_twisted.blockon(Deferred.fromCoroutine(subject.close()))


def test_the_store_provides_the_port(reporter: Reporter) -> None:
    for port in (IReportStore, IUpstreamStore):
        verifyObject(port, reporter.store)


class TestKeeping:
    @ensureDeferred
    async def test_a_report_is_read_back_whole(self, reporter: Reporter) -> None:
        reporter.subject.time.ms += 5000
        message_id = "0192f5a0-7c00-7000-8000-000000000001"
        refusal = await reporter.report(2**63 - 1, message_id=message_id, payload=b"\0\xff\t\\\n", kind="x/y")
        assert refusal is None
        (queued,) = await reporter.queued()
        assert queued == Queued(queued.id, 2**63 - 1, message_id, "x/y", b"\0\xff\t\\\n", START + 5000, 0)

    @ensureDeferred
    async def test_an_empty_payload_is_one(self, reporter: Reporter) -> None:
        await reporter.report(1, payload=b"", kind="")
        assert [(queued.payload, queued.content_type) for queued in await reporter.queued()] == [(b"", "")]

    @ensureDeferred
    async def test_it_is_there_after_a_restart(self, reporter: Reporter) -> None:
        await reporter.report(1, payload=b"1")
        await reporter.subject.reopen(upstream=BOUNDS)
        again = Reporter(reporter.subject)
        assert await again.payloads() == [b"1"]

    @ensureDeferred
    async def test_reports_of_one_turn_are_told_in_one_batch_in_their_order(self, reporter: Reporter) -> None:
        outcomes = [reporter.put(uid % 3, payload=b"%d" % uid) for uid in range(20)]
        assert [await outcome for outcome in outcomes] == [None] * 20
        assert [len(batch) for batch in reporter.batches] == [20]
        assert await reporter.payloads() == [b"%d" % number for number in range(20)]

    @ensureDeferred
    async def test_destinations_are_apart(self, reporter: Reporter) -> None:
        await reporter.report(1, to="orders", payload=b"1")
        await reporter.report(1, to="clicks", payload=b"2")
        assert (await reporter.payloads("orders"), await reporter.payloads("clicks")) == ([b"1"], [b"2"])

    @ensureDeferred
    async def test_messages_and_reports_go_into_one_commit(self, reporter: Reporter) -> None:
        message = reporter.subject.put(reporter.subject.message(1, to=2))
        reported = reporter.put(1)
        later = reporter.subject.put(reporter.subject.message(2, to=1))
        await message
        assert await reported is None
        await later
        assert (len(reporter.subject.batches), len(reporter.batches)) == (1, 1)
        assert len(reporter.subject.batches[0]) == 2

    @ensureDeferred
    async def test_a_report_waits_for_its_commit(self, reporter: Reporter) -> None:
        reporter.subject.fill()
        refusals = [await reporter.report(1, payload=bytes(50_000)) for _ in range(5)]
        assert isinstance(refusals[-1], UnavailableError)
        kept = refusals.count(None)
        reporter.subject.empty()
        assert len(await reporter.queued()) == kept
        assert await reporter.report(1) is None

    @ensureDeferred
    async def test_one_that_the_database_refuses_fails_alone(self, reporter: Reporter) -> None:
        outcomes = [reporter.put(1), reporter.put(2**63), reporter.put(2)]
        refusals = [await outcome for outcome in outcomes]
        assert [refusal is None for refusal in refusals] == [True, False, True]
        assert [queued.uid for queued in await reporter.queued()] == [1, 2]
        assert (await reporter.counted("orders"))[0] == 2


class TestRepeating:
    @ensureDeferred
    async def test_a_repeat_is_one_row(self, reporter: Reporter) -> None:
        for _ in range(2):
            assert await reporter.report(1, message_id="m", payload=b"1") is None
        assert await reporter.payloads() == [b"1"]
        assert await reporter.counted("orders") == (1, 1 + ROW_SIZE)

    @ensureDeferred
    async def test_a_repeat_in_the_same_commit_is_one_row(self, reporter: Reporter) -> None:
        outcomes = [reporter.put(1, message_id="m"), reporter.put(1, message_id="m"), reporter.put(1)]
        assert [await outcome for outcome in outcomes] == [None] * 3
        assert len(await reporter.queued()) == 2

    @ensureDeferred
    async def test_other_content_under_the_same_id_is_a_conflict(self, reporter: Reporter) -> None:
        await reporter.report(1, message_id="m", payload=b"1")
        assert isinstance(await reporter.report(1, message_id="m", payload=b"2"), ConflictError)
        assert isinstance(await reporter.report(1, message_id="m", payload=b"1", kind="z"), ConflictError)
        assert await reporter.payloads() == [b"1"]

    @ensureDeferred
    async def test_another_user_or_destination_is_another_report(self, reporter: Reporter) -> None:
        await reporter.report(1, message_id="m")
        assert await reporter.report(2, message_id="m", payload=b"2") is None
        assert await reporter.report(1, message_id="m", payload=b"3", to="clicks") is None
        assert (len(await reporter.queued()), len(await reporter.queued("clicks"))) == (2, 1)

    @ensureDeferred
    async def test_one_that_is_dead_is_known_still(self, reporter: Reporter) -> None:
        await reporter.report(1, message_id="m")
        (queued,) = await reporter.queued()
        await reporter.store.settle("orders", Settled([], [(queued.id, 1)], [queued.id]))
        assert await reporter.report(1, message_id="m") is None
        assert await reporter.queued() == []


class TestBounds:
    @ensureDeferred
    async def test_past_so_many_rows_it_is_unavailable_until_some_are_taken(self, reporter: Reporter) -> None:
        refusals = [await reporter.report(1, to="small", payload=b"") for _ in range(ROWS + 1)]
        assert [refusal is None for refusal in refusals] == [True] * ROWS + [False]
        assert isinstance(refusals[-1], UnavailableError)
        assert await reporter.report(1, to="orders") is None
        first = (await reporter.queued("small"))[0]
        await reporter.store.settle("small", Settled([first.id]))
        refusals = [await reporter.report(1, to="small", payload=b"") for _ in range(2)]
        assert [refusal is None for refusal in refusals] == [True, False]

    @ensureDeferred
    async def test_in_one_commit_only_what_is_past_the_bound_is_refused(self, reporter: Reporter) -> None:
        outcomes = [reporter.put(1, to="small", payload=b"") for _ in range(ROWS + 3)]
        refusals = [await outcome for outcome in outcomes]
        assert [refusal is None for refusal in refusals] == [True] * ROWS + [False] * 3
        assert await reporter.counted("small") == (ROWS, ROWS * ROW_SIZE)

    @ensureDeferred
    async def test_past_so_many_bytes_it_is_unavailable(self, reporter: Reporter) -> None:
        assert await reporter.report(1, to="small", payload=bytes(SIZE - ROW_SIZE)) is None
        assert isinstance(await reporter.report(1, to="small", payload=b""), UnavailableError)

    @ensureDeferred
    async def test_at_the_bound_a_repeat_is_ok(self, reporter: Reporter) -> None:
        for number in range(ROWS):
            await reporter.report(1, to="small", message_id=f"{number}")
        assert await reporter.report(1, to="small", message_id="0") is None

    @ensureDeferred
    async def test_what_is_dead_counts(self, reporter: Reporter) -> None:
        for _ in range(ROWS):
            await reporter.report(1, to="small")
        ids = [queued.id for queued in await reporter.queued("small")]
        await reporter.store.settle("small", Settled([], [], ids))
        assert isinstance(await reporter.report(1, to="small"), UnavailableError)


class TestReading:
    @ensureDeferred
    async def test_pages_follow_each_other(self, reporter: Reporter) -> None:
        for number in range(5):
            await reporter.report(1, payload=b"%d" % number)
        first = await reporter.queued(limit=2)
        second = await reporter.queued(after=first[-1].id, limit=100)
        assert [queued.payload for queued in [*first, *second]] == [b"0", b"1", b"2", b"3", b"4"]

    @ensureDeferred
    async def test_a_page_has_at_most_so_many_bytes_but_one_report_at_least(self, reporter: Reporter) -> None:
        for _ in range(3):
            await reporter.report(1, payload=bytes(100))
        assert len(await reporter.queued(size=250)) == 2
        assert len(await reporter.queued(size=10)) == 1

    @ensureDeferred
    async def test_users_can_be_left_out(self, reporter: Reporter) -> None:
        for uid in (1, 2, 3, 2):
            await reporter.report(uid)
        assert [queued.uid for queued in await reporter.queued(without=(2, 3))] == [1]


class TestSettling:
    @ensureDeferred
    async def test_what_was_taken_is_gone_and_counts_no_more(self, reporter: Reporter) -> None:
        for _ in range(3):
            await reporter.report(1, payload=b"12")
        ids = [queued.id for queued in await reporter.queued()]
        for _ in range(2):  # a second time is no error
            await reporter.store.settle("orders", Settled(ids[:2]))
        assert [queued.id for queued in await reporter.queued()] == ids[2:]
        assert await reporter.counted("orders") == (1, 2 + ROW_SIZE)

    @ensureDeferred
    async def test_an_id_is_not_given_again(self, reporter: Reporter) -> None:
        await reporter.report(1)
        (first,) = await reporter.queued()
        await reporter.store.settle("orders", Settled([first.id]))
        await reporter.report(1)
        assert (await reporter.queued())[0].id > first.id

    @ensureDeferred
    async def test_attempts_are_noted_and_the_dead_are_read_no_more(self, reporter: Reporter) -> None:
        for _ in range(3):
            await reporter.report(1)
        ids = [queued.id for queued in await reporter.queued()]
        await reporter.store.settle("orders", Settled([], [(ids[0], 3), (ids[1], 4)], [ids[1]]))
        assert [(queued.id, queued.attempts) for queued in await reporter.queued()] == [(ids[0], 3), (ids[2], 0)]


class TestLeases:
    @ensureDeferred
    async def test_one_node_has_it_at_a_time(self, reporter: Reporter, other: Reporter) -> None:
        assert set(await reporter.store.lease(("orders", "clicks"), "n1", 60)) == {"orders", "clicks"}
        assert set(await other.store.lease(("orders", "small"), "n2", 60)) == {"small"}
        assert set(await reporter.store.lease(("orders", "clicks", "small"), "n1", 60)) == {"orders", "clicks"}

    @ensureDeferred
    async def test_when_it_has_ended_another_node_takes_it(self, reporter: Reporter, other: Reporter) -> None:
        await reporter.store.lease(("orders",), "n1", LEASE)
        assert not await other.store.lease(("orders",), "n2", 60)
        while not await other.store.lease(("orders",), "n2", 60):
            await deferLater(reactor, 0.02)
        assert not await reporter.store.lease(("orders",), "n1", 60)

    @ensureDeferred
    async def test_one_that_is_given_back_is_free(self, reporter: Reporter, other: Reporter) -> None:
        await reporter.store.lease(("orders", "clicks"), "n1", 60)
        await reporter.store.release(("orders",), "n1")
        assert set(await other.store.lease(("orders", "clicks"), "n2", 60)) == {"orders"}

    @ensureDeferred
    async def test_nobody_gives_back_what_is_anothers(self, reporter: Reporter, other: Reporter) -> None:
        await reporter.store.lease(("orders",), "n1", 60)
        await other.store.release(("orders",), "n2")
        assert not await other.store.lease(("orders",), "n2", 60)


class TestTwoNodes:
    @ensureDeferred
    async def test_who_reads_on_after_an_id_misses_nothing(self, reporter: Reporter, other: Reporter) -> None:
        outcomes = []
        found: list[Queued] = []
        for round_ in range(30):
            for node in (reporter, other):
                outcomes += [node.put(1 + round_ % 2) for _ in range(3)]
                outcomes.append(node.put(1, to="clicks"))
            await deferLater(reactor, 0)
            found += await reporter.queued(after=found[-1].id if found else 0)
        assert [await outcome for outcome in outcomes] == [None] * len(outcomes)
        while page := await reporter.queued(after=found[-1].id):
            found += page
        assert len({queued.message_id for queued in found}) == len(found) == 180

    @ensureDeferred
    async def test_changes_of_many_destinations_and_groups_never_wait_for_each_other(
        self, reporter: Reporter, other: Reporter
    ) -> None:
        outcomes: list[Any] = []
        for node, order in ((reporter, ("orders", "clicks")), (other, ("clicks", "orders"))):
            for number in range(40):
                outcomes.append(node.put(1, to=order[0]))
                outcomes.append(node.subject.put(node.subject.message(1, to=2 + number % 2)))
                outcomes.append(Deferred.fromCoroutine(node.store.settle(order[1], Settled([number]))))
                outcomes.append(node.put(1, to=order[1]))
        begun = reactor.seconds()
        for outcome in outcomes:
            await outcome
        assert reactor.seconds() - begun < 1  # where PostgreSQL looks for deadlocks
