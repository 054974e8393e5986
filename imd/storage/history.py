"""History: a page of a conversation's messages, and what has lain too long in an inbox."""

from collections.abc import Sequence

from sqlalchemy import Connection

from imd.errors import NotInGroupError
from imd.ports.messages import Overdue, OverdueCursor, Span
from imd.storage.conversations import tombstone
from imd.storage.rows import READ_COLUMNS, message_of
from imd.storage.sql import Sql
from imd.wire.bodies import ImMsg, UserData
from imd.wire.packet import HEADER_SIZE

OVERDUE_PAGE = 100
"""Inbox rows of one user that one step of the sweep looks at."""


class History:
    """Reads messages; its statements are written for one database. ``max_body`` is in bytes."""

    def __init__(self, sql: Sql, max_body: int) -> None:
        self._max_body = max_body
        self._membership_sql = sql(
            "SELECT c.init_seq, g.floor_seq, c.read_seq,"
            " CASE WHEN c.is_quit = 0 THEN g.max_seq ELSE c.max_seq END"
            " FROM x_conversation AS c JOIN x_group AS g ON g.group_id = c.group_id"
            " WHERE c.uid = :uid AND c.group_id = :group_id"
        )
        self._page_sql = sql(
            f"SELECT {', '.join(READ_COLUMNS)} FROM x_message"
            " WHERE group_id = :group_id AND seq_id > :after AND seq_id < :before"
            " ORDER BY seq_id DESC LIMIT :page_size"
        )
        self._hidden_sql = sql(
            "SELECT seq_id FROM x_hidden WHERE uid = :uid AND group_id = :group_id AND seq_id BETWEEN :low AND :high"
        )
        self._senders_sql = sql(
            "SELECT DISTINCT sender_id FROM x_message"
            " WHERE group_id = :group_id AND seq_id > :after AND seq_id <= :upto"
        )
        self._uids = u = sql.rows(uid=int)
        self._waiting_sql = sql(
            f"SELECT {u['uid']} FROM {u} WHERE EXISTS (SELECT 1 FROM x_inbox AS i WHERE i.uid = {u['uid']})"
        )
        columns = ", ".join(f"m.{name}" for name in READ_COLUMNS)
        self._overdue_sql = sql(
            f"SELECT {columns} FROM (SELECT group_id, seq_id FROM x_inbox"
            " WHERE uid = :uid AND (group_id, seq_id) > (:group_id, :seq_id) ORDER BY group_id, seq_id LIMIT :n)"
            " AS i JOIN x_message AS m ON m.group_id = i.group_id AND m.seq_id = i.seq_id"
            " ORDER BY m.group_id, m.seq_id"
        )

    def pull(
        self, connection: Connection, uid: int, group_id: str, after: int, before: int, page_size: int
    ) -> UserData:
        """Rule 7. A page that would pass max_body keeps its newest messages and says has_more."""
        membership = connection.exec_driver_sql(self._membership_sql, (uid, group_id)).one_or_none()
        if membership is None:
            raise NotInGroupError(f"you are not in the group {group_id}")
        init_seq, floor_seq, read_seq, max_seq = membership
        after = max(after, init_seq, floor_seq)
        before = min(before, max_seq + 1) if before else max_seq + 1
        rows = connection.exec_driver_sql(self._page_sql, (group_id, after, before, page_size)).all()
        hidden: set[int] = set()
        if rows:
            span = (uid, group_id, rows[-1][1], rows[0][1])
            hidden = set(connection.exec_driver_sql(self._hidden_sql, span).scalars())
        messages: list[ImMsg] = []
        size = 0
        for row in rows:
            if row[1] in hidden:
                message = tombstone(group_id, row[17], row[1])
            else:
                message = message_of(row, uid, read_seq)
            size += message.ByteSize() + 8
            if size > self._max_body and messages:
                break
            messages.append(message)
        messages.reverse()
        has_more = bool(messages) and messages[0].seq_id > after + 1
        return UserData(messages=messages, has_more=has_more)

    def senders(self, connection: Connection, spans: Sequence[Span]) -> list[set[int]]:
        """Return who sent the messages of each span."""
        return [
            set(connection.exec_driver_sql(self._senders_sql, (group_id, after, upto)).scalars())
            for _, group_id, after, upto in spans
        ]

    def overdue(self, connection: Connection, cursors: Sequence[OverdueCursor], before: int) -> list[Overdue]:
        """For each user, those of the next OVERDUE_PAGE rows of the inbox that were stored before ``before`` (ms).

        A page that would pass max_body stops early, so that one step of the sweep fits what a client may leave unread.
        """
        found = []
        if not cursors:
            return []
        uids = self._uids.pack([(cursor.uid,) for cursor in cursors])
        # Of most users nothing waits: one statement tells them all.
        waiting = set(connection.exec_driver_sql(self._waiting_sql, tuple(uids)).scalars())
        for cursor in cursors:
            if cursor.uid not in waiting:
                continue
            rows = connection.exec_driver_sql(self._overdue_sql, (*cursor, OVERDUE_PAGE)).all()
            if rows:
                following = OverdueCursor(cursor.uid, rows[-1][0], rows[-1][1]) if len(rows) == OVERDUE_PAGE else None
                messages: list[ImMsg] = []
                size = 0
                for row in rows:
                    if row[5] < before:
                        message = message_of(row)
                        size += message.ByteSize() + HEADER_SIZE
                        if size > self._max_body and messages:
                            following = OverdueCursor(cursor.uid, messages[-1].group_id, messages[-1].seq_id)
                            break
                        messages.append(message)
                found.append(Overdue(cursor.uid, messages, following))
        return found
