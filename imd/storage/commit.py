"""Group commit: one transaction for everything that arrived while the last one ran.

A batch holds messages, ACKs of inbox rows and group changes, in the order in which they came. First all messages of a
run are stored together; where the database refuses one of them, the transaction is done over with each message in a
savepoint of its own, so that a bad row fails alone.
"""

import json
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from imd.errors import ConflictError, NotInGroupError, RefusedError
from imd.ports import Committed, InboxAck, Members, Stored, Submission
from imd.storage.engine import begin
from imd.storage.rows import MESSAGE_COLUMNS, message_of, peer_of, row_of
from imd.storage.schema import x_inbox, x_message
from imd.storage.sql import positional
from imd.wire.bodies import ImMsg
from imd.wire.enums import GroupType

_RECEIVED = (
    "coalesce((SELECT min(i.seq_id) - 1 FROM x_inbox AS i"
    " WHERE i.uid = x_conversation.uid AND i.group_id = x_conversation.group_id),"
    " CASE WHEN is_quit = 0 THEN (SELECT g.max_seq FROM x_group AS g WHERE g.group_id = x_conversation.group_id)"
    " ELSE max_seq END)"
)
"""Of a row of x_conversation, the seq up to which everything is out of the user's inbox (rule 6)."""


class Advanced(NamedTuple):
    """A group row after its max_seq was raised, which locks it for the transaction."""

    max_seq: int
    member_version: int
    group_name: str


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a group change gets to work with."""

    commit: "GroupCommit"
    connection: Connection
    time: int
    committed: list[Committed]


class Change(NamedTuple):
    """A group change in a batch; ``answer`` fires with what ``run`` returns once it is durable."""

    run: Callable[[Transaction], Any]
    answer: "Deferred[Any]"


Item = Submission | Change | Sequence[InboxAck]


class Batch(NamedTuple):
    """What became of a batch: the messages in commit order, and what the changes returned or raised."""

    committed: list[Committed]
    changes: list[tuple["Deferred[Any]", Any]]


class GroupCommit:
    """Stores batches on one connection of its own; every method runs on the writer's thread.

    ``now`` gives milliseconds since the epoch; send_time never falls. ``open_since`` is the time of the transaction
    under way, 0 between two; any thread may read it.
    """

    _log = Logger()

    def __init__(self, engine: Engine, now: Callable[[], int]) -> None:
        self.connection = engine.connect()
        self.open_since = 0
        self._now = now
        self._time = 0
        dialect = engine.dialect
        self._advance_sql = positional(
            text(
                "UPDATE x_group SET max_seq = max_seq + n.value, update_time = :now"
                " FROM json_each(:counts) AS n WHERE x_group.group_id = n.key"
                " RETURNING group_id, max_seq, member_version, group_name"
            ),
            dialect,
        )
        self._give_back_sql = positional(
            text(
                "UPDATE x_group SET max_seq = max_seq - :n, update_time = coalesce((SELECT send_time FROM x_message"
                " WHERE x_message.group_id = x_group.group_id AND seq_id = x_group.max_seq - :n2), update_time)"
                " WHERE group_id = :group_id"
            ),
            dialect,
        )
        self._insert_message_sql = positional(x_message.insert().values(dict.fromkeys(MESSAGE_COLUMNS)), dialect)
        self._insert_inbox_sql = positional(x_inbox.insert(), dialect)
        self._new_single_sql = positional(
            text(
                "INSERT INTO x_group (group_id, group_type, created, update_time) VALUES (:group_id, 1, :now, :now2)"
                " ON CONFLICT DO NOTHING"
            ),
            dialect,
        )
        self._new_single_conversation_sql = positional(
            text(
                "INSERT INTO x_conversation (uid, group_id, group_type, joined_time, update_time)"
                " VALUES (:uid, :group_id, 1, :now, :now2) ON CONFLICT DO NOTHING"
            ),
            dialect,
        )
        self._members_sql = positional(
            text("SELECT uid, role FROM x_conversation WHERE group_id = :group_id AND is_quit = 0 ORDER BY uid"),
            dialect,
        )
        self._find_sql = positional(
            text(f"SELECT {', '.join(MESSAGE_COLUMNS)} FROM x_message WHERE group_id = :group_id AND msg_id = :msg_id"),
            dialect,
        )
        self._still_in_inbox_sql = positional(
            text(
                "SELECT i.uid FROM x_conversation AS c JOIN x_inbox AS i ON i.uid = c.uid AND i.group_id = c.group_id"
                " WHERE c.group_id = :group_id AND i.seq_id = :seq_id"
            ),
            dialect,
        )
        self._clear_inbox_sql = positional(
            text("DELETE FROM x_inbox WHERE uid = :uid AND group_id = :group_id AND seq_id BETWEEN :low AND :high"),
            dialect,
        )
        self._raise_receive_seq_sql = positional(
            text(
                f"UPDATE x_conversation SET receive_seq = {_RECEIVED}, update_time = :now"
                f" WHERE uid = :uid AND group_id = :group_id AND receive_seq < {_RECEIVED}"
            ),
            dialect,
        )

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
            return self._attempt(batch, self._append_one_by_one)

    def _attempt(self, batch: Sequence[Item], append: Callable[[Transaction, list[Submission]], None]) -> Batch:
        connection = self.connection
        self._time = self.open_since = max(self._time, self._now())
        transaction = Transaction(self, connection, self._time, [])
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
                if isinstance(item, Change):
                    changes.append((item.answer, self._change(transaction, item)))
                else:
                    self._acknowledge(transaction, item)
            if run:
                append(transaction, run)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        finally:
            self.open_since = 0
        return Batch(transaction.committed, changes)

    def _append(self, transaction: Transaction, submissions: list[Submission]) -> None:
        connection, time, committed = transaction.connection, transaction.time, transaction.committed
        counts: dict[str, int] = {}
        for submission in submissions:
            group_id = submission.message.group_id
            counts[group_id] = counts.get(group_id, 0) + 1
        groups = self._advance(connection, counts, time)
        if len(groups) < len(counts):
            groups |= self._open_singles(connection, submissions, counts, groups, time)
        taken = {group_id: group.max_seq - counts[group_id] for group_id, group in groups.items()}
        fresh: dict[str, Members] = {}
        rows: list[tuple[Any, ...]] = []
        inbox: list[tuple[int, str, int]] = []
        for submission in submissions:
            message = submission.message
            group_id, sender = message.group_id, message.sender_id
            group = groups.get(group_id)
            receivers: Sequence[int]
            if group is None:
                committed.append(Committed(submission, _not_in_group(group_id)))
                continue
            members = None
            if message.group_type == GroupType.SINGLE:
                receivers = () if message.receiver_id == sender else (message.receiver_id,)
            else:
                members = fresh.get(group_id)
                known = members or submission.members
                if known is None or known.version != group.member_version:
                    known = members = fresh[group_id] = self.members(connection, group_id, group.member_version)
                if sender not in known.roles:
                    committed.append(Committed(submission, self._from_outside(connection, submission)))
                    continue
                receivers = [uid for uid in known.roles if uid != sender]
            seq_id = taken[group_id] = taken[group_id] + 1
            message.seq_id = seq_id
            message.send_time = time
            message.group_name = group.group_name
            rows.append(row_of(message, submission.digest))
            for uid in receivers:
                inbox.append((uid, group_id, seq_id))
            committed.append(Committed(submission, Stored(message, receivers, members)))
        unused = [(group.max_seq - taken[group_id], group_id) for group_id, group in groups.items()]
        if given_back := [(n, n, group_id) for n, group_id in unused if n]:
            connection.exec_driver_sql(self._give_back_sql, given_back)
        self._insert(connection, rows, inbox)

    def _append_one_by_one(self, transaction: Transaction, submissions: list[Submission]) -> None:
        for submission in submissions:
            savepoint = transaction.connection.begin_nested()
            before = len(transaction.committed)
            try:
                self._append(transaction, [submission])
                savepoint.commit()
            except OperationalError:
                raise
            except Exception as error:
                savepoint.rollback()
                del transaction.committed[before:]
                outcome = self._repeat(transaction.connection, submission) or self._explain(error, "a message")
                transaction.committed.append(Committed(submission, outcome))

    def _from_outside(self, connection: Connection, submission: Submission) -> Stored | RefusedError:
        """Refuse a message of who is not in the group; what they sent while they were in they may repeat (rule 3)."""
        repeat = self._repeat(connection, submission)
        return repeat if isinstance(repeat, Stored) else _not_in_group(submission.message.group_id)

    def _repeat(self, connection: Connection, submission: Submission) -> Stored | ConflictError | None:
        """Return the first of two messages with one msg_id (rule 3), ConflictError where they differ."""
        message = submission.message
        row = connection.exec_driver_sql(self._find_sql, (message.group_id, message.msg_id)).one_or_none()
        if row is None:
            return None
        first = message_of(row)
        if first.sender_id != message.sender_id or row[-1] != submission.digest:
            return ConflictError(f"msg_id {message.msg_id} is already another message of {message.group_id}")
        receivers = connection.exec_driver_sql(self._still_in_inbox_sql, (first.group_id, first.seq_id)).scalars()
        return Stored(first, list(receivers), repeated=True)

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
            return self._explain(error, "a group change")
        return result

    def _explain(self, error: Exception, what: str) -> RefusedError:
        if isinstance(error, RefusedError):
            return error
        self._log.error("{what} could not be stored:\n{trace}", what=what, trace=_trace(error))
        return RefusedError("the store failed at this request; the server's log says why")

    def _acknowledge(self, transaction: Transaction, acks: Sequence[InboxAck]) -> None:
        connection, now = transaction.connection, transaction.time
        connection.exec_driver_sql(self._clear_inbox_sql, list(acks))
        cleared = dict.fromkeys((now, uid, group_id) for uid, group_id, _, _ in acks)
        connection.exec_driver_sql(self._raise_receive_seq_sql, list(cleared))

    def _advance(self, connection: Connection, counts: dict[str, int], time: int) -> dict[str, Advanced]:
        rows = connection.exec_driver_sql(self._advance_sql, (time, json.dumps(counts))).all()
        return {row[0]: Advanced(row[1], row[2], row[3]) for row in rows}

    def _open_singles(
        self,
        connection: Connection,
        submissions: Iterable[Submission],
        counts: dict[str, int],
        groups: dict[str, Advanced],
        time: int,
    ) -> dict[str, Advanced]:
        new = {
            submission.message.group_id: submission.message
            for submission in submissions
            if submission.message.group_type == GroupType.SINGLE and submission.message.group_id not in groups
        }
        if not new:
            return {}
        connection.exec_driver_sql(self._new_single_sql, [(group_id, time, time) for group_id in new])
        connection.exec_driver_sql(
            self._new_single_conversation_sql,
            [
                (uid, group_id, time, time)
                for group_id, message in new.items()
                for uid in {message.sender_id, peer_of(group_id, message.sender_id)}
            ],
        )
        return self._advance(connection, {group_id: counts[group_id] for group_id in new}, time)

    def members(self, connection: Connection, group_id: str, version: int) -> Members:
        """Load a group's members, whose ``version`` the transaction has locked."""
        rows = connection.exec_driver_sql(self._members_sql, (group_id,)).all()
        return Members(version, {row[0]: row[1] for row in rows})

    def append_control(self, transaction: Transaction, message: ImMsg, digest: bytes, receivers: Sequence[int]) -> int:
        """Store a control message, whose group exists, and return its seq."""
        connection = transaction.connection
        group = self._advance(connection, {message.group_id: 1}, transaction.time)[message.group_id]
        message.seq_id = group.max_seq
        message.send_time = transaction.time
        message.group_name = group.group_name
        inbox = [(uid, message.group_id, message.seq_id) for uid in receivers]
        self._insert(connection, [row_of(message, digest)], inbox)
        return message.seq_id

    def _insert(self, connection: Connection, rows: list[tuple[Any, ...]], inbox: list[tuple[int, str, int]]) -> None:
        if rows:
            connection.exec_driver_sql(self._insert_message_sql, rows)
        if inbox:
            connection.exec_driver_sql(self._insert_inbox_sql, inbox)


def _not_in_group(group_id: str) -> NotInGroupError:
    return NotInGroupError(f"you are not in the group {group_id}")


def _trace(error: Exception) -> str:
    return "".join(traceback.format_exception(error))
