"""Watermarks: how far messages have reached a user, and how far they have read (rules 6 and 8)."""

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Dialect, text

from imd.ports.messages import InboxAck, Raised, ReadMark, Watermark
from imd.storage.sql import positional
from imd.storage.transaction import Transaction
from imd.storage.unread import Unread, View
from imd.wire.enums import SYSTEM_GROUP

_RECEIVED = (
    "coalesce((SELECT min(i.seq_id) - 1 FROM x_inbox AS i"
    " WHERE i.uid = x_conversation.uid AND i.group_id = x_conversation.group_id),"
    " CASE WHEN is_quit = 0 THEN (SELECT g.max_seq FROM x_group AS g WHERE g.group_id = x_conversation.group_id)"
    " ELSE max_seq END)"
)
"""Of a row of x_conversation, the seq up to which everything is out of the user's inbox (rule 6)."""

_SINGLES = 2
"""Members of a single chat."""


class Moved(NamedTuple):
    """A user's row of a group whose receive_seq rose."""

    receive_seq: int
    read_seq: int
    is_quit: int


_UNMOVED = Moved(0, 0, 0)


class Watermarks:
    """Raises watermarks; its statements are compiled for one dialect."""

    def __init__(self, dialect: Dialect, unread: Unread) -> None:
        self._unread = unread
        self._clear_inbox_sql = positional(
            text("DELETE FROM x_inbox WHERE uid = :uid AND group_id = :group_id AND seq_id BETWEEN :low AND :high"),
            dialect,
        )
        self._receive_sql = positional(
            text(
                f"UPDATE x_conversation SET receive_seq = {_RECEIVED}, update_time = :now"
                " FROM json_each(:pairs) AS p WHERE uid = (p.value ->> 0) AND group_id = (p.value ->> 1)"
                f" AND group_type <> 3 AND receive_seq < {_RECEIVED}"
                " RETURNING uid, group_id, receive_seq, read_seq, is_quit"
            ),
            dialect,
        )
        self._receive_system_sql = positional(
            text(
                "UPDATE x_conversation SET update_time = :now, receive_seq ="
                " (SELECT CASE WHEN g.max_seq < :high THEN g.max_seq ELSE :high2 END FROM x_group AS g"
                " WHERE g.group_id = x_conversation.group_id)"
                " WHERE uid = :uid AND group_id = :group_id AND receive_seq < :high3 AND receive_seq <"
                " (SELECT g.max_seq FROM x_group AS g WHERE g.group_id = x_conversation.group_id)"
            ),
            dialect,
        )
        self._read_sql = positional(
            text(
                "UPDATE x_conversation SET read_seq = :read_seq, seen = :seen, update_time = :now,"
                " at_seq = CASE WHEN at_seq > :read_seq2 THEN at_seq ELSE 0 END"
                " WHERE uid = :uid AND group_id = :group_id"
            ),
            dialect,
        )
        self._touch_sql = positional(
            text("UPDATE x_group SET update_time = :now WHERE group_id IN (SELECT value FROM json_each(:group_ids))"),
            dialect,
        )
        self._sizes_sql = positional(
            text(
                "SELECT group_id, member_count FROM x_group WHERE group_id IN (SELECT value FROM json_each(:group_ids))"
            ),
            dialect,
        )

    def rise(self, transaction: Transaction, acks: Sequence[InboxAck], reads: Sequence[ReadMark]) -> Raised:
        """Take messages out of inboxes, and raise what rises; ``rest`` is what takes another change."""
        connection, now = transaction.connection, transaction.time
        views = self._unread.views(connection, ((read.uid, read.group_id) for read in reads))
        cleared = list(acks)
        rows: list[tuple[int, int, int, int, int, str]] = []
        risen: dict[tuple[int, str], tuple[View, int]] = {}
        rest: list[ReadMark] = []
        for uid, group_id, read_seq in reads:
            view = views.get((uid, group_id))
            if view is None or min(read_seq, view.max_seq) <= view.read_seq:
                continue
            mark = min(read_seq, view.max_seq)
            reached, seen = self._unread.rise(connection, view, mark)
            if reached < mark:
                rest.append(ReadMark(uid, group_id, mark))
            rows.append((reached, seen, now, reached, uid, group_id))
            risen[uid, group_id] = view, reached
            cleared.append(InboxAck(uid, group_id, 0, reached))
        if rows:
            connection.exec_driver_sql(self._read_sql, rows)
        moved = self.clear_inbox(connection, cleared, now)
        strangers = frozenset((read.uid, read.group_id) for read in reads) - views.keys()
        return Raised(self._watermarks(connection, moved, risen, now), strangers, rest)

    def clear_inbox(self, connection: Connection, ranges: Sequence[InboxAck], now: int) -> dict[tuple[int, str], Moved]:
        """Take messages out of inboxes; return the rows whose receive_seq rose."""
        cleared = [ack for ack in ranges if ack.group_id != SYSTEM_GROUP]
        if len(cleared) < len(ranges):  # broadcasts lie in no inbox: what an ACK says is what has been received
            received = [(now, ack.high, ack.high, ack.uid, ack.group_id, ack.high) for ack in ranges]
            connection.exec_driver_sql(self._receive_system_sql, [row for row in received if row[4] == SYSTEM_GROUP])
        if not cleared:
            return {}
        connection.exec_driver_sql(self._clear_inbox_sql, cleared)
        pairs = list(dict.fromkeys((uid, group_id) for uid, group_id, _, _ in cleared))
        rows = connection.exec_driver_sql(self._receive_sql, (now, json.dumps(pairs))).all()
        moved = {(row[0], row[1]): Moved(row[2], row[3], row[4]) for row in rows}
        self._touch_singles(connection, moved, now)
        return moved

    def _watermarks(
        self,
        connection: Connection,
        moved: dict[tuple[int, str], Moved],
        risen: dict[tuple[int, str], tuple[View, int]],
        now: int,
    ) -> list[Watermark]:
        touched = moved.keys() | risen.keys()
        self._touch_singles(connection, risen.keys() - moved.keys(), now)
        sizes = self._sizes(connection, {group_id for _, group_id in touched if "_" not in group_id})
        watermarks = []
        for uid, group_id in touched:
            receive_seq, read_seq, is_quit = moved.get((uid, group_id), _UNMOVED)
            read_from = read_seq
            if (uid, group_id) in risen:
                view, read_seq = risen[uid, group_id]
                is_quit = view.is_quit
                receive_seq, read_from = max(receive_seq, view.receive_seq, read_seq), view.read_seq
            size = 0 if is_quit else sizes.get(group_id, _SINGLES)
            watermarks.append(Watermark(uid, group_id, receive_seq, read_seq, read_from, size))
        return watermarks

    def _touch_singles(self, connection: Connection, pairs: Iterable[tuple[int, str]], now: int) -> None:
        """Note a change of single chats for both: each of the two sees the watermarks of the other one."""
        singles = {group_id for _, group_id in pairs if "_" in group_id}
        if singles:
            connection.exec_driver_sql(self._touch_sql, (now, json.dumps(list(singles))))

    def _sizes(self, connection: Connection, group_ids: Iterable[str]) -> dict[str, int]:
        wanted = list(group_ids)
        if not wanted:
            return {}
        return dict(connection.exec_driver_sql(self._sizes_sql, (json.dumps(wanted),)).all())
