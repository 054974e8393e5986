"""History: from the local store, and where it has gaps, from the server, which fills them for good."""

from contextlib import suppress
from typing import NamedTuple

from twisted.internet.defer import Deferred

from imd.client import conversations, messages
from imd.client.database import Database
from imd.client.errors import ClosedError, TimedOutError
from imd.client.gaps import Gaps
from imd.client.keeping import PAGE, Keeper
from imd.client.store import Store
from imd.client.streams import Streams
from imd.client.values import Message

_LARGEST = 2**63 - 1
_TRIES = 10
"""Pulls for one page; each brings a message at least, or shows that there is none."""


class _Page(NamedTuple):
    """What the store has of a range of seqs, and which part of it is missing: both 0 where none is."""

    messages: list[Message]
    first_missing: int
    last_missing: int


class History:
    """Pages of conversations, each gap asked for once at a time."""

    def __init__(self, store: Store, streams: Streams, keeper: Keeper, gaps: Gaps) -> None:
        self._store = store
        self._streams = streams
        self._keeper = keeper
        self._gaps = gaps
        self._asked: dict[tuple[str, int, int], list[Deferred[None]]] = {}

    async def newest(self, group_id: str, before: int, limit: int) -> list[Message]:
        """Return the newest messages before a seq, or of all where that is 0, ascending; 1 to 100.

        While offline what the store has is returned. Raises ClientError.
        """
        if not 1 <= limit <= PAGE:
            raise ValueError(f"limit is {limit}; expected 1 to {PAGE}")
        if not before:
            before = await self._end(group_id) + 1
        return await self.between(group_id, max(before - limit, 1), before - 1)

    async def between(self, group_id: str, first: int, last: int) -> list[Message]:
        """Return the messages from one seq to another, at most 100. Raises ValueError where that is no seq."""
        if not 0 < first <= last + 1 <= _LARGEST:
            raise ValueError(f"seqs {first} to {last}; expected 1 to {_LARGEST - 1}")
        page = await self._read(group_id, first, last)
        with suppress(ClosedError, TimedOutError):  # while offline, what is there has to do
            for _ in range(_TRIES):
                if not page.first_missing:
                    break
                before = page
                await self._fetch(group_id, page.first_missing, page.last_missing)
                page = await self._read(group_id, first, last)
                if page == before:
                    break
        return page.messages

    async def _end(self, group_id: str) -> int:
        """Return the seq that a conversation goes up to."""
        stream = self._streams.get(group_id)
        if stream is None or stream.shown < 0 or not stream.known:
            with suppress(ClosedError, TimedOutError):
                self._gaps.learn(await self._keeper.look_up([group_id]))
                stream = self._streams.get(group_id)
                if stream is None or not stream.known:
                    await self._keeper.fetch(group_id, 0, 0, 1)  # to be told why not
        return stream.known if stream is not None else 0

    def _read(self, group_id: str, first: int, last: int) -> "Deferred[_Page]":
        def read(database: Database) -> _Page:
            conversation = conversations.find(database, group_id)
            begin = max(first, conversation.init_seq + 1 if conversation else 1)
            held = messages.newest(database, group_id, last + 1, max(last - begin + 1, 0))
            held = [message for message in held if message.seq_id >= begin]
            if len(held) == last - begin + 1 or begin > last:
                return _Page(held, 0, 0)
            missing = set(range(begin, last + 1)).difference(message.seq_id for message in held)
            return _Page(held, min(missing), max(missing))

        return self._store.call(read)

    async def _fetch(self, group_id: str, first: int, last: int) -> None:
        key = group_id, first, last
        if key in self._asked:
            waiting: Deferred[None] = Deferred()
            self._asked[key].append(waiting)
            await waiting
            return
        self._asked[key] = []
        try:
            page = await self._keeper.fetch(group_id, first - 1, last + 1, last - first + 1)
            came = page.messages[0].seq_id if page.messages else 0
            if came != first and not page.has_more:
                # The server has no more of it: the history begins later by now.
                await self._keeper.look_up([group_id])
        except BaseException as error:
            for waiting in self._asked.pop(key):
                waiting.errback(error)
            raise
        for waiting in self._asked.pop(key):
            waiting.callback(None)
