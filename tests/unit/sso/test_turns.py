"""Turns: so many at once, the others in order, and nobody forgotten."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from imd.sso.turns import Turns


class TurnsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.turns = Turns(2)
        self.told: list[int] = []

    def take(self, number: int) -> "Deferred[None]":
        return self.turns.take().addCallback(lambda _: self.told.append(number))

    def test_so_many_have_their_turn_and_the_others_wait_in_order(self) -> None:
        for number in range(5):
            self.take(number)
        assert (self.told, self.turns.waiting) == ([0, 1], 3)
        self.turns.give_back()
        self.turns.give_back()
        assert (self.told, self.turns.waiting) == ([0, 1, 2, 3], 1)

    def test_who_gives_up_waiting_is_passed_over(self) -> None:
        waiting = [self.take(number) for number in range(4)]
        waiting[2].cancel()
        self.failureResultOf(waiting[2], CancelledError)
        self.turns.give_back()
        assert self.told == [0, 1, 3]

    def test_very_many_who_end_at_once_are_no_recursion(self) -> None:
        ended: list[int] = []

        async def visit(number: int) -> None:
            await self.turns.take()
            try:
                ended.append(number)
            finally:
                self.turns.give_back()

        self.take(0), self.take(1)
        for number in range(20_000):
            Deferred.fromCoroutine(visit(number))
        self.turns.give_back()
        assert ended == list(range(20_000))
