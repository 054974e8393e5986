"""Retention: what is too old goes group by group, in steps with pauses between them, round after round."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from imd.errors import UnavailableError
from imd.logic.retention import Retention
from imd.ports.retention import AgedGroups, IRetentionStore

from .parts import NOW

DAY_MS = 24 * 3600 * 1000
PAGE = 2
"""Groups in a page of the store here, however many are asked for."""


@implementer(IRetentionStore)
class Shelf:
    """Groups and how many of their messages are too old; a step takes ``seconds``, and raises ``error`` if set."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.aged: dict[str, int] = {}
        self.seconds = 0.0
        self.error: Exception | None = None
        self.looks: list[tuple[str, int]] = []
        self.drops: list[tuple[float, str, int]] = []
        self.befores: set[int] = set()
        self.under_way = 0
        self.most_under_way = 0

    async def aged_groups(self, cursor: str, before: int, limit: int) -> AgedGroups:
        self.looks.append((cursor, before))
        await self._work()
        ids = [group_id for group_id in sorted(self.aged) if group_id > cursor]
        found = [group_id for group_id in ids[:PAGE] if self.aged[group_id]]
        return AgedGroups(found, ids[PAGE - 1] if len(ids) > PAGE else "")

    async def drop_messages(self, group_id: str, before: int, limit: int) -> int:
        self.drops.append((self.clock.seconds(), group_id, limit))
        self.befores.add(before)
        await self._work()
        dropped = min(limit, self.aged[group_id])
        self.aged[group_id] -= dropped
        return dropped

    async def _work(self) -> None:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        done: Deferred[None] = Deferred()
        if self.seconds:
            self.clock.callLater(self.seconds, done.callback, None)
        else:
            done.callback(None)
        await done
        self.under_way -= 1
        if self.error is not None:
            raise self.error


class RetentionTestCase(SynchronousTestCase):
    max_age_ms = 30 * DAY_MS

    def setUp(self) -> None:
        self.clock = Clock()
        self.store = Shelf(self.clock)
        self.retention = Retention(
            self.clock,
            self.store,
            lambda: NOW + int(self.clock.seconds() * 1000),
            max_age_ms=self.max_age_ms,
            step=10,
            pause=0.5,
            factor=4.0,
            rest=3600.0,
        )
        self.said: list[str] = []
        globalLogPublisher.addObserver(self.listen)
        self.addCleanup(globalLogPublisher.removeObserver, self.listen)

    def listen(self, event: dict[str, object]) -> None:
        if event["log_namespace"] == "imd.logic.retention.Retention":
            self.said.append(str(formatEvent(event)))

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([0.125] * int(seconds * 8))

    def dropped(self) -> Sequence[str]:
        """Return the groups of which something was dropped, step by step, since this was asked last."""
        groups = [group_id for _, group_id, _ in self.store.drops]
        self.store.drops.clear()
        return groups


class Rounds(RetentionTestCase):
    def test_what_is_older_than_the_age_goes_from_every_group(self) -> None:
        self.store.aged = {"a": 25, "b": 0, "c": 5, "d": 0, "e": 1}
        self.retention.start()
        self.pass_time(60)
        assert not any(self.store.aged.values())
        assert self.store.befores == {NOW - 30 * DAY_MS}

    def test_no_step_drops_more_than_it_may(self) -> None:
        self.store.aged = {"a": 25}
        self.retention.start()
        self.pass_time(60)
        assert {limit for _, _, limit in self.store.drops} == {10}
        assert len(self.store.drops) == 4  # 10, 10, 5, and none left

    def test_groups_are_looked_through_page_by_page(self) -> None:
        self.store.aged = dict.fromkeys("abcde", 0)
        self.retention.start()
        self.pass_time(60)
        assert [cursor for cursor, _ in self.store.looks] == ["", "b", "d"]
        assert self.store.drops == []

    def test_after_a_round_it_rests_and_then_begins_with_the_time_it_is(self) -> None:
        self.retention.start()
        self.pass_time(3600)
        assert self.store.looks == [("", NOW - 30 * DAY_MS)]
        self.store.aged = {"a": 1}
        self.pass_time(2)
        assert self.store.looks[1:] == [("", NOW + 3_600_500 - 30 * DAY_MS)]
        assert not any(self.store.aged.values())

    def test_a_round_that_deleted_something_is_told_in_one_line(self) -> None:
        self.store.aged = {"a": 25, "b": 0, "c": 5}
        self.retention.start()
        self.pass_time(7300)
        assert self.said == ["retention deleted 30 messages of 2 groups in 4 s"]

    def test_at_the_age_of_zero_everything_is_kept_and_nothing_starts(self) -> None:
        retention = Retention(self.clock, self.store, lambda: NOW, max_age_ms=0)
        retention.start()
        assert self.clock.getDelayedCalls() == []
        assert self.store.looks == []
        retention.stop()


