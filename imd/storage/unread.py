"""Unread messages, by two counters instead of row by row (rule 8).

x_group.counted is how many messages with whether_non_count 0 a group ever had, x_conversation.seen how many of them
are not unread for that user: read, cleared, deleted by retention, their own, revoked, or deleted by them. So what is
unread is the difference. A message adds to both for its sender; a mark that rises adds what it passes; a revoke or a
deletion adds what was unread until then. In the broadcast stream, which is everybody's, a revoke would touch every
user: there unread is counted row by row.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from imd.storage.sql import Sql
from imd.wire.enums import GroupType

UNREAD_LIMIT = 1000
"""Where counting unread messages stops (rule 8)."""

STEP = 5000
"""Messages that one change looks through at most."""


class View(NamedTuple):
    """A user's row of x_conversation and what they see of its group; ``max_seq`` is where their view ends."""

    uid: int
    group_id: str
    group_type: int
    is_quit: int
    init_seq: int
    read_seq: int
    receive_seq: int
    seen: int
    at_seq: int
    role: int
    max_seq: int
    counted: int
    floor_seq: int
    member_count: int

    @property
    def begins_after(self) -> int:
        """The seq after which the user's history begins."""
        return max(self.init_seq, self.floor_seq)

    @property
    def mark(self) -> int:
        """The seq up to which nothing is unread."""
        return max(self.read_seq, self.init_seq, self.floor_seq)


class Unread:
    """Keeps the counters right; its statements are written for one database."""

    def __init__(self, sql: Sql) -> None:
        self._pairs = p = sql.rows(uid=int, group_id=str)
        self._views_sql = sql(
            "SELECT c.uid, c.group_id, g.group_type, c.is_quit, c.init_seq, c.read_seq, c.receive_seq, c.seen,"
            " c.at_seq, c.role, CASE WHEN c.is_quit = 0 THEN g.max_seq ELSE c.max_seq END, g.counted, g.floor_seq,"
            " g.member_count"
            f" FROM {p} CROSS JOIN x_conversation AS c JOIN x_group AS g ON g.group_id = c.group_id"
            f" WHERE c.uid = {p['uid']} AND c.group_id = {p['group_id']}"
        )
        self._spans = s = sql.rows(number=int, group_id=str, low=int, high=int, uid=int)
        self._between_sql = sql(
            f"SELECT {s['number']}, (SELECT count(*) FROM x_message AS m WHERE m.group_id = {s['group_id']}"
            f" AND m.seq_id > {s['low']} AND m.seq_id <= {s['high']} AND {_counts(s['uid'], s['uid'])}) FROM {s}"
        )
        self._array = sql.array
        self._among_sql = sql(
            f"SELECT count(*) FROM x_message AS m WHERE m.group_id = :group_id AND m.seq_id > :mark"
            f" AND m.seq_id {sql.among('seq_ids', int)} AND {_counts(':uid', ':uid2')}"
        )
        self._mention_sql = sql(
            "SELECT max(m.seq_id) FROM x_message AS m"
            " WHERE m.group_id = :group_id AND m.seq_id > :low AND m.seq_id < :high AND m.at_uids <> ''"
            " AND m.sender_id <> :sender AND m.msg_status = 0"
            " AND (',' || m.at_uids || ',' LIKE '%,0,%' OR ',' || m.at_uids || ',' LIKE :at)"
            " AND NOT EXISTS (SELECT 1 FROM x_hidden AS h WHERE h.uid = :uid AND h.group_id = m.group_id"
            " AND h.seq_id = m.seq_id)"
        )

    def view(self, connection: Connection, uid: int, group_id: str) -> View | None:
        """Return what a user sees of a group, None where they never were in it."""
        return self.views(connection, [(uid, group_id)]).get((uid, group_id))

    def views(self, connection: Connection, pairs: Sequence[tuple[int, str]]) -> dict[tuple[int, str], View]:
        """Return the same for many."""
        if not pairs:
            return {}
        rows = connection.exec_driver_sql(self._views_sql, tuple(self._pairs.pack(pairs)))
        return {(row[0], row[1]): View._make(row) for row in rows}

    def rise(self, connection: Connection, marks: Sequence[tuple[View, int]]) -> list[tuple[int, int]]:
        """Return how far each user's mark comes in one change on its way to what is asked for, and ``seen`` there."""
        risen: list[tuple[int, int]] = []
        left: list[tuple[int, str, int, int, int]] = []
        passed: list[tuple[int, str, int, int, int]] = []
        for number, (view, mark) in enumerate(marks):
            if view.group_type == GroupType.SYSTEM or view.is_quit or mark <= view.mark:
                risen.append((mark, view.seen))
            elif mark >= view.max_seq:
                risen.append((mark, view.counted))
            elif view.max_seq - mark <= STEP:
                risen.append((mark, view.counted))
                left.append((number, view.group_id, mark, view.max_seq, view.uid))
            else:
                reached = min(mark, view.mark + STEP)
                risen.append((reached, view.seen))
                passed.append((number, view.group_id, view.mark, reached, view.uid))
        if spans := left + passed:
            rows = connection.exec_driver_sql(self._between_sql, tuple(self._spans.pack(spans))).all()
            sign = dict.fromkeys((number for number, *_ in left), -1)
            for number, unread in rows:
                reached, seen = risen[number]
                risen[number] = reached, seen + sign.get(number, 1) * unread
        return risen

    def among(self, connection: Connection, view: View, seq_ids: Sequence[int]) -> int:
        """Count those of ``seq_ids`` that are unread for the user."""
        if view.is_quit or view.group_type == GroupType.SYSTEM:
            return 0
        parameters = (view.group_id, view.mark, self._array(seq_ids), view.uid, view.uid)
        count: int = connection.exec_driver_sql(self._among_sql, parameters).scalar_one()
        return count

    def mention(self, connection: Connection, view: View) -> int:
        """Return the newest unread mention of the user before their at_seq, looking STEP messages back; 0 for none."""
        low = max(view.mark, view.at_seq - STEP)
        parameters = (view.group_id, low, view.at_seq, view.uid, f"%,{view.uid},%", view.uid)
        return connection.exec_driver_sql(self._mention_sql, parameters).scalar() or 0


def _counts(uid: str, uid2: str) -> str:
    """Return the condition that a message m after the user's mark is unread for them, who are named twice."""
    return (
        f"m.sender_id <> {uid} AND m.whether_non_count = 0 AND m.msg_status = 0"
        f" AND NOT EXISTS (SELECT 1 FROM x_hidden AS h WHERE h.uid = {uid2} AND h.group_id = m.group_id"
        " AND h.seq_id = m.seq_id)"
    )
