"""The message store: writes by group commit on one thread, reads on threads of their own."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from imd.batching import Batching, IReactor
from imd.errors import RefusedError, UnavailableError
from imd.ports import (
    Committed,
    Decide,
    IMessageStore,
    InboxAck,
    NewGroup,
    Overdue,
    OverdueCursor,
    Submission,
)
from imd.storage import conversations, groups
from imd.storage.checkpoint import Checkpoints
from imd.storage.commit import Batch, Change, GroupCommit, Item
from imd.storage.engine import open_sqlite, upgrade
from imd.storage.history import History
from imd.storage.users import remember_user
from imd.wire.bodies import ImGroup, UserData

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")

SINCE_MARGIN_MS = 2000
"""How much earlier than now the next ``since`` is, so that a commit under way is not missed."""

MAX_READING = 10_000
"""Reads that may wait for a reader."""

ANSWER_ROOM = 1024
"""Bytes of an answer kept free for what is not messages or groups."""


@implementer(IMessageStore)
class SqlStore:
    """IMessageStore over one SQLite file, whose schema is upgraded first.

    ``now`` gives milliseconds since the epoch, ``gap`` is in seconds, ``max_pending`` the items that may wait for a
    commit, whose messages have at most ``max_pending_bytes``. Raises StartError where the database can't be used.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactor,
        path: Path,
        now: Callable[[], int],
        *,
        gap: float,
        max_pending: int,
        readers: int,
        cache_mib: int,
        max_body: int,
        max_pending_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self._reactor = reactor
        self._now = now
        self._max_pending = max_pending
        self._max_pending_bytes = max_pending_bytes
        self._pending_bytes = 0
        self._max_body = max_body - ANSWER_ROOM
        self._engine = open_sqlite(path, readers + 2, cache_mib)
        upgrade(self._engine)
        self._commit = GroupCommit(self._engine, now)
        self._checkpoints = Checkpoints(self._engine, path)
        self._history = History(self._engine.dialect, self._max_body)
        self._readers = ThreadPoolExecutor(readers, "imd-read")
        self._batching: Batching[Item, Batch] = Batching(
            reactor, "imd-commit", self._work, self._done, self._failed, gap
        )
        self._tell: Callable[[Sequence[Committed]], None] = _nobody
        self._reading = 0
        self._is_stopping = False
        self._is_failing = False

    def start(self) -> None:
        """Start the threads."""
        self._batching.start()
        self._checkpoints.start()

    async def stop(self) -> None:
        """Commit what waits, answer it, and close the database."""
        self._is_stopping = True
        await self._batching.stop()
        self._checkpoints.stop()
        self._readers.shutdown()
        self._commit.close()
        self._engine.dispose()

    def on_commit(self, callback: Callable[[Sequence[Committed]], None]) -> None:
        """Call ``callback`` with each batch."""
        self._tell = callback

    def append(self, submission: Submission) -> None:
        """Put a message into the next batch."""
        size = submission.size
        if self._pending_bytes + size > self._max_pending_bytes:
            raise UnavailableError("the store can't keep up; send it again later")
        self._put(submission)
        self._pending_bytes += size

    def acknowledge(self, acks: Sequence[InboxAck]) -> None:
        """Put ACKs into the next batch."""
        self._put(acks)

    async def remember_user(self, uid: int) -> None:
        """Note the first login."""
        await self._change(remember_user, uid)

    async def create_group(self, group: NewGroup, by: int, msg_id: str) -> ImGroup:
        """Make a group."""
        return await self._change(groups.create_group, group, by, msg_id)

    async def change_group(self, group_id: str, by: int, msg_id: str, decide: Decide) -> ImGroup:
        """Change a group."""
        return await self._change(groups.change_group, group_id, by, msg_id, decide)

    async def conversations(self, uid: int, cursor: str, page_size: int, since: int) -> UserData:
        """One page of LIST_GROUP."""
        now = self._settled_time()
        return await self._read(conversations.list_conversations, uid, cursor, page_size, since, now, self._max_body)

    async def conversations_by_id(self, uid: int, group_ids: Sequence[str]) -> UserData:
        """GROUP_BY_ID."""
        return await self._read(conversations.conversations_by_id, uid, group_ids, self._max_body)

    async def members(self, uid: int, group_id: str, cursor: str, page_size: int) -> UserData:
        """One page of GROUP_MEMBERS."""
        return await self._read(conversations.list_members, uid, group_id, cursor, page_size)

    async def pull(self, uid: int, group_id: str, after: int, before: int, page_size: int) -> UserData:
        """A page of history."""
        return await self._read(self._history.pull, uid, group_id, after, before, page_size)

    async def overdue(self, cursors: Sequence[OverdueCursor], before: int) -> Sequence[Overdue]:
        """What has lain too long in inboxes."""
        return await self._read(self._history.overdue, cursors, before)

    def _put(self, item: Item) -> None:
        if self._is_stopping:
            raise UnavailableError("this node is being stopped; send it again to another one")
        if len(self._batching) >= self._max_pending:
            raise UnavailableError("the store can't keep up; send it again later")
        self._batching.put(item)

    async def _change(
        self, run: "Callable[Concatenate[Any, Parameters], Value]", *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Value:
        answer: Deferred[Value] = Deferred()
        self._put(Change(lambda transaction: run(transaction, *args, **kwargs), answer))
        return await answer

    async def _read(
        self,
        query: Callable[Concatenate[Connection, Parameters], Value],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Value:
        if self._reading >= MAX_READING:
            raise UnavailableError("too many reads are waiting; ask again later")
        answer: Deferred[Value] = Deferred()

        def read() -> None:
            try:
                with self._engine.connect() as connection:
                    value = query(connection, *args, **kwargs)
            except OperationalError:
                self._log.failure("the store could not be read; who asked is told")
                refusal = UnavailableError("the store failed; ask again later")
                self._reactor.callFromThread(answer.errback, refusal)
            except BaseException:
                self._reactor.callFromThread(answer.errback, Failure())
            else:
                self._reactor.callFromThread(answer.callback, value)

        self._reading += 1
        try:
            self._readers.submit(read)
            return await answer
        finally:
            self._reading -= 1

    def _settled_time(self) -> int:
        """Return a time (ms) before which everything is visible: commits under way carry later times."""
        return min(self._now(), self._commit.open_since or self._now()) - SINCE_MARGIN_MS

    def _work(self, batch: list[Item]) -> Batch:
        self._checkpoints.finish(self._commit.connection)
        return self._commit(batch)

    def _done(self, batch: list[Item], result: Batch) -> None:
        self._release(batch)
        if self._is_failing:
            self._is_failing = False
            self._log.info("the store works again")
        self._tell(result.committed)
        for answer, value in result.changes:
            if isinstance(value, RefusedError):
                answer.errback(value)
            else:
                answer.callback(value)

    def _release(self, batch: list[Item]) -> None:
        self._pending_bytes -= sum([item.size for item in batch if isinstance(item, Submission)])

    def _failed(self, batch: list[Item], failure: Failure) -> None:
        self._release(batch)
        if not self._is_failing:  # once, not for every batch while the disk is full
            self._is_failing = True
            self._log.error("the store failed, senders get UNAVAILABLE: {reason}", reason=failure.getErrorMessage())
        error = UnavailableError("the store failed; send it again later")
        self._tell([Committed(item, error) for item in batch if isinstance(item, Submission)])
        for item in batch:
            if isinstance(item, Change):
                item.answer.errback(error)


def _nobody(_committed: Sequence[Committed]) -> None:
    """Stand in until ``on_commit`` names somebody."""
