"""API keys: who asks, and whether they may."""

import hmac
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus

from imd.errors import ForbiddenError
from imd.gateway.limits import TokenBucket
from imd.http.problems import HttpError
from imd.http.scopes import Scope
from imd.ports.apikeys import ApiKey, IApiKeyStore

STALE_SECONDS = 3.0
"""How long a node goes on with what it has read of a key: so late a revocation is everywhere."""

MAX_KEYS = 10_000
"""Keys and false ones that are remembered."""

MAX_HOSTS = 10_000
GUESSES_PER_SECOND = 20.0
"""Keys that are not known yet and may be looked up, of one address."""

_FORM = re.compile(r"Bearer (imd_([0-9a-f]{16})_[0-9a-f]{64})", re.IGNORECASE)
_PREFIX_BYTES, _SECRET_BYTES = 8, 32
_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="imd"'),)
_NOBODY = "0" * 64


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the key's name and prefix, and what it may."""

    name: str
    prefix: str
    scopes: frozenset[str]

    def check(self, scope: Scope | None) -> None:
        """Raise ForbiddenError where the key has no right to ``scope``."""
        if scope is not None and scope not in self.scopes:
            raise ForbiddenError(f"this key may not do that: it lacks the scope {scope.value}")


def new_key(
    random: Callable[[int], bytes], name: str, scopes: Sequence[str], now: int, expires: int, per_second: int
) -> tuple[str, ApiKey]:
    """Return a new key as its owner has it, once, and as it is kept; times in ms."""
    prefix = random(_PREFIX_BYTES).hex()
    key = f"imd_{prefix}_{random(_SECRET_BYTES).hex()}"
    return key, ApiKey(prefix, _digest(key), name, tuple(scopes), per_second, now, expires)


def is_key(header: str) -> bool:
    """Whether the value of an Authorization header has the form of a key."""
    return _FORM.fullmatch(header) is not None


@dataclass(slots=True)
class _Known:
    """What was read of a prefix, when (the clock's seconds), and how much the key may ask now."""

    key: ApiKey | None
    read: float
    bucket: TokenBucket


class Keys:
    """Checks keys against the store, which is asked again for each after STALE_SECONDS.

    ``per_second`` is how many requests a key may make here that has no rate of its own. ``seconds`` gives the
    reactor's, ``now`` milliseconds since the epoch.
    """

    def __init__(
        self, store: IApiKeyStore, seconds: Callable[[], float], now: Callable[[], int], per_second: float
    ) -> None:
        self._store = store
        self._seconds = seconds
        self._now = now
        self._per_second = per_second
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._guesses: dict[str, TokenBucket] = {}

    async def check(self, header: str, host: str) -> Caller:
        """Return whose key the Authorization header holds, which came from the address ``host``.

        Raises HttpError (401, 429) and UnavailableError.
        """
        form = _FORM.fullmatch(header)
        if form is None:
            raise _refusal("expected a key: Authorization: Bearer imd_…, as imctl apikey create prints it")
        key, prefix = form[1].lower(), form[2].lower()
        known = self._known.get(prefix)
        if known is None or self._seconds() - known.read >= STALE_SECONDS:
            known = await self._look_up(prefix, host)
        found = known.key
        # Compared in any case, so that time tells nothing.
        is_right = hmac.compare_digest(_digest(key), found.digest if found is not None else _NOBODY)
        if found is None or not is_right or found.revoked or 0 < found.expires <= self._now():
            raise _refusal("this key is unknown, was revoked, or has expired")
        if not known.bucket.take(1.0, self._seconds()):
            raise HttpError(
                HTTPStatus.TOO_MANY_REQUESTS, "this key asks more often than it may", (("Retry-After", "1"),)
            )
        return Caller(found.name, prefix, frozenset(found.scopes))

    async def _look_up(self, prefix: str, host: str) -> _Known:
        before = self._known.get(prefix)
        if (before is None or before.key is None) and not self._may_guess(host):
            raise HttpError(
                HTTPStatus.TOO_MANY_REQUESTS, "too many unknown keys from this address", (("Retry-After", "1"),)
            )
        read = self._seconds()
        found = next(iter(await self._store.api_keys([prefix])), None)
        rate = float(found.per_second or self._per_second) if found is not None else 1.0
        same = before is not None and (before.key is None) == (found is None)
        bucket = before.bucket if before is not None and same else TokenBucket(rate, 2 * rate, read)
        known = self._known[prefix] = _Known(found, read, bucket)
        self._known.move_to_end(prefix)
        if len(self._known) > MAX_KEYS:
            self._known.popitem(last=False)
        return known

    def _may_guess(self, host: str) -> bool:
        now = self._seconds()
        bucket = self._guesses.get(host)
        if bucket is None:
            if len(self._guesses) >= MAX_HOSTS:
                self._guesses.clear()
            bucket = self._guesses[host] = TokenBucket(GUESSES_PER_SECOND, 2 * GUESSES_PER_SECOND, now)
        return bucket.take(1.0, now)


def _digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()


def _refusal(detail: str) -> HttpError:
    return HttpError(HTTPStatus.UNAUTHORIZED, detail, _CHALLENGE)
