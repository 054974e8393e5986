"""What was verified lately, so that a client that comes back at once costs the login system nothing."""

import os
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b

import msgspec

from imd.model import Identity
from imd.ports.sso import LoginAttempt

MAX_KEPT = 50_000


class Verified:
    """Identities by a keyed hash of what was verified, each for ``seconds`` and never past its end.

    ``now`` gives seconds since the epoch. At most ``limit`` are kept, the newest.
    """

    def __init__(self, seconds: float, now: Callable[[], float], limit: int = MAX_KEPT) -> None:
        self._seconds = seconds
        self._now = now
        self._limit = limit
        self._secret = os.urandom(32)
        self._kept: OrderedDict[bytes, tuple[float, Identity]] = OrderedDict()

    def get(self, attempt: LoginAttempt) -> Identity | None:
        """Return what was verified of the same attempt."""
        found = self._kept.get(self._key(attempt)) if self._kept else None
        return found[1] if found is not None and self._now() < found[0] else None

    def put(self, attempt: LoginAttempt, identity: Identity) -> None:
        """Keep what was verified."""
        if not self._seconds:
            return
        until = self._now() + self._seconds
        key = self._key(attempt)
        self._kept[key] = (min(until, identity.expires) if identity.expires else until, identity)
        self._kept.move_to_end(key)
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)

    def _key(self, attempt: LoginAttempt) -> bytes:
        # All that the login system is told, for it may judge by any of it.
        told = (attempt.uid, attempt.token, attempt.device_id, attempt.client_type, attempt.app_id)
        return blake2b(msgspec.msgpack.encode(told), digest_size=32, key=self._secret).digest()
