"""Doing something seldom, however often it is asked for."""

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from imd.cli.chat.pace import Pace, in_background
from imd.client.errors import ClosedError, ResultError


class PaceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = MemoryReactorClock()
        self.clock.advance(100)
        self.runs: list[float] = []

    async def run_(self) -> None:
        self.runs.append(self.clock.seconds() - 100)

    def ask_for(self, pace: Pace, seconds: int) -> list[float]:
        """Ask for a run each second, and return when there was one."""
        for _ in range(seconds):
            pace.soon()
            self.clock.advance(1)
        runs, self.runs = self.runs, []
        return runs

    def test_it_runs_once_for_all_the_times_it_was_asked(self) -> None:
        assert self.ask_for(Pace(self.clock, 3, self.run_), 10) == [3, 6, 9]

    def test_with_a_factor_it_runs_ever_more_seldom_until_reset(self) -> None:
        pace = Pace(self.clock, 1, self.run_, factor=2)
        assert self.ask_for(pace, 20) == [1, 2, 4, 8, 16]
        pace.reset()
        assert self.ask_for(pace, 4) == [21, 22, 24]

    def test_a_reset_lets_what_was_asked_for_come_soon(self) -> None:
        pace = Pace(self.clock, 1, self.run_, factor=2)
        self.ask_for(pace, 9)
        pace.reset()
        self.clock.advance(1)
        assert self.runs == [10]

    def test_what_was_not_asked_for_does_not_come(self) -> None:
        pace = Pace(self.clock, 1, self.run_)
        pace.reset()
        assert pace.stop() is False
        pace.soon()
        assert pace.stop() is True
        self.clock.advance(60)
        assert self.runs == []


class InBackgroundTests(SynchronousTestCase):
    async def fail_with(self, error: Exception) -> None:
        raise error

    def test_a_refusal_or_a_connection_that_ends_is_passed_over(self) -> None:
        for error in (ResultError(6, "no"), ClosedError("gone")):
            self.successResultOf(in_background(self.fail_with(error)))

    def test_any_other_error_is_not(self) -> None:
        self.failureResultOf(in_background(self.fail_with(KeyError("x"))), KeyError)
