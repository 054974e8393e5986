"""API keys: what is told of one that is wrong, for how long one is trusted, and how often one may ask."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from imd.errors import ForbiddenError, UnavailableError
from imd.http.auth import GUESSES_PER_SECOND, STALE_SECONDS, Caller, Keys, is_key, new_key
from imd.http.problems import HttpError
from imd.http.scopes import Scope
from imd.ports.apikeys import ApiKey, IApiKeyStore

NOW = 1_763_856_000_000


@implementer(IApiKeyStore)
class KeyStore:
    def __init__(self) -> None:
        self.keys: dict[str, ApiKey] = {}
        self.asked: list[str] = []
        self.is_away = False

    async def api_keys(self, prefixes: Sequence[str]) -> Sequence[ApiKey]:
        self.asked += prefixes
        if self.is_away:
            raise UnavailableError("away")
        return [self.keys[prefix] for prefix in prefixes if prefix in self.keys]


class KeysTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.store = KeyStore()
        self.keys = Keys(self.store, self.clock.seconds, lambda: NOW + int(self.clock.seconds() * 1000), 10)
        self.bytes = iter(range(256))
        self.key = self.make()

    def make(self, *scopes: str, expires: int = 0, per_second: int = 0) -> str:
        def random(size: int) -> bytes:
            return bytes([next(self.bytes)]) * size

        key, kept = new_key(random, "shop", scopes or ("notices",), NOW, expires, per_second)
        self.store.keys[kept.prefix] = kept
        return key

    def check(self, key: str, host: str = "127.0.0.1") -> Caller:
        caller: Caller = self.successResultOf(Deferred.fromCoroutine(self.keys.check(f"Bearer {key}", host)))
        return caller

    def status(self, key: str, host: str = "127.0.0.1", kind: type[Any] = HttpError) -> int:
        """Return what a key is refused with."""
        failure = self.failureResultOf(Deferred.fromCoroutine(self.keys.check(f"Bearer {key}", host)), kind)
        return int(getattr(failure.value, "status", 503))

    def test_a_key_says_who_asks_and_what_they_may(self) -> None:
        caller = self.check(self.key)
        assert caller == Caller("shop", self.key.split("_")[1], frozenset({"notices"}))
        caller.check(Scope.NOTICES)
        caller.check(None)
        with self.assertRaises(ForbiddenError):
            caller.check(Scope.TOKENS)

    def test_only_a_hash_is_kept(self) -> None:
        [kept] = self.store.keys.values()
        assert self.key.split("_")[2] not in repr(kept)
        assert len(kept.digest) == 64

    def test_what_is_no_key_is_not_looked_up(self) -> None:
        for header in ("", "x", self.key[:-1], self.key + "0", self.key.replace("imd_", "imx_"), f" {self.key}"):
            assert self.status(header) == 401
            assert not is_key(f"Bearer {header}")
        assert self.store.asked == []
        assert is_key(f"Bearer {self.key}")
        assert is_key(f"bearer {self.key}")

    def test_another_secret_is_refused_as_an_unknown_key_is(self) -> None:
        prefix = self.key.split("_")[1]
        assert self.status(f"imd_{prefix}_{'0' * 64}") == 401
        assert self.status(f"imd_{'9' * 16}_{'0' * 64}") == 401

    def test_what_was_read_is_trusted_for_a_while_and_then_read_again(self) -> None:
        self.check(self.key)
        prefix = self.key.split("_")[1]
        self.store.keys[prefix] = self.store.keys[prefix]._replace(revoked=NOW)
        self.clock.advance(STALE_SECONDS - 0.01)
        self.check(self.key)
        assert self.store.asked == [prefix]
        self.clock.advance(0.01)
        assert self.status(self.key) == 401

    def test_a_key_ends_when_its_time_is_over_whatever_was_read(self) -> None:
        key = self.make(expires=NOW + 1000)
        self.check(key)
        self.clock.advance(1)
        assert self.status(key) == 401

    def test_a_store_that_is_away_lets_nobody_in(self) -> None:
        self.store.is_away = True
        assert self.status(self.key, kind=UnavailableError) == 503

    def test_a_key_asks_as_often_as_it_may(self) -> None:
        for key, rate in ((self.key, 10), (self.make(per_second=3), 3)):
            for _ in range(2 * rate):
                self.check(key)
            assert self.status(key) == 429
            self.clock.advance(1)
            for _ in range(rate):
                self.check(key)
            assert self.status(key) == 429

    def test_reading_a_key_anew_gives_it_no_more(self) -> None:
        for _ in range(20):
            self.check(self.key)
        self.clock.advance(0)
        self.keys._known[self.key.split("_")[1]].read -= STALE_SECONDS
        assert self.status(self.key) == 429

    def test_guesses_are_few_and_do_not_keep_others_out(self) -> None:
        self.check(self.key)
        statuses = [self.status(f"imd_{n:016x}_{'0' * 64}") for n in range(int(3 * GUESSES_PER_SECOND))]
        assert statuses[0] == 401
        assert statuses[-1] == 429
        assert len(self.store.asked) <= 2 * GUESSES_PER_SECOND + 1
        self.clock.advance(STALE_SECONDS)
        for n in range(int(5 * GUESSES_PER_SECOND)):
            self.status(f"imd_{n + 1000:016x}_{'0' * 64}")
        self.check(self.key)
        assert self.status(f"imd_{7:016x}_{'0' * 64}", "10.0.0.1") == 401
