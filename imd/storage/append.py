"""Storing the messages of a batch: seqs, rows, inboxes, counters, mentions; and control messages."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from imd.errors import BlockedError, ConflictError, NotInGroupError, RefusedError
from imd.ports.messages import Committed, Members, Stored, Submission
from imd.storage.database import Database, Fault
from imd.storage.rows import AT_UIDS, MESSAGE_COLUMNS, message_of, row_of
from imd.storage.schema import x_inbox, x_message
from imd.storage.transaction import Transaction, explain
from imd.wire.bodies import ImMsg
from imd.wire.enums import GroupType, MsgType
from imd.wire.single import users_of

# An enum's member costs a call to look up, which counts here.
_SINGLE, _GROUP, _PASSTHROUGH = int(GroupType.SINGLE), int(GroupType.GROUP), int(MsgType.PASSTHROUGH)

Entry = tuple[Submission, ImMsg, str, int, int, int, bool, bool]
"""A message and what is asked of it more than once, since a field of a protobuf costs a call too: its group_id,
group_type, sender_id and receiver_id, whether it is stored, and whether it counts as unread."""

AT_EVERYBODY = 0
"""What stands for everybody in ``at_uids``."""


class Head(NamedTuple):
    """A group's row; where messages are stored into it, as it is after its max_seq was raised, which locks it.

    ``send_time`` is theirs then; it never falls, even where another node's clock is ahead.
    """

    max_seq: int
    member_version: int
    group_name: str
    send_time: int


class Batch:
    """What the messages of one batch come to, gathered to be written together."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.inbox: list[tuple[int, str, int]] = []
        self.own: dict[tuple[int, str], int] = {}
        self.mentions: dict[tuple[int, str], int] = {}
        self.fresh: dict[str, Members] = {}
        self.refused: dict[str, list[int]] = {}


