"""Messages in the local store. A row is there for every seq that is held: one that is missing is a gap."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from imd.client.database import Database
from imd.client.schema import MESSAGE_COLUMNS
from imd.client.values import Message, message_of
from imd.wire.bodies import ImMsg
from imd.wire.enums import MsgStatus, Status
from imd.wire.results import Result

_AT_UIDS = Message._fields.index("at_uids")
_MARKS = ", ".join("?" for _ in Message._fields)
_INSERT = f"INSERT INTO x_message ({MESSAGE_COLUMNS}) VALUES ({_MARKS})"
_TAKEN_BACK = (
    "msg_body = '', extra = '', at_uids = '',"
    " attach_id = 0, attach_type = 0, attach_name = '', attach_url = '', attach_size = 0"
)
_UPSERT = f"""{_INSERT}
    ON CONFLICT (group_id, seq_id) WHERE seq_id > 0
        DO UPDATE SET msg_status = excluded.msg_status, {_TAKEN_BACK}
        WHERE excluded.msg_status <> 0 AND x_message.msg_status <> {int(MsgStatus.DELETED)}
    ON CONFLICT DO NOTHING"""
_QUEUE = f"""{_INSERT}
    ON CONFLICT (group_id, msg_id) WHERE msg_id <> ''
        DO UPDATE SET status = excluded.status, result = 0, reason = '', queue_id = excluded.queue_id
        WHERE x_message.seq_id = 0"""
_ACKED = f"""UPDATE OR REPLACE x_message
    SET seq_id = ?, send_time = ?, status = {int(Status.SUCCESS)}, result = 0, reason = ''
    WHERE group_id = ? AND msg_id = ? AND msg_id <> '' AND seq_id = 0"""
_SELECT = f"SELECT {MESSAGE_COLUMNS} FROM x_message"
_HOLDS = f"(status = {int(Status.SENDING)} OR result IN (0, {int(Result.INTERNAL)}))"
"""Of what is not sent, all but what was refused: see imd.client.sending."""


class Run(NamedTuple):
    """Messages whose seqs follow each other, and the seq of the next one that is held, 0 where there is none."""

    messages: list[Message]
    next_held: int


class Inserted(NamedTuple):
    """Those of the messages put in that had been sent from here, by msg_id, and which of them had no ACK until now."""

    mine: dict[str, Message]
    found: list[Message]


def queue(database: Database, messages: Iterable[Message]) -> None:
    """Put messages in that are to be sent, or sent again at the end of the queue."""
    database.run_many(_QUEUE, [row_of(message) for message in messages])


def insert_received(database: Database, messages: Sequence[Message]) -> Inserted:
    """Put messages in that the server sent; what is there already stays, or is taken back."""
    inserted = Inserted({}, [])
    for message in messages:
        if message.sender_id == database.uid and message.msg_id:
            _take_mine(database, message, inserted)
    database.run_many(_UPSERT, [row_of(message) for message in messages])
    return inserted


def set_acked(database: Database, acked: Iterable[Message]) -> None:
    """Give what was ACKed its seq and time."""
    database.run_many(_ACKED, [(each.seq_id, each.send_time, each.group_id, each.msg_id) for each in acked])


def set_status(database: Database, message: Message) -> None:
    """Keep the status of what is not ACKed yet."""
    database.run(
        "UPDATE x_message SET status = ?, result = ?, reason = ?"
        " WHERE group_id = ? AND msg_id = ? AND msg_id <> '' AND seq_id = 0",
        message.status,
        message.result,
        message.reason,
        message.group_id,
        message.msg_id,
    )


def take_back(database: Database, group_id: str, seq_id: int) -> None:
    """Empty a message that was revoked."""
    database.run(
        f"UPDATE x_message SET msg_status = {int(MsgStatus.REVOKED)}, {_TAKEN_BACK}"
        f" WHERE group_id = ? AND seq_id = ? AND seq_id > 0 AND msg_status = {int(MsgStatus.NORMAL)}",
        group_id,
        seq_id,
    )


def delete(database: Database, group_id: str, seq_ids: Iterable[int]) -> None:
    """Put tombstones in place of these."""
    insert_received(database, [tombstone(group_id, seq_id) for seq_id in seq_ids])


def tombstone(group_id: str, seq_id: int) -> Message:
    """Return what is in place of a message that I deleted."""
    return message_of(ImMsg(group_id=group_id, seq_id=seq_id, msg_status=MsgStatus.DELETED))


def clear(database: Database, group_id: str, init_seq: int) -> None:
    """Drop everything up to a seq."""
    database.run("DELETE FROM x_message WHERE group_id = ? AND seq_id > 0 AND seq_id <= ?", group_id, init_seq)


def trim(database: Database, keep: int) -> None:
    """Drop all but the newest ``keep`` messages, and what is not ACKed."""
    database.run(
        "DELETE FROM x_message WHERE rowid <= (SELECT max(rowid) FROM x_message) - ? AND seq_id > 0",
        keep,
    )


def mark_read(database: Database, group_id: str, after: int, read_seq: int) -> None:
    """Set what was received after one seq and up to another to READ."""
    database.run(
        f"UPDATE x_message SET status = {int(Status.READ)}"
        f" WHERE group_id = ? AND seq_id > 0 AND seq_id > ? AND seq_id <= ? AND status = {int(Status.UNREAD)}",
        group_id,
        after,
        read_seq,
    )


def count_unread(database: Database, group_id: str, after: int, limit: int) -> int:
    """Count what is unread after a seq, up to ``limit``."""
    [(count,)] = database.run(
        "SELECT count(*) FROM (SELECT 1 FROM x_message WHERE group_id = ? AND seq_id > 0 AND seq_id > ?"
        " AND sender_id <> ? AND whether_non_count = 0 AND msg_status = 0 LIMIT ?)",
        group_id,
        after,
        database.uid,
        limit,
    )
    return int(count)


def newest(database: Database, group_id: str, before: int, limit: int) -> list[Message]:
    """Return the newest messages before a seq, ascending, whether or not their seqs join."""
    rows = database.run(
        f"{_SELECT} WHERE group_id = ? AND seq_id > 0 AND seq_id < ? ORDER BY seq_id DESC LIMIT ?",
        group_id,
        before,
        limit,
    )
    return [of_row(row) for row in reversed(rows)]


def run_after(database: Database, group_id: str, after: int, limit: int) -> Run:
    """Return the messages that follow a seq without a gap, at most ``limit``."""
    rows = database.run(
        f"{_SELECT} WHERE group_id = ? AND seq_id > 0 AND seq_id > ? ORDER BY seq_id LIMIT ?", group_id, after, limit
    )
    messages: list[Message] = []
    for row in rows:
        message = of_row(row)
        if message.seq_id != after + 1:
            return Run(messages, message.seq_id)
        after = message.seq_id
        messages.append(message)
    return Run(messages, 0)


def lowest(database: Database, group_id: str) -> int:
    """Return the lowest seq that is held, 0 where none is."""
    rows = database.run(
        "SELECT seq_id FROM x_message WHERE group_id = ? AND seq_id > 0 ORDER BY seq_id LIMIT 1", group_id
    )
    return int(rows[0][0]) if rows else 0


# What is not sent yet.


def unsent(database: Database, group_id: str | None, limit: int) -> list[Message]:
    """Return what is SENDING or FAILURE, in its order."""
    rows = database.run(
        f"{_SELECT} WHERE seq_id = 0 AND (? IS NULL OR group_id = ?) ORDER BY queue_id LIMIT ?",
        group_id,
        group_id,
        limit,
    )
    return [of_row(row) for row in rows]


def unsent_one(database: Database, msg_id: str) -> Message | None:
    """Return what is SENDING or FAILURE under this id."""
    rows = database.run(f"{_SELECT} WHERE seq_id = 0 AND msg_id = ?", msg_id)
    return of_row(rows[0]) if rows else None


def queued(database: Database, group_id: str, after: int, limit: int) -> list[Message]:
    """Return a conversation's queue after a place in it."""
    rows = database.run(
        f"{_SELECT} WHERE group_id = ? AND queue_id > ? AND seq_id = 0 AND {_HOLDS} ORDER BY queue_id LIMIT ?",
        group_id,
        after,
        limit,
    )
    return [of_row(row) for row in rows]


