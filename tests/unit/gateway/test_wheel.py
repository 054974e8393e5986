"""The wheel: nobody expires early, nobody later than two ticks, and one timer serves all."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imd.gateway.wheel import Wheel


class Lamp:
    """Goes out at its deadline."""

    def __init__(self, clock: Clock, ends: float) -> None:
        self.slot = 0
        self.ends = ends
        self.out: list[float] = []
        self._clock = clock

    def deadline(self) -> float:
        return self.ends

    def expire(self) -> None:
        self.out.append(self._clock.seconds())


class WheelTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.wheel = Wheel(self.clock, 1.0)
        self.wheel.start()

    def run_until(self, seconds: float) -> None:
        while self.clock.seconds() < seconds:
            self.clock.advance(0.25)

    def lamp(self, ends: float) -> Lamp:
        lamp = Lamp(self.clock, ends)
        self.wheel.watch(lamp)
        return lamp

    def test_it_expires_once_after_its_deadline_and_within_two_ticks(self) -> None:
        lamps = [self.lamp(ends) for ends in (0.0, 0.1, 1.0, 2.5, 9.99)]
        self.run_until(30)
        for lamp in lamps:
            (out,) = lamp.out
            assert lamp.ends <= out <= lamp.ends + 2

    def test_a_deadline_that_moves_on_is_followed_without_a_word(self) -> None:
        lamp = self.lamp(5)
        for seconds in range(1, 20):
            self.run_until(seconds)
            lamp.ends = seconds + 5
        assert lamp.out == []
        self.run_until(40)
        assert len(lamp.out) == 1

    def test_a_deadline_that_comes_nearer_is_followed_when_it_is_watched_again(self) -> None:
        lamp = self.lamp(100)
        lamp.ends = 3
        self.wheel.watch(lamp)
        self.run_until(200)
        assert len(lamp.out) == 1
        assert lamp.out[0] <= 5

    def test_what_is_forgotten_does_not_expire(self) -> None:
        lamp = self.lamp(3)
        self.wheel.forget(lamp)
        self.wheel.forget(lamp)
        self.run_until(10)
        assert lamp.out == []

    def test_all_of_them_share_one_timer(self) -> None:
        for ends in range(100):
            self.lamp(ends)
        assert len(self.clock.getDelayedCalls()) == 1

    def test_a_clock_that_jumps_ahead_leaves_nobody_behind(self) -> None:
        lamps = [self.lamp(ends) for ends in (2, 20, 200)]
        self.clock.advance(1000)
        assert [len(lamp.out) for lamp in lamps] == [1, 1, 1]

    def test_a_stopped_wheel_stands_still(self) -> None:
        lamp = self.lamp(3)
        self.wheel.stop()
        self.wheel.stop()
        self.clock.advance(100)
        assert lamp.out == []
        assert self.clock.getDelayedCalls() == []

    @settings(max_examples=50)
    @given(st.lists(st.floats(0, 20), max_size=8), st.sampled_from([0.1, 0.3, 1.0]))
    def test_no_deadline_is_missed_at_any_resolution(self, ends: list[float], tick: float) -> None:
        clock = Clock()
        wheel = Wheel(clock, tick)
        wheel.start()
        lamps = [Lamp(clock, at) for at in ends]
        for lamp in lamps:
            wheel.watch(lamp)
        while clock.seconds() < 22:
            clock.advance(tick)
        for lamp in lamps:
            (out,) = lamp.out
            assert lamp.ends <= out <= lamp.ends + 2 * tick + 1e-6
