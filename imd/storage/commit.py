"""Group commit: one transaction for everything that arrived while the last one ran.

A batch holds messages and changes, in the order in which they came. First all messages of a run are stored together;
where the database refuses one of them, the transaction is done over with each message in a savepoint of its own, so
that a bad row fails alone. A change always has a savepoint of its own.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred

from imd.ports.messages import Committed, Submission
from imd.storage.append import Append
from imd.storage.database import Database, Fault
from imd.storage.transaction import Transaction, explain

MAX_CONFLICTS = 10
"""Conflicts with other nodes after which a batch is given up."""


class Change(NamedTuple):
    """A change in a batch; ``answer`` fires with what ``run`` returns once it is durable.

    ``groups`` are those of whose messages, inboxes and conversations it changes any: no other node does meanwhile.
    """

    groups: Collection[str]
    run: Callable[[Transaction], Any]
    answer: "Deferred[Any]"


Item = Submission | Change


class Batch(NamedTuple):
    """What became of a batch: the messages in commit order, and what the changes returned or raised."""

    committed: list[Committed]
    changes: list[tuple["Deferred[Any]", Any]]


class GroupCommit:
    """Stores batches on one connection of its own; every method runs on the writer's thread.

    ``now`` gives milliseconds since the epoch; the time of a transaction never falls. ``open_since`` is that of the one
    under way, 0 between two; any thread may read it.
    """

    def __init__(self, database: Database, now: Callable[[], int], append: Append) -> None:
        self.connection = database.connect()
        self.open_since = 0
        self._database = database
        self._now = now
        self._append = append
        self._time = 0

    def close(self) -> None:
        """Give the connection back."""
        self.connection.close()

    def __call__(self, batch: Sequence[Item]) -> Batch:
        """Store a batch durably. What it raises is true of the whole batch, and nothing of it is stored.

        Nothing but where the database was lost during the commit: then all of it may be.
        """
        append: Callable[[Transaction, list[Submission]], None] = self._append
        conflicts = 0
        while True:
            try:
                return self._attempt(batch, append)
            except Exception as error:
                fault = self._database.fault(error)
                if fault is Fault.CONFLICT and conflicts < MAX_CONFLICTS:
                    conflicts += 1
                elif fault is Fault.ROW and append == self._append:
                    append = self._append.one_by_one
                else:
                    raise

    def _attempt(self, batch: Sequence[Item], append: Callable[[Transaction, list[Submission]], None]) -> Batch:
        self._time = self.open_since = max(self._time, self._now())
        transaction = Transaction(self.connection, self._time, [])
        changes: list[tuple[Deferred[Any], Any]] = []
        run: list[Submission] = []
        try:
            with self._database.writing(self.connection, _groups(batch)):
                for item in batch:
                    if isinstance(item, Submission):
                        run.append(item)
                        continue
                    if run:
                        append(transaction, run)
                        run = []
                    changes.append((item.answer, self._change(transaction, item)))
                if run:
                    append(transaction, run)
        finally:
            self.open_since = 0
        return Batch(transaction.committed, changes)

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
    if any(isinstance(item, Change) for item in batch):
        for item in batch:
            if isinstance(item, Change):
                yield from item.groups
            else:
                yield item.message.group_id
