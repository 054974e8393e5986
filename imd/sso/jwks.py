"""The keys that a login system publishes as a JSON Web Key Set (RFC 7517), fetched when needed and kept."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from imd.errors import AuthFailedError, UnavailableError
from imd.fetch import Fetch, FetchError, within
from imd.sso.keys import Key, key_of_set

MAX_BODY = 256 * 1024
MAX_KEYS = 64
PAUSE = 5.0
"""Seconds between two fetches, whatever keys tokens name and whatever the first came to."""


_AWAY = "the login system's keys can't be fetched; try again later"


class _Set(msgspec.Struct):
    keys: list[Any]


class KeySet:
    """The keys at the address of ``fetch``; a key stays until a newer set is without it.

    They are fetched again once they are ``max_age`` seconds old, and when a token names one that is not among them, but
    at least ``pause`` seconds after the last time. Empty, ``algorithm`` is what each key says or its type has.
    """

    _log = Logger(namespace="imd.sso")

    def __init__(
        self,
        clock: IReactorTime,
        fetch: Fetch,
        *,
        algorithm: str = "",
        max_age: float = 300.0,
        timeout: float = 3.0,
        pause: float = PAUSE,
    ) -> None:
        self._clock = clock
        self._fetch = fetch
        self._algorithm = algorithm
        self._max_age = max_age
        self._timeout = timeout
        self._pause = pause
        self._keys: Mapping[str, Key] = {}
        self._fetched: float | None = None
        self._asked = -pause
        self._waiting: list[Deferred[None]] | None = None
        self._is_failing = False

    async def find(self, kid: str) -> Key:
        """Return the key that a token names; where it names none, the only one there is.

        Raises AuthFailedError where the set has no such key, UnavailableError where that is not known.
        """
        is_new = self._fetched is None
        if self._fetched is None:
            await self._refresh()
        elif self._clock.seconds() - self._fetched >= self._max_age and self._waiting is None:
            # What is known goes on meanwhile, also where the set can't be had.
            Deferred.fromCoroutine(self._refresh()).addErrback(lambda failure: failure.trap(UnavailableError))
        key = self._look(kid)
        if key is None and kid and not is_new:
            await self._refresh()
            key = self._look(kid)
        if key is None:
            raise AuthFailedError(
                "the token's key (kid) is not among those that the login system publishes"
                if kid or not self._keys
                else "the token names no key (kid), and the login system publishes several"
            )
        return key

    def close(self) -> None:
        """Close the connections."""
        self._fetch.close()

    def _look(self, kid: str) -> Key | None:
        if not kid and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    async def _refresh(self) -> None:
        """Fetch the set, or wait for who does. Raises UnavailableError where it can't be had, or not yet again."""
        if self._waiting is not None:
            waiter: Deferred[None] = Deferred()
            self._waiting.append(waiter)
            await waiter
            return
        if 0 <= self._clock.seconds() - self._asked < self._pause:
            raise UnavailableError("the login system's keys were asked for just now; try again in a few seconds")
        self._asked, self._waiting = self._clock.seconds(), []
        try:
            self._keys = await within(self._clock, self._timeout, self._get())
            self._fetched, self._is_failing = self._clock.seconds(), False
        except Exception as error:
            self._note_failure(error)
            for waiter in self._told():
                waiter.errback(UnavailableError(_AWAY))
            raise UnavailableError(_AWAY) from None
        for waiter in self._told():
            waiter.callback(None)

    def _told(self) -> list[Deferred[None]]:
        """Return who waits for the set; from here on nobody does."""
        waiting, self._waiting = self._waiting or [], None
        return waiting

    def _note_failure(self, error: Exception) -> None:
        if not isinstance(error, FetchError):
            self._log.failure("the keys of {host} could not be read", host=self._fetch.host)
        elif not self._is_failing:
            self._log.warn("the keys of {host} can't be fetched: {reason}", host=self._fetch.host, reason=error)
        self._is_failing = True

    async def _get(self) -> Mapping[str, Key]:
        jwks = (await self._fetch.get()).json(_Set).keys
        if len(jwks) > MAX_KEYS:
            raise FetchError(f"it has {len(jwks)} keys, and more than {MAX_KEYS} are not looked at")
        return self._usable(jwks)

    def _usable(self, jwks: Sequence[Any]) -> Mapping[str, Key]:
        keys: dict[str, Key] = {}
        for number, jwk in enumerate(jwks, 1):
            try:
                key = key_of_set(jwk, self._algorithm)
            except ValueError as error:
                self._log.debug("key {number} of the login system {reason}", number=number, reason=error)
                continue
            keys.setdefault(key.kid, key)
        if not keys:
            self._log.warn("none of the {n} keys of {host} can be used", n=len(jwks), host=self._fetch.host)
        return keys