class Append:
    """Stores messages; its statements are written for one database."""

    def __init__(self, database: Database) -> None:
        self._fault = database.fault
        sql = database.sql
        self._array = sql.array
        self._counts = n = sql.rows(group_id=str, n=int, counted=int)
        self._advance_sql = sql(
            f"UPDATE x_group SET max_seq = max_seq + {n['n']}, counted = x_group.counted + {n['counted']},"
            " send_time = CASE WHEN send_time < :now THEN :now2 ELSE send_time END"
            f" FROM {n} WHERE x_group.group_id = {n['group_id']}"
            " RETURNING x_group.group_id, max_seq, member_version, group_name, send_time"
        )
        self._heads_sql = sql(
            "SELECT group_id, max_seq, member_version, group_name, send_time FROM x_group"
            f" WHERE group_id {sql.among('group_ids', str)}"
        )
        self._give_back = sql.many(
            "UPDATE x_group SET max_seq = max_seq - {n}, counted = x_group.counted - {counted},"
            " send_time = coalesce((SELECT m.send_time FROM x_message AS m"
            " WHERE m.group_id = x_group.group_id AND m.seq_id = x_group.max_seq - {n}), send_time)"
            "{rows} WHERE x_group.group_id = {group_id}",
            n=int,
            counted=int,
            group_id=str,
        )
        self._insert_messages = sql.insert(x_message, MESSAGE_COLUMNS)
        self._insert_inbox = sql.insert(x_inbox, ("uid", "group_id", "seq_id"))
        self._own = sql.many(
            "UPDATE x_conversation SET seen = seen + {n}{rows}"
            " WHERE x_conversation.uid = {uid} AND x_conversation.group_id = {group_id}",
            n=int,
            uid=int,
            group_id=str,
        )
        self._mention = sql.many(
            "UPDATE x_conversation SET at_seq = {seq_id}{rows}"
            " WHERE x_conversation.uid = {uid} AND x_conversation.group_id = {group_id}",
            seq_id=int,
            uid=int,
            group_id=str,
        )
        self._pairs = p = sql.rows(uid=int, blocked=int)
        self._blocks_sql = sql(
            f"SELECT b.uid, b.blocked FROM {p} JOIN x_block AS b ON b.uid = {p['uid']} AND b.blocked = {p['blocked']}"
        )
        self._singles = s = sql.rows(group_id=str)
        self._new_single_sql = sql(
            "INSERT INTO x_group (group_id, group_type, created, send_time)"
            f" SELECT {s['group_id']}, 1, CAST(:now AS BIGINT), CAST(:now2 AS BIGINT) FROM {s} WHERE 1 = 1"
            " ON CONFLICT DO NOTHING"
        )
        self._members_of_singles = m = sql.rows(uid=int, group_id=str)
        self._new_single_conversation_sql = sql(
            "INSERT INTO x_conversation (uid, group_id, group_type, joined_time, update_time)"
            f" SELECT {m['uid']}, {m['group_id']}, 1, CAST(:now AS BIGINT), CAST(:now2 AS BIGINT) FROM {m} WHERE 1 = 1"
            " ON CONFLICT DO NOTHING"
        )
        self._members_sql = sql(
            "SELECT uid, role, mute_until FROM x_conversation WHERE group_id = :group_id AND is_quit = 0 ORDER BY uid"
        )
        self._mute_until_sql = sql("SELECT mute_until FROM x_group WHERE group_id = :group_id")
        self._find_sql = sql(
            f"SELECT {', '.join(MESSAGE_COLUMNS)} FROM x_message WHERE group_id = :group_id AND msg_id = :msg_id"
        )
        self._still_in_inbox_sql = sql(
            "SELECT i.uid FROM x_conversation AS c JOIN x_inbox AS i ON i.uid = c.uid AND i.group_id = c.group_id"
            " WHERE c.group_id = :group_id AND i.seq_id = :seq_id"
        )

    def __call__(self, transaction: Transaction, submissions: list[Submission]) -> None:
        """Store messages together. Raises what the database refuses any of them with."""
        connection, time, committed = transaction.connection, transaction.time, transaction.committed
        entries = [_entry_of(submission) for submission in submissions]
        blocks = self._blocks(connection, entries)
        heads, taken = self._take(connection, entries, blocks, time)
        batch = Batch()
        rows, inbox, own = batch.rows, batch.inbox, batch.own
        for entry in entries:
            submission, message, group_id, group_type, sender, receiver, is_stored, counts = entry
            members = None
            receivers: Sequence[int]
            try:
                if group_type == _SINGLE:
                    if blocks and (receiver, sender) in blocks:
                        raise BlockedError(f"uid {receiver} does not take messages of yours")
                    if sender:
                        receivers = () if receiver == sender else (receiver,)
                    else:  # the system's, which is for both
                        receivers = users_of(group_id)
                elif group_type == _GROUP:
                    known, members = self._known(connection, submission, heads, batch.fresh)
                    submission.check(message, known, time)
                    receivers = [uid for uid in known.roles if uid != sender]
                else:
                    receivers = ()
            except RefusedError as error:
                repeat = self._repeat(connection, submission)
                committed.append(Committed(submission, repeat if isinstance(repeat, Stored) else error))
                _note_refused(batch, entry)
                continue
            if is_stored:
                seq_id = taken[group_id] = taken[group_id] + 1
                message.seq_id = seq_id
                _, _, group_name, message.send_time = heads[group_id]
                if group_name:
                    message.group_name = group_name
                row = row_of(message, submission.digest)
                rows.append(row)
                for uid in receivers:
                    inbox.append((uid, group_id, seq_id))
                if counts:
                    own[sender, group_id] = own.get((sender, group_id), 0) + 1
                if row[AT_UIDS]:
                    _note_mentions(batch, message, receivers)
            else:
                message.send_time = time
                if group_type == _GROUP:
                    message.group_name = heads[group_id].group_name
            committed.append(Committed(submission, Stored(message, receivers, members)))
        self._write(connection, batch)

    def one_by_one(self, transaction: Transaction, submissions: list[Submission]) -> None:
        """Store messages so that one which the database refuses fails alone."""
        for submission in submissions:
            savepoint = transaction.connection.begin_nested()
            before = len(transaction.committed)
            try:
                self(transaction, [submission])
                savepoint.commit()
            except Exception as error:
                if self._fault(error) is not Fault.ROW:
                    raise
                savepoint.rollback()
                del transaction.committed[before:]
                outcome = self._repeat(transaction.connection, submission) or explain(error, "a message")
                transaction.committed.append(Committed(submission, outcome))

    def control(self, transaction: Transaction, message: ImMsg, receivers: Sequence[int]) -> int:
        """Store a control message, whose group exists, and return its seq; the caller tells of it."""
        connection = transaction.connection
        head = self._advance(connection, {message.group_id: [1, 0]}, transaction.time)[message.group_id]
        message.seq_id = head.max_seq
        message.send_time = head.send_time
        message.group_name = head.group_name
        batch = Batch()
        batch.rows.append(row_of(message, b""))
        batch.inbox = [(uid, message.group_id, message.seq_id) for uid in receivers]
        self._write(connection, batch)
        return message.seq_id

    def members(self, connection: Connection, group_id: str, version: int) -> Members:
        """Load a group's members, whose ``version`` the transaction has locked."""
        rows = connection.exec_driver_sql(self._members_sql, (group_id,)).all()
        mute_until = connection.exec_driver_sql(self._mute_until_sql, (group_id,)).scalar_one()
        roles = {row[0]: row[1] for row in rows}
        return Members(version, roles, {row[0]: row[2] for row in rows if row[2]}, mute_until)

    def _known(
        self, connection: Connection, submission: Submission, heads: dict[str, Head], fresh: dict[str, Members]
    ) -> tuple[Members, Members | None]:
        """Return the members of a message's group, and again where the sender's cache is stale."""
        group_id = submission.message.group_id
        head = heads.get(group_id)
        if head is None:
            raise _not_in_group(group_id)
        members = fresh.get(group_id)
        known = members or submission.members
        if known is None or known.version != head.member_version:
            known = members = fresh[group_id] = self.members(connection, group_id, head.member_version)
        sender = submission.message.sender_id
        if sender not in known.roles and (sender or not known.roles):  # the system is in every group that still is one
            raise _not_in_group(group_id)
        return known, members

    def _take(
        self, connection: Connection, entries: list[Entry], blocks: set[tuple[int, int]], time: int
    ) -> tuple[dict[str, Head], dict[str, int]]:
        """Raise max_seq for all messages at once; return the groups, and where each one's seqs begin."""
        counts: dict[str, list[int]] = {}
        passing: set[str] = set()
        singles: dict[str, ImMsg] = {}
        for _, message, group_id, group_type, sender, receiver, is_stored, counted in entries:
            if not is_stored:
                passing.add(group_id)
                continue
            count = counts.get(group_id)
            if group_type == _SINGLE:
                if blocks and (receiver, sender) in blocks:
                    continue
                if count is None:
                    singles[group_id] = message
            elif "\0" in group_id:  # no group has one; SQLite's JSON would take what stands before it
                continue
            if count is None:
                count = counts[group_id] = [0, 0]
            count[0] += 1
            count[1] += counted
        heads = self._advance(connection, counts, time) if counts else {}
        if len(heads) < len(counts):
            new = {group_id: message for group_id, message in singles.items() if group_id not in heads}
            if new:
                self._open_singles(connection, new, time)
                heads |= self._advance(connection, {group_id: counts[group_id] for group_id in new}, time)
        taken = {group_id: head.max_seq - counts[group_id][0] for group_id, head in heads.items()}
        if passing:
            rows = connection.exec_driver_sql(self._heads_sql, (self._array(passing - heads.keys()),)).all()
            heads |= {row[0]: Head._make(row[1:]) for row in rows}
        return heads, taken

    def _advance(self, connection: Connection, counts: dict[str, list[int]], time: int) -> dict[str, Head]:
        # Sorted, since each locks its row: two nodes take what both want in the same order.
        counted = self._counts.pack(sorted([(group_id, n, m) for group_id, (n, m) in counts.items()]))
        rows = connection.exec_driver_sql(self._advance_sql, (time, time, *counted)).all()
        return {row[0]: Head._make(row[1:]) for row in rows}

    def _open_singles(self, connection: Connection, new: dict[str, ImMsg], time: int) -> None:
        singles = self._singles.pack(sorted([(group_id,) for group_id in new]))
        connection.exec_driver_sql(self._new_single_sql, (time, time, *singles))
        members = self._members_of_singles.pack([(uid, group_id) for group_id in new for uid in users_of(group_id)])
        connection.exec_driver_sql(self._new_single_conversation_sql, (time, time, *members))

    def _blocks(self, connection: Connection, entries: list[Entry]) -> set[tuple[int, int]]:
        """Return who has blocked whom, among the receivers and senders of single chats."""
        pairs = {(entry[5], entry[4]) for entry in entries if entry[3] == _SINGLE}
        if not pairs:
            return set()
        rows = connection.exec_driver_sql(self._blocks_sql, tuple(self._pairs.pack(list(pairs)))).all()
        return {(row[0], row[1]) for row in rows}

    def _repeat(self, connection: Connection, submission: Submission) -> Stored | ConflictError | None:
        """Return the first of two messages with one msg_id (rule 3), ConflictError where they differ."""
        message = submission.message
        row = connection.exec_driver_sql(self._find_sql, (message.group_id, message.msg_id)).one_or_none()
        if row is None:
            return None
        first = message_of(row[:-1])
        if first.sender_id != message.sender_id or row[-1] != submission.digest:
            return ConflictError(f"msg_id {message.msg_id} is already another message of {message.group_id}")
        if first.group_type == GroupType.SYSTEM:  # everybody's, and in nobody's inbox
            return Stored(first, (), repeated=True)
        receivers = connection.exec_driver_sql(self._still_in_inbox_sql, (first.group_id, first.seq_id)).scalars()
        return Stored(first, list(receivers), repeated=True)

    def _write(self, connection: Connection, batch: Batch) -> None:
        if batch.refused:
            self._give_back(connection, [(n, counted, group_id) for group_id, (n, counted) in batch.refused.items()])
        if batch.rows:
            self._insert_messages(connection, batch.rows)
        if batch.inbox:
            self._insert_inbox(connection, batch.inbox)
        if batch.own:
            self._own(connection, [(n, uid, group_id) for (uid, group_id), n in batch.own.items()])
        if batch.mentions:
            self._mention(connection, [(seq_id, uid, group_id) for (uid, group_id), seq_id in batch.mentions.items()])


def _entry_of(submission: Submission) -> Entry:
    message = submission.message
    return (
        submission,
        message,
        message.group_id,
        message.group_type,
        message.sender_id,
        message.receiver_id,
        message.msg_type != _PASSTHROUGH,
        not message.whether_non_count,
    )


def _note_refused(batch: Batch, entry: Entry) -> None:
    _, _, group_id, group_type, _, _, is_stored, counts = entry
    # A blocked sender's message has taken no seq, a passthrough takes none.
    if is_stored and group_type != _SINGLE:
        refused = batch.refused.setdefault(group_id, [0, 0])
        refused[0] += 1
        refused[1] += counts


def _note_mentions(batch: Batch, message: ImMsg, receivers: Sequence[int]) -> None:
    at_uids = set(message.at_uids)
    at = receivers if AT_EVERYBODY in at_uids else [uid for uid in receivers if uid in at_uids]
    for uid in at:
        batch.mentions[uid, message.group_id] = message.seq_id


def _not_in_group(group_id: str) -> NotInGroupError:
    return NotInGroupError(f"you are not in the group {group_id}")
