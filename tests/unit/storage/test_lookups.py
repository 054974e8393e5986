"""Look-ups: what gathers is read at once, and everybody learns what became of it."""

from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imd.errors import UnavailableError
from imd.storage import lookups
from imd.storage.lookups import Lookups


class LookupsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[list[int]] = []
        self.reads: list[Deferred[Mapping[int, str]]] = []
        self.lookups: Lookups[str] = Lookups(self.clock, self.read, gap=0.5)

    async def read(self, numbers: Sequence[int]) -> Mapping[int, str]:
        self.asked.append(sorted(numbers))
        self.reads.append(Deferred())
        return await self.reads[-1]

    def answer(self, *numbers: int) -> None:
        self.reads.pop(0).callback({number: f"v{number}" for number in numbers})

    def test_what_one_turn_asks_for_is_read_at_once(self) -> None:
        found = [self.lookups.find(number) for number in (1, 2, 1, 3)]
        assert self.asked == []
        self.clock.advance(0)
        assert self.asked == [[1, 2, 3]]
        self.answer(1, 3)
        assert [self.successResultOf(each) for each in found] == ["v1", None, "v1", "v3"]

    def test_what_is_asked_for_while_a_read_runs_is_in_the_next(self) -> None:
        first = self.lookups.find(1)
        self.clock.advance(0)
        later = [self.lookups.find(1), self.lookups.find(2)]
        assert self.asked == [[1]]
        self.answer(1)
        assert self.successResultOf(first) == "v1"
        self.clock.advance(0)
        assert self.asked == [[1], [1, 2]]
        self.assertNoResult(later[0])
        self.answer(2)
        assert [self.successResultOf(each) for each in later] == [None, "v2"]

    def test_a_read_that_fails_fails_for_those_it_was_for_alone(self) -> None:
        first = self.lookups.find(1)
        self.clock.advance(0)
        later = self.lookups.find(2)
        self.reads.pop(0).errback(UnavailableError("the store is away"))
        self.failureResultOf(first, UnavailableError)
        self.clock.advance(0)
        self.answer(2)
        assert self.successResultOf(later) == "v2"
        again = self.lookups.find(1)
        self.clock.advance(0)
        self.answer(1)
        assert self.successResultOf(again) == "v1"

    def test_one_read_is_for_so_many(self) -> None:
        self.patch(lookups, "MAX_IN_ONE", 2)
        found = [self.lookups.find(number) for number in range(1, 6)]
        self.clock.advance(0)
        while self.reads:
            self.answer(*range(1, 6))
            self.clock.advance(0.5)
        assert self.asked == [[1, 2], [3, 4], [5]]
        assert [self.successResultOf(each) for each in found] == ["v1", "v2", "v3", "v4", "v5"]

    def test_after_one_for_several_the_next_waits_a_little_and_gathers(self) -> None:
        several = [self.lookups.find(number) for number in (1, 2)]
        self.clock.advance(0)
        self.answer(1, 2)
        later = [self.lookups.find(3)]
        self.clock.advance(0.3)
        later.append(self.lookups.find(4))
        assert self.asked == [[1, 2]]
        self.clock.advance(0.2)
        assert self.asked == [[1, 2], [3, 4]]
        self.answer(3)
        assert [self.successResultOf(each) for each in several + later] == ["v1", "v2", "v3", None]

    def test_one_alone_waits_for_nothing(self) -> None:
        for _ in range(3):
            found = self.lookups.find(1)
            self.clock.advance(0)
            self.answer(1)
            assert self.successResultOf(found) == "v1"