class Pacing(RetentionTestCase):
    def test_one_step_is_under_way_at_a_time(self) -> None:
        self.store.aged = {"a": 100, "b": 100}
        self.store.seconds = 0.25
        self.retention.start()
        self.pass_time(60)
        assert not any(self.store.aged.values())
        assert self.store.most_under_way == 1

    def test_between_quick_steps_it_pauses(self) -> None:
        self.store.aged = {"a": 100}
        self.retention.start()
        self.pass_time(60)
        assert [at for at, _, _ in self.store.drops] == [0.5 * number for number in range(1, 12)]

    def test_slow_steps_get_a_bounded_share_of_the_time(self) -> None:
        self.store.aged = {"a": 10_000}
        self.store.seconds = 1.0
        self.retention.start()
        self.pass_time(100)
        assert [at for at, _, _ in self.store.drops] == [5.0 * number for number in range(1, 21)]

    def test_a_clock_that_is_set_does_not_stop_it_for_long(self) -> None:
        self.store.aged = {"a": 100}
        self.store.seconds = 24 * 3600.0
        self.retention.start()
        self.clock.advance(24 * 3600)
        self.store.seconds = 0.0
        self.pass_time(59)
        assert self.store.drops == []
        self.pass_time(2)
        assert len(self.store.drops) == 3


class Trouble(RetentionTestCase):
    def test_a_store_that_cannot_keep_up_is_left_in_peace_for_a_minute(self) -> None:
        self.store.aged = {"a": 100}
        self.store.error = UnavailableError("the store can't keep up")
        self.retention.start()
        self.pass_time(59)
        assert len(self.store.looks) == 1
        self.store.error = None
        self.pass_time(61)
        assert not any(self.store.aged.values())

    def test_trouble_is_told_once_until_it_is_over(self) -> None:
        self.store.aged = {"a": 1}
        self.store.error = UnavailableError("the store can't keep up")
        self.retention.start()
        self.pass_time(600)
        trouble = "retention could not go on and tries again later: the store can't keep up"
        assert self.said == [trouble]
        self.store.error = None
        self.pass_time(120)
        self.store.error = UnavailableError("the store can't keep up")
        self.pass_time(4000)
        assert self.said == [trouble, "retention deleted 1 messages of 1 groups in 662 s", trouble]

    def test_a_group_that_cannot_be_dropped_from_does_not_keep_the_others(self) -> None:
        self.store.aged = {"a": 10, "b": 10, "c": 10}
        drop = self.store.drop_messages

        async def broken(group_id: str, before: int, limit: int) -> int:
            if group_id == "a":
                raise ZeroDivisionError
            return await drop(group_id, before, limit)

        self.patch(self.store, "drop_messages", broken)
        self.retention.start()
        self.pass_time(120)
        assert self.store.aged == {"a": 10, "b": 0, "c": 0}
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1

    def test_a_page_that_could_not_be_read_is_read_again(self) -> None:
        self.store.aged = {"a": 0, "b": 0, "c": 10}
        self.retention.start()
        self.store.error = ZeroDivisionError()
        self.pass_time(1)
        self.store.error = None
        self.pass_time(120)
        assert [cursor for cursor, _ in self.store.looks] == ["", "b", "b"]
        assert self.store.aged["c"] == 0
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1


class Stopping(RetentionTestCase):
    def test_stopped_in_a_pause_nothing_is_left(self) -> None:
        self.store.aged = {"a": 1000}
        self.retention.start()
        self.pass_time(2)
        self.retention.stop()
        self.retention.stop()
        steps = len(self.store.drops)
        self.pass_time(7200)
        assert len(self.store.drops) == steps
        assert self.clock.getDelayedCalls() == []

    def test_stopped_in_a_step_it_takes_no_other(self) -> None:
        self.store.aged = {"a": 1000}
        self.store.seconds = 1.0
        self.retention.start()
        self.pass_time(5.5)
        assert self.dropped() == ["a"]
        self.retention.stop()
        self.pass_time(7200)
        assert self.dropped() == []
        assert self.said == []

    def test_stopped_before_it_was_started_nothing_happens(self) -> None:
        self.retention.stop()
        assert self.clock.getDelayedCalls() == []
