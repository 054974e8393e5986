"""Group commit: one transaction for everything that arrived while the last one ran.

A batch holds messages, reports and changes, in the order in which they came. First all messages of a run are stored
together; where the database refuses one of them, the transaction is done over with each message in a savepoint of its
own, so that a bad row fails alone. A change always has a savepoint of its own. Reports and the changes of their
destinations come last, and these are locked together: no transaction waits for a group while it holds one of them.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred

from imd.ports.messages import Committed, Submission
from imd.ports.upstream import Report, Reported
from imd.storage.append import Append
from imd.storage.database import Database, Fault
from imd.storage.transaction import Transaction, explain
from imd.storage.upstream import Advance, Upstream

MAX_CONFLICTS = 10
"""Conflicts with other nodes after which a batch is given up."""


class Change(NamedTuple):
    """A change in a batch; ``answer`` fires with what ``run`` returns once it is durable.

    ``groups`` are those of whose messages, inboxes and conversations it changes any, ``destinations`` those of reports:
    no other node does meanwhile.
    """

    groups: Collection[str]
    run: Callable[[Transaction], Any]
    answer: "Deferred[Any]"
    destinations: Collection[str] = ()


Item = Submission | Report | Change


class Batch(NamedTuple):
    """What became of a batch: messages and reports in commit order, and what the changes returned or raised."""

    committed: list[Committed]
    reported: list[Reported]
    changes: list[tuple["Deferred[Any]", Any]]


class GroupCommit:
    """Stores batches on one connection of its own; every method runs on the writer's thread.

    ``now`` gives milliseconds since the epoch; the time of a transaction never falls. ``open_since`` is that of the one
    under way, 0 between two; any thread may read it.
    """

    def __init__(self, database: Database, now: Callable[[], int], append: Append, upstream: Upstream) -> None:
        self.connection = database.connect()
        self.open_since = 0
        self._database = database
        self._now = now
        self._append = append
        self._upstream = upstream
        self._time = 0

    def close(self) -> None:
        """Give the connection back."""
        self.connection.close()

    def __call__(self, batch: Sequence[Item]) -> Batch:
        """Store a batch durably. What it raises is true of the whole batch, and nothing of it is stored.

        Nothing but where the database was lost during the commit: then all of it may be.
        """
        is_single = False
        conflicts = 0
        while True:
            try:
                return self._attempt(batch, is_single)
            except Exception as error:
                fault = self._database.fault(error)
                if fault is Fault.CONFLICT and conflicts < MAX_CONFLICTS:
                    conflicts += 1
                elif fault is Fault.ROW and not is_single:
                    is_single = True
                else:
                    raise

    def _attempt(self, batch: Sequence[Item], is_single: bool) -> Batch:
        self._time = self.open_since = max(self._time, self._now())
        transaction = Transaction(self.connection, self._time, [])
        append: Callable[[Transaction, list[Submission]], None]
        append = self._append.one_by_one if is_single else self._append
        changes: list[tuple[Deferred[Any], Any]] = []
        run: list[Submission] = []
        reports: list[Report] = []
        last: list[Change] = []
        reported: list[Reported] = []
        try:
            with self._database.writing(self.connection, _groups(batch)):
                for item in batch:
                    if isinstance(item, Submission):
                        run.append(item)
                    elif isinstance(item, Report):
                        reports.append(item)
                    elif item.destinations:
                        last.append(item)
                    else:
                        if run:
                            append(transaction, run)
                            run = []
                        changes.append((item.answer, self._change(transaction, item)))
                if run:
                    append(transaction, run)
                if last:
                    named = {report.destination for report in reports}.union(*[each.destinations for each in last])
                    self._upstream.lock(self.connection, dict.fromkeys(named, Advance()))
                if reports:
                    keep = self._upstream.one_by_one if is_single else self._upstream.append
                    reported = keep(transaction, reports)
                changes += [(item.answer, self._change(transaction, item)) for item in last]
        finally:
            self.open_since = 0
        return Batch(transaction.committed, reported, changes)

    def _change(self, transaction: Transaction, change: Change) -> Any:
        savepoint = transaction.connection.begin_nested()
        before = len(transaction.committed)
        try:
            result = change.run(transaction)
            savepoint.commit()
        except Exception as error:
            if self._database.fault(error) is not Fault.ROW:
                raise
            savepoint.rollback()
            del transaction.committed[before:]
            return explain(error, "a change")
        return result


def _groups(batch: Sequence[Item]) -> Iterator[str]:
    """Yield what a batch has to have to itself from its begin on.

    That is nothing where all is one run of messages, which takes its groups in the right order by itself.
    """
    if any(isinstance(item, Change) and not item.destinations for item in batch):
        for item in batch:
            if isinstance(item, Change):
                yield from item.groups
            elif isinstance(item, Submission):
                yield item.message.group_id
