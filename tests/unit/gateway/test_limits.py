"""The token bucket."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imd.gateway.limits import TokenBucket


class TokenBuckets(SynchronousTestCase):
    def test_a_full_bucket_gives_its_burst_and_no_more(self) -> None:
        bucket = TokenBucket(rate=10, burst=20, now=100)
        assert [bucket.take(1, 100) for _ in range(21)] == [True] * 20 + [False]

    def test_it_fills_at_its_rate(self) -> None:
        bucket = TokenBucket(rate=10, burst=20, now=100)
        assert bucket.take(20, 100)
        assert not bucket.take(6, 100.5)
        assert bucket.take(5, 100.5)
        assert not bucket.take(1, 100.5)

    def test_it_never_holds_more_than_its_burst(self) -> None:
        bucket = TokenBucket(rate=10, burst=20, now=0)
        assert bucket.take(20, 0)
        assert not bucket.take(21, 1_000_000)
        assert bucket.take(20, 1_000_000)

    def test_what_it_refuses_costs_nothing(self) -> None:
        bucket = TokenBucket(rate=10, burst=20, now=0)
        assert not bucket.take(21, 0)
        assert bucket.take(20, 0)

    @given(st.lists(st.tuples(st.floats(0, 2), st.floats(0.1, 5)), max_size=60))
    def test_in_any_stretch_it_gives_at_most_the_burst_and_the_rate(self, asks: list[tuple[float, float]]) -> None:
        bucket = TokenBucket(rate=3, burst=6, now=0)
        now = given_out = 0.0
        for pause, amount in asks:
            now += pause
            if bucket.take(amount, now):
                given_out += amount
        assert given_out <= 6 + 3 * now + 1e-6
