"""Retention: messages past an age go in the background, in steps that leave the store to the senders."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from imd.errors import RefusedError
from imd.ports.retention import IRetentionStore

Value = TypeVar("Value")

GROUPS_PER_LOOK = 200
"""Groups that are looked at together for messages that are too old."""

LONGEST_PAUSE = 60.0
"""Seconds between two steps at most, should the clock be set, and after one that failed."""


class Retention:
    """Walks through all groups, round after round, and drops what is too old, one step at a time.

    ``max_age_ms`` 0 keeps everything, ``step`` is how many messages go at once at most. After each step it waits
    ``factor`` times as long as that took, ``pause`` (seconds) at least, and ``rest`` (seconds) after a whole round.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        store: IRetentionStore,
        now: Callable[[], int],
        *,
        max_age_ms: int,
        step: int = 200,
        pause: float = 0.02,
        factor: float = 4.0,
        rest: float = 3600.0,
    ) -> None:
        self._clock = clock
        self._store = store
        self._now = now
        self._max_age_ms = max_age_ms
        self._step = step
        self._pause = pause
        self._factor = factor
        self._rest = rest
        self._is_failing = False
        self._running: Deferred[None] | None = None

    def start(self) -> None:
        """Begin, unless everything is kept."""
        if self._max_age_ms:
            self._running = Deferred.fromCoroutine(self._run())
            self._running.addErrback(lambda failure: failure.trap(CancelledError))

    def stop(self) -> None:
        """End; a step under way is still finished by the store."""
        if self._running is not None:
            self._running.cancel()
            self._running = None

    async def _run(self) -> None:
        while True:
            await self._round()
            await deferLater(self._clock, self._rest)

    async def _round(self) -> None:
        began, before = self._clock.seconds(), self._now() - self._max_age_ms
        groups = messages = 0
        cursor: str | None = ""
        while cursor is not None:
            page = await self._paced(self._store.aged_groups(cursor, before, GROUPS_PER_LOOK))
            if page is None:
                continue
            for group_id in page.group_ids:
                if dropped := await self._drop(group_id, before):
                    groups += 1
                    messages += dropped
            cursor = page.cursor or None
        if messages:
            self._log.info(
                "retention deleted {messages} messages of {groups} groups in {seconds:.0f} s",
                messages=messages,
                groups=groups,
                seconds=self._clock.seconds() - began,
            )

    async def _drop(self, group_id: str, before: int) -> int:
        """Return how many messages went; after an error the rest have their turn in the next round."""
        messages = 0
        while dropped := await self._paced(self._store.drop_messages(group_id, before, self._step)):
            messages += dropped
        return messages

    async def _paced(self, work: Awaitable[Value]) -> Value | None:
        """Return what a step returns, None where it fails, after a pause that leaves the store to others."""
        began = self._clock.seconds()
        try:
            value = await work
        except CancelledError:
            raise
        except Exception as error:
            self._note_failure(error)
            await deferLater(self._clock, LONGEST_PAUSE)
            return None
        self._is_failing = False
        pause = max(self._pause, self._factor * (self._clock.seconds() - began))
        await deferLater(self._clock, min(pause, LONGEST_PAUSE))
        return value

    def _note_failure(self, error: Exception) -> None:
        if self._is_failing:  # said once, not of every step while the store is away
            return
        self._is_failing = True
        if isinstance(error, RefusedError):
            self._log.warn("retention could not go on and tries again later: {reason}", reason=error)
        else:
            self._log.failure("retention could not go on and tries again later")
