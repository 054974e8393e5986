"""Watermarks: how far messages have reached a user, and how far they have read (rules 6 and 8)."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from imd.ports.messages import InboxAck, Raised, ReadMark, Watermark
from imd.storage.sql import Sql
from imd.storage.transaction import Transaction
from imd.storage.unread import Unread, View
from imd.wire.enums import SYSTEM_GROUP

_RECEIVED = (
    "coalesce((SELECT min(i.seq_id) - 1 FROM x_inbox AS i WHERE i.uid = c.uid AND i.group_id = c.group_id),"
    " CASE WHEN c.is_quit = 0 THEN (SELECT g.max_seq FROM x_group AS g WHERE g.group_id = c.group_id)"
    " ELSE c.max_seq END)"
)
"""Of a row c of x_conversation, the seq up to which everything is out of the user's inbox (rule 6)."""

_SINGLES = 2
"""Members of a single chat."""


class Moved(NamedTuple):
    """A user's row of a group whose receive_seq rose."""

    receive_seq: int
    read_seq: int
    is_quit: int


_UNMOVED = Moved(0, 0, 0)


class Watermarks:
    """Raises watermarks; its statements are written for one database."""

    def __init__(self, sql: Sql, unread: Unread) -> None:
        self._unread = unread
        self._array = sql.array
        self._clear_inbox = sql.many(
            "DELETE FROM x_inbox{rows} WHERE x_inbox.uid = {uid} AND x_inbox.group_id = {group_id}"
            " AND x_inbox.seq_id BETWEEN {low} AND {high}",
            uid=int,
            group_id=str,
            low=int,
            high=int,
        )
        self._pairs = p = sql.rows(uid=int, group_id=str)
        self._receive_sql = sql(
            f"WITH m AS MATERIALIZED (SELECT c.uid, c.group_id, {_RECEIVED} AS reached"
            f" FROM {p} CROSS JOIN x_conversation AS c"
            f" WHERE c.uid = {p['uid']} AND c.group_id = {p['group_id']} AND c.group_type <> 3)"
            " UPDATE x_conversation SET receive_seq = m.reached, update_time = :now FROM m"
            " WHERE x_conversation.uid = m.uid AND x_conversation.group_id = m.group_id"
            " AND x_conversation.receive_seq < m.reached"
            " RETURNING x_conversation.uid, x_conversation.group_id, receive_seq, read_seq, is_quit"
        )
        end = "(SELECT g.max_seq FROM x_group AS g WHERE g.group_id = x_conversation.group_id)"
        self._receive_system = sql.many(
            f"UPDATE x_conversation SET update_time = {{now}},"
            f" receive_seq = CASE WHEN {end} < {{high}} THEN {end} ELSE {{high}} END{{rows}}"
            f" WHERE x_conversation.uid = {{uid}} AND x_conversation.group_id = '{SYSTEM_GROUP}'"
            f" AND receive_seq < {{high}} AND receive_seq < {end}",
            now=int,
            uid=int,
            high=int,
        )
        self._read = sql.many(
            "UPDATE x_conversation SET read_seq = {reached}, seen = {mine}, update_time = {now},"
            " at_seq = CASE WHEN at_seq > {reached} THEN at_seq ELSE 0 END{rows}"
            " WHERE x_conversation.uid = {uid} AND x_conversation.group_id = {group_id} AND read_seq < {reached}",
            reached=int,
            mine=int,
            now=int,
            uid=int,
            group_id=str,
        )
        self._touch_sql = sql(f"UPDATE x_group SET update_time = :now WHERE group_id {sql.among('group_ids', str)}")
        self._sizes_sql = sql(
            f"SELECT group_id, member_count FROM x_group WHERE group_id {sql.among('group_ids', str)}"
        )

    def rise(self, transaction: Transaction, acks: Sequence[InboxAck], reads: Sequence[ReadMark]) -> Raised:
        """Take messages out of inboxes, and raise what rises; ``rest`` is what takes another change."""
        connection, now = transaction.connection, transaction.time
        views = self._unread.views(connection, [(read.uid, read.group_id) for read in reads])
        marks: list[tuple[View, int]] = []
        for uid, group_id, read_seq in reads:
            view = views.get((uid, group_id))
            if view is not None and min(read_seq, view.max_seq) > view.read_seq:
                marks.append((view, min(read_seq, view.max_seq)))
        cleared = list(acks)
        rows: list[tuple[int, int, int, int, str]] = []
        risen: dict[tuple[int, str], tuple[View, int]] = {}
        rest: list[ReadMark] = []
        for (view, mark), (reached, seen) in zip(marks, self._unread.rise(connection, marks), strict=True):
            uid, group_id = view.uid, view.group_id
            if reached < mark:
                rest.append(ReadMark(uid, group_id, mark))
            rows.append((reached, seen, now, uid, group_id))
            risen[uid, group_id] = view, reached
            cleared.append(InboxAck(uid, group_id, 0, reached))
        if rows:
            self._read(connection, rows)
        moved = self.clear_inbox(connection, cleared, now)
        strangers = frozenset((read.uid, read.group_id) for read in reads) - views.keys()
        return Raised(self._watermarks(connection, moved, risen, now), strangers, rest)

    def clear_inbox(self, connection: Connection, ranges: Sequence[InboxAck], now: int) -> dict[tuple[int, str], Moved]:
        """Take messages out of inboxes; return the rows whose receive_seq rose."""
        cleared = [ack for ack in ranges if ack.group_id != SYSTEM_GROUP]
        if len(cleared) < len(ranges):  # broadcasts lie in no inbox: what an ACK says is what has been received
            received: dict[int, int] = {}
            for uid, group_id, _, high in ranges:
                if group_id == SYSTEM_GROUP:
                    received[uid] = max(high, received.get(uid, 0))
            # Sorted, since no group's lock keeps other nodes away.
            self._receive_system(connection, [(now, uid, high) for uid, high in sorted(received.items())])
        if not cleared:
            return {}
        self._clear_inbox(connection, cleared)
        pairs = list(dict.fromkeys((uid, group_id) for uid, group_id, _, _ in cleared))
        rows = connection.exec_driver_sql(self._receive_sql, (*self._pairs.pack(pairs), now)).all()
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
            connection.exec_driver_sql(self._touch_sql, (now, self._array(singles)))

    def _sizes(self, connection: Connection, group_ids: Iterable[str]) -> dict[str, int]:
        wanted = list(group_ids)
        if not wanted:
            return {}
        return dict(connection.exec_driver_sql(self._sizes_sql, (self._array(wanted),)).all())
