"""The load's loop: what is due is done, and waiting ends."""

from functools import partial
from itertools import count
from time import monotonic

from twisted.trial.unittest import SynchronousTestCase

from imd.cli.bench.load import Loop, Target


class LoopTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.loop = Loop(Target("127.0.0.1", 1, 0, b"", 1, 1))
        self.addCleanup(self.loop.close)
        self.done: list[str] = []
        self.looks = count()

    def test_a_turn_makes_the_calls_that_are_due_in_their_order(self) -> None:
        now = monotonic()
        for due, what in ((now - 1, "second"), (now - 2, "first"), (now - 1, "third"), (now + 3600, "never")):
            self.loop.at(due, partial(self.done.append, what))
        self.loop.turn(0.0)
        assert self.done == ["first", "second", "third"]

    def test_a_call_is_made_once(self) -> None:
        self.loop.at(monotonic() - 1, partial(self.done.append, "once"))
        self.loop.turn(0.0)
        self.loop.turn(0.0)
        assert self.done == ["once"]

    def test_waiting_ends_with_what_is_settled(self) -> None:
        numbers = count()
        self.loop.at(monotonic(), partial(self.done.append, "settled"))
        self.loop.wait_while_rising(lambda: next(numbers), lambda: bool(self.done), 3600.0)
        assert self.done == ["settled"]

    def test_waiting_goes_on_while_the_number_rises(self) -> None:
        numbers = count()
        self.loop.wait_while_rising(lambda: next(numbers), lambda: next(self.looks) == 5, 0.12)
        assert next(self.looks) == 6

    def test_waiting_ends_where_nothing_rises(self) -> None:
        self.loop.wait_while_rising(lambda: 7, lambda: False, 0.0)
