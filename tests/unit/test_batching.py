"""The batching loop: idle a batch of one, under load everything that gathered; in order, and nothing untold."""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Event
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from imd.batching import Batching

PATIENCE = 10.0
"""Seconds after which a thread that says nothing is given up."""


class Reactor(Clock):
    """A clock that hears from other threads when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def callFromThread(self, call: Callable[..., Any], *args: Any) -> None:
        self._calls.put(lambda: call(*args))

    def hear(self) -> None:
        """Wait for one call from a thread and run it."""
        self._calls.get(timeout=PATIENCE)()

    def turn(self) -> None:
        """Let what was called for now run, time standing still."""
        self.advance(0)


class BatchingTestCase(SynchronousTestCase):
    gap = 0.0

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.batches: list[list[int]] = []
        self.told: list[tuple[list[int], Any]] = []
        self.gate = Event()
        self.gate.set()
        self.started: SimpleQueue[list[int]] = SimpleQueue()
        self.batching: Batching[int, int] = Batching(self.reactor, "test", self.work, self.done, self.failed, self.gap)
        self.batching.start()
        self.addCleanup(self.end)

    def end(self) -> None:
        self.gate.set()
        stopped = self.batching.stop() if self.batching._stopped is None else self.batching._stopped
        while not stopped.called:
            self.reactor.hear()

    def work(self, batch: list[int]) -> int:
        self.started.put(batch)
        if not self.gate.wait(PATIENCE):
            raise TimeoutError
        if 0 in batch:
            raise ZeroDivisionError("a zero in the batch")
        return sum(batch)

    def done(self, batch: list[int], result: int) -> None:
        self.told.append((batch, result))

    def failed(self, batch: list[int], failure: Failure) -> None:
        self.told.append((batch, failure.type))

    def put(self, *items: int) -> None:
        for item in items:
            self.batching.put(item)

    def begun(self) -> list[int]:
        """Return the batch whose work begins next."""
        return self.started.get(timeout=PATIENCE)


class Batches(BatchingTestCase):
    def test_idle_a_batch_is_one_item(self) -> None:
        self.put(7)
        self.reactor.turn()
        self.reactor.hear()
        assert self.told == [([7], 7)]

    def test_all_of_one_turn_is_one_batch(self) -> None:
        self.put(1, 2, 3)
        assert self.started.empty()
        self.reactor.turn()
        self.reactor.hear()
        assert self.told == [([1, 2, 3], 6)]

    def test_what_gathers_while_one_batch_runs_is_the_next(self) -> None:
        self.gate.clear()
        self.put(1)
        self.reactor.turn()
        assert self.begun() == [1]
        self.put(2)
        self.reactor.turn()
        self.put(3)
        self.reactor.turn()
        assert len(self.batching) == 2
        self.gate.set()
        self.reactor.hear()
        assert self.begun() == [2, 3]
        self.reactor.hear()
        assert self.told == [([1], 1), ([2, 3], 5)]

    def test_the_next_batch_begins_before_the_last_is_told_of(self) -> None:
        begun: list[list[int]] = []

        def done(batch: list[int], result: int) -> None:
            if batch == [1]:
                begun.append(self.begun())

        batching: Batching[int, int] = Batching(self.reactor, "other", self.work, done, self.failed)
        batching.start()
        self.gate.clear()
        batching.put(1)
        self.reactor.turn()
        assert self.begun() == [1]
        batching.put(2)
        self.gate.set()
        self.reactor.hear()
        assert begun == [[2]]
        self.reactor.hear()
        batching.stop()

    def test_what_is_put_while_a_batch_is_told_of_is_not_forgotten(self) -> None:
        self.done = lambda batch, result: self.put(2) if batch == [1] else self.told.append((batch, result))  # type: ignore[method-assign]
        batching = self.batching
        batching._done = self.done
        self.put(1)
        self.reactor.turn()
        self.reactor.hear()
        self.reactor.turn()
        self.reactor.hear()
        assert self.told == [([2], 2)]

    def test_its_length_is_what_waits_not_what_runs(self) -> None:
        self.gate.clear()
        self.put(1, 2)
        assert len(self.batching) == 2
        self.reactor.turn()
        assert len(self.batching) == 0

    def test_a_batch_that_fails_is_told_and_the_next_one_runs(self) -> None:
        self.put(1, 0)
        self.reactor.turn()
        self.reactor.hear()
        self.put(5)
        self.reactor.turn()
        self.reactor.hear()
        assert self.told == [([1, 0], ZeroDivisionError), ([5], 5)]

    def test_an_error_while_telling_does_not_stop_the_loop(self) -> None:
        def done(batch: list[int], result: int) -> None:
            raise ZeroDivisionError

        self.batching._done = done
        self.put(1)
        self.reactor.turn()
        self.assertRaises(ZeroDivisionError, self.reactor.hear)
        self.batching._done = self.done
        self.put(2)
        self.reactor.turn()
        self.reactor.hear()
        assert self.told == [([2], 2)]


class Pacing(BatchingTestCase):
    gap = 2.0

    def test_the_first_batch_does_not_wait(self) -> None:
        self.put(1)
        self.reactor.turn()
        assert self.begun() == [1]

    def test_two_batches_begin_at_least_a_gap_apart(self) -> None:
        self.put(1, 2)
        self.reactor.turn()
        self.reactor.hear()
        self.put(3)
        self.reactor.advance(1.9)
        self.put(4)
        assert len(self.batching) == 2
        self.reactor.advance(0.1)
        self.reactor.hear()
        assert self.told == [([1, 2], 3), ([3, 4], 7)]

    def test_the_gap_holds_for_what_gathered_while_a_batch_ran(self) -> None:
        self.gate.clear()
        self.put(1, 2)
        self.reactor.turn()
        self.put(3)
        self.gate.set()
        self.reactor.hear()
        assert len(self.batching) == 1
        self.reactor.advance(2)
        self.reactor.hear()
        assert self.told == [([1, 2], 3), ([3], 3)]

    def test_a_batch_of_one_is_followed_at_once(self) -> None:
        self.put(1)
        self.reactor.turn()
        self.reactor.hear()
        self.put(2)
        self.reactor.turn()
        self.reactor.hear()
        assert self.told == [([1], 1), ([2], 2)]

    def test_a_batch_that_ran_longer_than_the_gap_is_followed_at_once(self) -> None:
        self.gate.clear()
        self.put(1, 2)
        self.reactor.turn()
        self.put(3)
        self.reactor.advance(5)
        self.gate.set()
        self.reactor.hear()
        assert len(self.batching) == 0
        self.reactor.hear()
        assert self.told == [([1, 2], 3), ([3], 3)]

    def test_a_clock_that_is_set_back_holds_nothing_up(self) -> None:
        self.put(1)
        self.reactor.turn()
        self.reactor.hear()
        self.reactor.rightNow -= 3600
        self.put(2)
        self.reactor.advance(2)
        assert len(self.batching) == 0

    def test_after_a_pause_nothing_waits(self) -> None:
        self.put(1)
        self.reactor.turn()
        self.reactor.hear()
        self.reactor.advance(60)
        self.put(2)
        self.reactor.turn()
        assert len(self.batching) == 0


class Stopping(BatchingTestCase):
    gap = 2.0

    def stop(self) -> "Deferred[None]":
        return self.batching.stop()

    def test_an_idle_loop_stops_at_once(self) -> None:
        assert self.stop().called

    def test_what_waits_is_run_and_told_of_before_the_stop_is(self) -> None:
        self.gate.clear()
        self.put(1)
        self.reactor.turn()
        self.put(2, 3)
        stopped = self.stop()
        assert not stopped.called
        self.gate.set()
        self.reactor.hear()
        assert not stopped.called
        self.reactor.hear()
        assert stopped.called
        assert self.told == [([1], 1), ([2, 3], 5)]

    def test_a_stop_waits_for_no_gap(self) -> None:
        self.put(1)
        self.reactor.turn()
        self.reactor.hear()
        self.put(2)
        stopped = self.stop()
        self.reactor.hear()
        assert stopped.called
        assert self.told == [([1], 1), ([2], 2)]
        self.reactor.advance(10)

    def test_a_stop_in_the_turn_of_a_put_loses_nothing(self) -> None:
        self.put(1)
        stopped = self.stop()
        self.reactor.turn()
        self.reactor.hear()
        assert stopped.called
        assert self.told == [([1], 1)]

    def test_what_the_last_outcome_brings_about_is_run_too(self) -> None:
        self.batching._done = lambda batch, result: self.put(2) if batch == [1] else self.told.append((batch, result))
        self.put(1)
        stopped = self.stop()
        self.reactor.hear()
        assert not stopped.called
        self.reactor.hear()
        assert stopped.called
        assert self.told == [([2], 2)]

    def test_a_failing_batch_does_not_hold_up_the_stop(self) -> None:
        self.put(0)
        stopped = self.stop()
        self.reactor.hear()
        assert stopped.called
        assert self.told == [([0], ZeroDivisionError)]

    def test_the_thread_has_ended(self) -> None:
        thread = self.batching._thread
        assert thread is not None
        assert thread.is_alive()
        self.stop()
        assert not thread.is_alive()
