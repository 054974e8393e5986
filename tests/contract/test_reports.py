"""Reports as operators see them, while a store is open over the same place."""

from collections.abc import Iterator

import pytest
from pytest_twisted import ensureDeferred

from imd.ports.upstream import ROW_SIZE, Settled
from imd.storage.reports import Reports, State

from .test_store_upstream import Reporter, reporter  # noqa: F401 - a fixture

START_ROWS = 4


@pytest.fixture
def reports(reporter: Reporter) -> Iterator[Reports]:  # noqa: F811
    """What imctl opens, beside the store."""
    other = reporter.subject._place.open(reporter.subject.time)
    other._commit.close()
    yield Reports(other._database)
    other._database.stop()


async def fill(reporter: Reporter, count: int = START_ROWS) -> list[int]:  # noqa: F811
    """Keep reports 0, 1, 2 …, of which every second is dead; return the ids of these."""
    outcomes = [reporter.put(7, payload=b"%d" % number) for number in range(count)]
    for outcome in outcomes:
        await outcome
    dead = [queued.id for queued in (await reporter.queued(limit=count))[1::2]]
    await reporter.store.settle("orders", Settled([], [(id_, 3) for id_ in dead], dead))
    return dead


@ensureDeferred
async def test_a_destination_is_told_with_what_waits_and_what_is_dead(reporter: Reporter, reports: Reports) -> None:  # noqa: F811
    await fill(reporter)
    await reporter.store.lease(("orders", "clicks"), "n1", 60)
    await reporter.store.release(("clicks",), "n1")
    assert reports.states() == [
        State("clicks", 0, 0, 0, 0, ""),
        State("orders", 2, reporter.subject.time.ms, 2, START_ROWS * (1 + ROW_SIZE), "n1"),
    ]


@ensureDeferred
async def test_the_dead_are_listed(reporter: Reporter, reports: Reports) -> None:  # noqa: F811
    ids = await fill(reporter)
    first, second = reports.dead("orders", 10)
    assert (first.id, first.uid, first.attempts, first.size) == (ids[0], 7, 3, 1)
    assert second.id == ids[1]
    assert reports.dead("orders", 1) == [first]
    assert reports.dead("clicks", 10) == []


@ensureDeferred
async def test_what_is_replayed_waits_behind_all_others_in_its_order(reporter: Reporter, reports: Reports) -> None:  # noqa: F811
    await fill(reporter)
    last = (await reporter.queued())[-1].id
    assert reports.replay("orders") == 2
    assert await reporter.payloads() == [b"0", b"2", b"1", b"3"]
    assert [queued.attempts for queued in await reporter.queued()] == [0] * 4
    assert await reporter.payloads(after=last) == [b"1", b"3"]
    await reporter.report(7, payload=b"4")
    assert (await reporter.payloads())[-1] == b"4"
    assert await reporter.counted("orders") == (5, 5 * (1 + ROW_SIZE))


@ensureDeferred
async def test_single_ones_are_replayed_and_dropped_by_their_id(reporter: Reporter, reports: Reports) -> None:  # noqa: F811
    first, second = await fill(reporter)
    assert reports.replay("orders", [second, second, 10**9]) == 1
    assert reports.drop("orders", [first]) == 1
    assert reports.drop("orders", [first]) == 0
    assert await reporter.payloads() == [b"0", b"2", b"3"]
    assert await reporter.counted("orders") == (3, 3 * (1 + ROW_SIZE))


@ensureDeferred
async def test_what_waits_is_dropped_only_where_that_is_said(reporter: Reporter, reports: Reports) -> None:  # noqa: F811
    await fill(reporter)
    waiting = [queued.id for queued in await reporter.queued()]
    assert reports.drop("orders", waiting) == 0
    assert reports.drop("orders") == 2
    assert len(await reporter.queued()) == 2
    assert reports.drop("orders", waiting=True) == 2
    assert await reporter.counted("orders") == (0, 0)


@ensureDeferred
async def test_very_many_take_several_steps(
    reporter: Reporter,  # noqa: F811
    reports: Reports,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("imd.storage.reports.STEP", 2)
    await fill(reporter, 10)
    assert reports.replay("orders") == 5
    assert (await reporter.payloads())[5:] == [b"1", b"3", b"5", b"7", b"9"]
    assert reports.drop("orders", waiting=True) == 10
