"""Gaps: what is missing between two seqs is fetched by both ends, and shown in order.

The rows of the local store are the truth: what has no row is missing. So a gap needs no list of its own, it survives
the application, and however much is missing, no more than one page of it is in memory.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from imd.client import messages
from imd.client.errors import MAY_PASS, ClientError, ClosedError, ResultError
from imd.client.keeping import PAGE, Keeper
from imd.client.settings import Settings
from imd.client.store import Store
from imd.client.streams import Stream, Streams
from imd.client.values import Conversation


class Gaps:
    """Fills gaps, ``Settings.pulls`` at once, each asked for once however often it is noticed."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, store: Store, streams: Streams, keeper: Keeper, settings: Settings) -> None:
        self._clock = clock
        self._store = store
        self._streams = streams
        self._keeper = keeper
        self._settings = settings
        self._waiting: deque[Stream] = deque()
        self._running = 0
        self._interrupted: set[Stream] = set()
        self._timers: dict[Stream, IDelayedCall] = {}
        self._is_open = False

    def open(self) -> None:
        """Begin, with what was not shown or fetched the last time."""
        self._is_open = True
        self._interrupted.update(stream for stream in self._streams.values() if stream.is_behind)

    def known(self, stream: Stream, seq_id: int) -> None:
        """Take in that a conversation goes up to a seq, and fill what is missing."""
        stream.known = max(stream.known, seq_id)
        self.fill(stream)

    def learn(self, told: Iterable[Conversation]) -> None:
        """Take in how far conversations go, and fill what is missing."""
        for stream in self._streams.learn(told):
            self.fill(stream)

    def fill(self, stream: Stream) -> None:
        """Fetch and show what is missing, unless that is under way."""
        if not stream.is_filling and stream.is_behind and self._is_open:
            stream.is_filling = True
            self._waiting.append(stream)
            self._next()

    def hold(self, stream: Stream) -> bool:
        """Keep a stream from being filled until ``release``; False where that is under way already."""
        if stream.is_filling:
            return False
        stream.is_filling = True
        return True

    def release(self, stream: Stream) -> None:
        """Fill what is missing of a stream that was held."""
        stream.is_filling = False
        self.fill(stream)

    def came_online(self) -> None:
        """Go on with what a lost connection has interrupted."""
        interrupted, self._interrupted = self._interrupted, set()
        for stream in interrupted:
            self.fill(stream)

    def close(self) -> None:
        """Begin nothing more."""
        self._is_open = False
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _next(self) -> None:
        while self._waiting and self._running < self._settings.pulls and self._is_open:
            stream = self._waiting.popleft()
            self._running += 1
            Deferred.fromCoroutine(self._fill(stream)).addBoth(self._filled, stream)

    def _filled(self, outcome: Any, stream: Stream) -> None:
        self._running -= 1
        stream.is_filling = False
        error = getattr(outcome, "value", None)
        if error is None:
            stream.pause = 0.0
            self.fill(stream)  # there may be more by now
        elif isinstance(error, ClosedError):
            self._interrupted.add(stream)
        elif isinstance(error, ResultError) and error.result not in MAY_PASS:
            self._log.info(
                "{group_id}: what is missing can't be fetched: {error}", group_id=stream.group_id, error=error
            )
            stream.shown = max(stream.shown, 0)
            stream.known = stream.shown
        else:
            if not isinstance(error, ClientError):
                self._log.failure("a gap could not be filled", outcome)
            self._try_later(stream)
        self._next()

    def _try_later(self, stream: Stream) -> None:
        stream.pause = self._settings.next_pause(stream.pause)
        if self._is_open:
            stream.is_filling = True
            self._timers[stream] = self._clock.callLater(stream.pause, self._try_again, stream)

    def _try_again(self, stream: Stream) -> None:
        del self._timers[stream]
        self.release(stream)

    async def _fill(self, stream: Stream) -> None:
        group_id, catch_up = stream.group_id, self._settings.catch_up
        if stream.shown < 0:
            self._streams.learn(await self._keeper.look_up([group_id]))
            stream.shown = stream.known if stream.shown < 0 else stream.shown  # nobody knows of it
        if catch_up is not None and stream.known - stream.shown > catch_up:
            self._streams.pass_over(stream, stream.known - self._settings.page_size)
        while stream.is_behind:
            after = stream.shown
            run = await self._run_after(group_id, after)
            for message in run.messages:
                if message.seq_id == stream.shown + 1:
                    self._streams.move(stream, message)
            if stream.shown == after and stream.is_behind:
                await self._fetch(stream, min(run.next_held or stream.known + 1, after + PAGE + 1))

    def _run_after(self, group_id: str, after: int) -> "Deferred[messages.Run]":
        return self._store.call(lambda database: messages.run_after(database, group_id, after, PAGE))

    async def _fetch(self, stream: Stream, end: int) -> None:
        """Fetch what is missing between ``shown`` and ``end``."""
        page = await self._keeper.fetch(stream.group_id, stream.shown, end, end - stream.shown - 1)
        first = page.messages[0].seq_id if page.messages else end
        if first == stream.shown + 1 or page.has_more:
            return
        # The server has no more of it: the history begins later by now, or it ends here for the user.
        told = await self._keeper.look_up([stream.group_id])
        self._streams.learn(told)
        if not told or told[0].max_seq <= stream.shown:
            stream.known = stream.shown
        elif first - 1 > stream.shown:
            self._streams.pass_over(stream, first - 1)
