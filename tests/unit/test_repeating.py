"""Repeating: neither an error nor a slow turn ends it."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imd.repeating import Repeating


class RepeatingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.times: list[float] = []

    def repeat(self, work: object) -> Repeating:
        repeating = Repeating(self.clock, 2.0, work)  # type: ignore[arg-type]
        repeating.start()
        return repeating

    def test_work_is_done_every_so_many_seconds(self) -> None:
        self.repeat(lambda: self.times.append(self.clock.seconds()))
        self.clock.pump([1.0] * 6)
        assert self.times == [2.0, 4.0, 6.0]

    def test_work_that_raises_is_logged_and_done_again(self) -> None:
        def fail() -> None:
            self.times.append(self.clock.seconds())
            raise ZeroDivisionError

        self.repeat(fail)
        self.clock.pump([2.0] * 3)
        assert self.times == [2.0, 4.0, 6.0]
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 3

    def test_a_coroutine_that_raises_is_logged_and_run_again(self) -> None:
        async def fail() -> None:
            self.times.append(self.clock.seconds())
            raise ZeroDivisionError

        self.repeat(fail)
        self.clock.pump([2.0] * 2)
        assert self.times == [2.0, 4.0]
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 2

    def test_the_next_time_waits_until_a_slow_one_is_done(self) -> None:
        under_way: list[Deferred[None]] = []

        def begin() -> "Deferred[None]":
            under_way.append(Deferred())
            return under_way[-1]

        self.repeat(begin)
        self.clock.pump([2.0] * 3)
        assert len(under_way) == 1
        under_way[0].callback(None)
        self.clock.advance(2.0)
        assert len(under_way) == 2

    def test_once_it_is_stopped_nothing_more_is_done(self) -> None:
        repeating = self.repeat(lambda: self.times.append(self.clock.seconds()))
        self.clock.advance(2.0)
        repeating.stop()
        repeating.stop()
        self.clock.pump([2.0] * 2)
        assert self.times == [2.0]
        assert self.clock.getDelayedCalls() == []
