"""The writer: what waits for the next group commit, within bounds, and who is told what became of it."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from imd.batching import Batching, IReactor
from imd.errors import RefusedError, UnavailableError
from imd.ports.messages import Committed, Submission
from imd.ports.upstream import Report, Reported
from imd.storage.commit import Batch, Change, GroupCommit, Item
from imd.storage.database import Database, Fault
from imd.storage.outage import Outage
from imd.storage.transaction import Transaction


class Writer:
    """Runs the group commit on a thread of its own.

    ``gap`` is in seconds, ``max_pending`` the items that may wait for a commit, whose messages have at most
    ``max_pending_bytes``.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactor,
        database: Database,
        commit: GroupCommit,
        *,
        gap: float,
        max_pending: int,
        max_pending_bytes: int,
    ) -> None:
        self._database = database
        self._commit = commit
        self._max_pending = max_pending
        self._max_pending_bytes = max_pending_bytes
        self._pending_bytes = 0
        self._batching: Batching[Item, Batch] = Batching(
            reactor, "imd-commit", self._work, self._done, self._failed, gap
        )
        self.outage = Outage(reactor, self._probe)
        self.tell: Callable[[Sequence[Committed]], None] = _nobody
        self.tell_reports: Callable[[Sequence[Reported]], None] = _nobody
        self._is_stopping = False
        self._is_failing = False

    def start(self) -> None:
        """Start the thread."""
        self._batching.start()

    async def stop(self) -> None:
        """Commit what waits, and answer it."""
        self._is_stopping = True
        await self._batching.stop()
        self.outage.end()

    @property
    def waiting(self) -> int:
        """How many items wait for the next commit."""
        return len(self._batching)

    def append(self, item: Submission | Report) -> None:
        """Put a message or a report into the next batch. Raises UnavailableError."""
        size = item.size
        if self._pending_bytes + size > self._max_pending_bytes:
            raise UnavailableError("the store can't keep up; send it again later")
        self._put(item)
        self._pending_bytes += size

    def change(
        self, groups: Collection[str], run: Callable[[Transaction], Any], destinations: Collection[str] = ()
    ) -> "Deferred[Any]":
        """Put a change of these groups or destinations into the next batch; fires with what it returns or raises.

        Raises UnavailableError.
        """
        answer: Deferred[Any] = Deferred()
        self._put(Change(groups, run, answer, destinations))
        return answer

    def _probe(self) -> None:
        """Find out whether the database is back."""
        if not self._is_stopping:
            answer: Deferred[Any] = Deferred()
            answer.addErrback(_nothing)  # it is told by the batch
            self._batching.put(Change((), _nothing, answer))

    def _put(self, item: Item) -> None:
        self.outage.check()
        if self._is_stopping:
            raise UnavailableError("this node is being stopped; send it again to another one")
        if len(self._batching) >= self._max_pending:
            raise UnavailableError("the store can't keep up; send it again later")
        self._batching.put(item)

    def _work(self, batch: list[Item]) -> Batch:
        self._database.between(self._commit.connection)
        return self._commit(batch)

    def _done(self, batch: list[Item], result: Batch) -> None:
        self._release(batch)
        if self._is_failing:
            self._is_failing = False
            self._log.info("the store works again")
        if self.outage.is_on:
            self.outage.end()
        self._tell(result.committed, result.reported)
        for answer, value in result.changes:
            if isinstance(value, RefusedError):
                answer.errback(value)
            else:
                answer.callback(value)

    def _release(self, batch: list[Item]) -> None:
        self._pending_bytes -= sum([item.size for item in batch if not isinstance(item, Change)])

    def _failed(self, batch: list[Item], failure: Failure) -> None:
        self._release(batch)
        if not self._is_failing:  # once, not for every batch while the disk is full
            self._is_failing = True
            self._log.error("the store failed, senders get UNAVAILABLE: {reason}", reason=failure.getErrorMessage())
        if failure.value is not None and self._database.fault(failure.value) is Fault.LOST:
            self.outage.begin()
        error = UnavailableError("the store failed; send it again later")
        self._tell(
            [Committed(item, error) for item in batch if isinstance(item, Submission)],
            [Reported(item, error) for item in batch if isinstance(item, Report)],
        )
        for item in batch:
            if isinstance(item, Change):
                item.answer.errback(error)

    def _tell(self, committed: Sequence[Committed], reported: Sequence[Reported]) -> None:
        try:
            self.tell(committed)
        except Exception:  # the others of the batch are answered all the same
            self._log.failure("what was committed could not be told")
        try:
            if reported:
                self.tell_reports(reported)
        except Exception:
            self._log.failure("reports that are stored could not be told")


def _nobody(_committed: Sequence[object]) -> None:
    """Stand in until somebody wants to be told."""


def _nothing(_: object) -> None:
    """Change nothing."""
