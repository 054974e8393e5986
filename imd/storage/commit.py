"""Group commit: one transaction for everything that arrived while the last one ran.

A batch holds messages and changes, in the order in which they came. First all messages of a run are stored together;
where the database refuses one of them, the transaction is done over with each message in a savepoint of its own, so
that a bad row fails alone. A change always has a savepoint of its own.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from twisted.internet.defer import Deferred

from imd.ports.messages import Committed, Submission
from imd.storage.append import Append
from imd.storage.engine import begin
from imd.storage.transaction import Transaction, explain


class Change(NamedTuple):
    """A change in a batch; ``answer`` fires with what ``run`` returns once it is durable."""

    run: Callable[[Transaction], Any]
    answer: "Deferred[Any]"


Item = Submission | Change


class Batch(NamedTuple):
    """What became of a batch: the messages in commit order, and what the changes returned or raised."""

    committed: list[Committed]
    changes: list[tuple["Deferred[Any]", Any]]


class GroupCommit:
    """Stores batches on one connection of its own; every method runs on the writer's thread.

    ``now`` gives milliseconds since the epoch; send_time never falls. ``open_since`` is the time of the transaction
    under way, 0 between two; any thread may read it.
    """

    def __init__(self, engine: Engine, now: Callable[[], int], append: Append) -> None:
        self.connection = engine.connect()
        self.open_since = 0
        self._now = now
        self._append = append
        self._time = 0

    def close(self) -> None:
        """Give the connection back."""
        self.connection.close()

    def __call__(self, batch: Sequence[Item]) -> Batch:
        """Store a batch durably. What it raises is true of the whole batch, and nothing of it is stored."""
        try:
            return self._attempt(batch, self._append)
        except OperationalError:
            raise
        except Exception:
            return self._attempt(batch, self._append.one_by_one)

    def _attempt(self, batch: Sequence[Item], append: Callable[[Transaction, list[Submission]], None]) -> Batch:
        connection = self.connection
        self._time = self.open_since = max(self._time, self._now())
        transaction = Transaction(connection, self._time, [])
        changes: list[tuple[Deferred[Any], Any]] = []
        run: list[Submission] = []
        try:
            begin(connection)
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
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        finally:
            self.open_since = 0
        return Batch(transaction.committed, changes)

    def _change(self, transaction: Transaction, change: Change) -> Any:
        savepoint = transaction.connection.begin_nested()
        before = len(transaction.committed)
        try:
            result = change.run(transaction)
            savepoint.commit()
        except OperationalError:
            raise
        except Exception as error:
            savepoint.rollback()
            del transaction.committed[before:]
            return explain(error, "a change")
        return result