def queues(database: Database) -> dict[str, int]:
    """Return how much is queued, by conversation."""
    rows = database.run(f"SELECT group_id, count(*) FROM x_message WHERE seq_id = 0 AND {_HOLDS} GROUP BY group_id")
    return dict(rows)


def last_queue_id(database: Database) -> int:
    """Return the last place in the queue that was given."""
    [(last,)] = database.run("SELECT coalesce(max(queue_id), 0) FROM x_message WHERE seq_id = 0")
    return int(last)


def discard(database: Database, message: Message) -> None:
    """Drop what is not ACKed."""
    database.run(
        "DELETE FROM x_message WHERE group_id = ? AND msg_id = ? AND msg_id <> '' AND seq_id = 0",
        message.group_id,
        message.msg_id,
    )


def row_of(message: Message) -> tuple[Any, ...]:
    """Return a message as a row."""
    at_uids = message.at_uids
    return (*message[:_AT_UIDS], ",".join(map(str, at_uids)) if at_uids else "")


def of_row(row: Sequence[Any]) -> Message:
    """Return a row as a message."""
    at_uids = row[_AT_UIDS]
    return Message._make((*row[:_AT_UIDS], tuple(map(int, at_uids.split(","))) if at_uids else ()))


def _take_mine(database: Database, message: Message, inserted: Inserted) -> None:
    rows = database.run(
        "SELECT queue_id, seq_id FROM x_message WHERE group_id = ? AND msg_id = ? AND msg_id <> ''",
        message.group_id,
        message.msg_id,
    )
    if not rows or not rows[0][0]:
        return
    mine = inserted.mine[message.msg_id] = message._replace(queue_id=rows[0][0], status=int(Status.SUCCESS))
    if not rows[0][1]:
        set_acked(database, [mine])
        inserted.found.append(mine)
