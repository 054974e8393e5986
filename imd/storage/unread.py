"""Unread messages, by two counters instead of row by row (rule 8).

x_group.counted is how many messages with whether_non_count 0 a group ever had, x_conversation.seen how many of them
are not unread for that user: read, cleared, deleted by retention, their own, revoked, or deleted by them. So what is
unread is the difference. A message adds to both for its sender; a mark that rises adds what it passes; a revoke or a
deletion adds what was unread until then. In the broadcast stream, which is everybody's, a revoke would touch every
user: there unread is counted row by row.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Dialect, text

from imd.storage.sql import positional
from imd.wire.enums import GroupType

UNREAD_LIMIT = 1000
"""Where counting unread messages stops (rule 8)."""

STEP = 5000
"""Messages that one change looks through at most."""

_COUNTS = (
    "m.sender_id <> :uid AND m.whether_non_count = 0 AND m.msg_status = 0"
    " AND NOT EXISTS (SELECT 1 FROM x_hidden AS h WHERE h.uid = :uid2 AND h.group_id = m.group_id"
    " AND h.seq_id = m.seq_id)"
)


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
    """Keeps the counters right; its statements are compiled for one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._view_sql = positional(
            text(
                "SELECT c.uid, c.group_id, g.group_type, c.is_quit, c.init_seq, c.read_seq, c.receive_seq, c.seen,"
                " c.at_seq, c.role, CASE WHEN c.is_quit = 0 THEN g.max_seq ELSE c.max_seq END, g.counted, g.floor_seq,"
                " g.member_count"
                " FROM x_conversation AS c JOIN x_group AS g ON g.group_id = c.group_id"
                " WHERE c.uid = :uid AND c.group_id = :group_id"
            ),
            dialect,
        )
        self._between_sql = positional(
            text(
                f"SELECT count(*) FROM x_message AS m"
                f" WHERE m.group_id = :group_id AND m.seq_id > :low AND m.seq_id <= :high AND {_COUNTS}"
            ),
            dialect,
        )
        self._among_sql = positional(
            text(
                f"SELECT count(*) FROM x_message AS m WHERE m.group_id = :group_id AND m.seq_id > :mark"
                f" AND m.seq_id IN (SELECT value FROM json_each(:seq_ids)) AND {_COUNTS}"
            ),
            dialect,
        )
        self._mention_sql = positional(
            text(
                "SELECT max(m.seq_id) FROM x_message AS m"
                " WHERE m.group_id = :group_id AND m.seq_id > :low AND m.seq_id < :high AND m.at_uids <> ''"
                " AND m.sender_id <> :sender AND m.msg_status = 0"
                " AND (',' || m.at_uids || ',' LIKE '%,0,%' OR ',' || m.at_uids || ',' LIKE :at)"
                " AND NOT EXISTS (SELECT 1 FROM x_hidden AS h WHERE h.uid = :uid AND h.group_id = m.group_id"
                " AND h.seq_id = m.seq_id)"
            ),
            dialect,
        )

    def view(self, connection: Connection, uid: int, group_id: str) -> View | None:
        """Return what a user sees of a group, None where they never were in it."""
        row = connection.exec_driver_sql(self._view_sql, (uid, group_id)).one_or_none()
        return None if row is None else View._make(row)

    def views(self, connection: Connection, pairs: Iterable[tuple[int, str]]) -> dict[tuple[int, str], View]:
        """Return the same for many."""
        found = {pair: self.view(connection, *pair) for pair in pairs}
        return {pair: view for pair, view in found.items() if view is not None}

    def rise(self, connection: Connection, view: View, mark: int) -> tuple[int, int]:
        """Return how far the user's mark comes in one change on its way to ``mark``, and ``seen`` there."""
        if view.group_type == GroupType.SYSTEM or view.is_quit or mark <= view.mark:
            return mark, view.seen
        if mark >= view.max_seq:
            return mark, view.counted
        if view.max_seq - mark <= STEP:
            return mark, view.counted - self.between(connection, view, mark, view.max_seq)
        mark = min(mark, view.mark + STEP)
        return mark, view.seen + self.between(connection, view, view.mark, mark)

    def between(self, connection: Connection, view: View, low: int, high: int) -> int:
        """Count the messages with ``low`` < seq <= ``high`` that would be unread for the user."""
        parameters = (view.group_id, low, high, view.uid, view.uid)
        count: int = connection.exec_driver_sql(self._between_sql, parameters).scalar_one()
        return count

    def among(self, connection: Connection, view: View, seq_ids: Sequence[int]) -> int:
        """Count those of ``seq_ids`` that are unread for the user."""
        if view.is_quit or view.group_type == GroupType.SYSTEM:
            return 0
        parameters = (view.group_id, view.mark, f"[{','.join(map(str, seq_ids))}]", view.uid, view.uid)
        count: int = connection.exec_driver_sql(self._among_sql, parameters).scalar_one()
        return count

    def mention(self, connection: Connection, view: View) -> int:
        """Return the newest unread mention of the user before their at_seq, looking STEP messages back; 0 for none."""
        low = max(view.mark, view.at_seq - STEP)
        parameters = (view.group_id, low, view.at_seq, view.uid, f"%,{view.uid},%", view.uid)
        return connection.exec_driver_sql(self._mention_sql, parameters).scalar() or 0
