"""Retention: the oldest messages of a group go in small steps, and its floor rises over them.

What they were for its members is settled as they go: they leave inboxes, they are unread and mentions no longer. In
the broadcast stream everybody has a row, so nothing but the floor is written there: it has no inboxes, what is unread
in it is counted row by row, and readers begin at the floor. What users deleted there below the floor stays in x_hidden,
where nobody looks at it; these rows are few, as each was made by hand.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from imd.ports.messages import InboxAck
from imd.ports.retention import AgedGroups
from imd.storage.sql import Sql
from imd.storage.transaction import Transaction
from imd.storage.watermarks import Watermarks
from imd.wire.enums import GroupType, MsgStatus

STEP_INBOX = 10_000
"""Inbox rows that one step deletes at most; a step of one message may delete more."""

STEP_TEXT = 1024 * 1024
"""Characters of msg_body that one step deletes at most; a step of one message may delete more."""

_CHUNK = 32
"""Rows that are read together, since STEP_TEXT may end a step after few."""


class Aged(NamedTuple):
    """A message that is too old; ``is_counted`` where it may be unread for somebody."""

    seq_id: int
    sender_id: int
    is_counted: bool


class Loser(NamedTuple):
    """The row of a member or former member who has not received or not read all messages that go."""

    uid: int
    init_seq: int
    read_seq: int
    receive_seq: int
    at_seq: int


class Retention:
    """Deletes old messages; its statements are written for one database."""

    def __init__(self, sql: Sql, watermarks: Watermarks) -> None:
        self._watermarks = watermarks
        self._groups_sql = sql(
            "SELECT g.group_id, m.send_time FROM"
            " (SELECT group_id, floor_seq FROM x_group WHERE group_id > :cursor ORDER BY group_id LIMIT :n) AS g"
            " LEFT JOIN x_message AS m ON m.group_id = g.group_id AND m.seq_id = g.floor_seq + 1"
            " ORDER BY g.group_id"
        )
        self._group_sql = sql("SELECT group_type, floor_seq FROM x_group WHERE group_id = :group_id")
        self._aged_sql = sql(
            "SELECT seq_id, sender_id, whether_non_count, msg_status, send_time, length(msg_body) FROM x_message"
            " WHERE group_id = :group_id AND seq_id > :floor ORDER BY seq_id LIMIT :n"
        )
        self._losers_sql = sql(
            f"SELECT {', '.join(Loser._fields)} FROM x_conversation WHERE group_id = :group_id"
            " AND ((receive_seq < :floor AND (is_quit = 0 OR receive_seq < max_seq))"
            " OR (read_seq < :floor2 AND init_seq < :floor3 AND is_quit = 0))"
        )
        self._hidden_sql = sql(
            "SELECT h.uid, h.seq_id FROM x_conversation AS c"
            " JOIN x_hidden AS h ON h.uid = c.uid AND h.group_id = c.group_id"
            " WHERE c.group_id = :group_id AND h.seq_id <= :floor"
        )
        self._settle_seen = sql.many(
            "UPDATE x_conversation SET seen = seen + {n}, at_seq = {mention}{rows}"
            " WHERE x_conversation.uid = {uid} AND x_conversation.group_id = {group_id}",
            n=int,
            mention=int,
            uid=int,
            group_id=str,
        )
        self._forget = sql.many(
            "DELETE FROM x_hidden{rows} WHERE x_hidden.uid = {uid} AND x_hidden.group_id = {group_id}"
            " AND x_hidden.seq_id <= {floor}",
            uid=int,
            group_id=str,
            floor=int,
        )
        self._drop_sql = sql("DELETE FROM x_message WHERE group_id = :group_id AND seq_id <= :floor")
        self._rise_sql = sql("UPDATE x_group SET floor_seq = :floor, update_time = :now WHERE group_id = :group_id")

    def aged_groups(self, connection: Connection, cursor: str, before: int, limit: int) -> AgedGroups:
        """Of the next ``limit`` groups after ``cursor``, those whose oldest message is from before ``before`` (ms)."""
        rows = connection.exec_driver_sql(self._groups_sql, (cursor, limit)).all()
        found = [group_id for group_id, send_time in rows if send_time is not None and send_time < before]
        return AgedGroups(found, rows[-1][0] if len(rows) == limit else "")

    def count_aged(self, connection: Connection, group_id: str, before: int, limit: int) -> int:
        """Read what ``drop_messages`` will read, and return how many messages are too old, ``limit`` at most.

        On a reader's thread, before the change, so that the writer finds the pages in memory and waits for no disk.
        """
        group = connection.exec_driver_sql(self._group_sql, (group_id,)).one_or_none()
        if group is None:
            return 0
        group_type, floor_seq = group
        aged = self._aged(connection, group_id, floor_seq, before, limit)
        if aged and group_type != GroupType.SYSTEM:
            self._losers(connection, group_id, aged[-1].seq_id)
            self._hidden(connection, group_id, aged[-1].seq_id)
        return len(aged)

    def drop_messages(self, transaction: Transaction, group_id: str, before: int, limit: int) -> int:
        """Delete the oldest messages of a group that are from before ``before`` (ms), as many as one step may.

        Returns how many there were, 0 only where none is left.
        """
        connection = transaction.connection
        group = connection.exec_driver_sql(self._group_sql, (group_id,)).one_or_none()
        if group is None:
            return 0
        group_type, floor_seq = group
        aged = self._aged(connection, group_id, floor_seq, before, limit)
        if not aged:
            return 0
        if group_type != GroupType.SYSTEM:
            losers = self._losers(connection, group_id, aged[-1].seq_id)
            behind = sum(loser.receive_seq < aged[-1].seq_id for loser in losers)
            del aged[max(1, STEP_INBOX // max(1, behind)) :]
            self._settle(transaction, group_id, aged, losers)
        floor_seq = aged[-1].seq_id
        connection.exec_driver_sql(self._drop_sql, (group_id, floor_seq))
        connection.exec_driver_sql(self._rise_sql, (floor_seq, transaction.time, group_id))
        return len(aged)

    def _settle(self, transaction: Transaction, group_id: str, aged: Sequence[Aged], losers: Sequence[Loser]) -> None:
        connection, floor_seq = transaction.connection, aged[-1].seq_id
        hidden = self._hidden(connection, group_id, floor_seq)
        countable = Countable(aged)
        behind: list[InboxAck] = []
        changes: list[tuple[int, int, int, str]] = []
        for loser in losers:
            uid = loser.uid
            if loser.receive_seq < floor_seq:
                behind.append(InboxAck(uid, group_id, 0, floor_seq))
            no_longer_unread = countable.after(max(loser.read_seq, loser.init_seq), uid, hidden.get(uid, ()))
            at_seq = 0 if loser.at_seq <= floor_seq else loser.at_seq
            if no_longer_unread or at_seq != loser.at_seq:
                changes.append((no_longer_unread, at_seq, uid, group_id))
        if changes:
            self._settle_seen(connection, changes)
        if hidden:
            self._forget(connection, [(uid, group_id, floor_seq) for uid in hidden])
        self._watermarks.clear_inbox(connection, behind, transaction.time)

    def _aged(self, connection: Connection, group_id: str, floor_seq: int, before: int, limit: int) -> list[Aged]:
        """Return the oldest messages, one after the other, as long as they are too old and within STEP_TEXT."""
        aged: list[Aged] = []
        length = 0
        with connection.exec_driver_sql(self._aged_sql, (group_id, floor_seq, limit)) as rows:
            for chunk in rows.partitions(_CHUNK):
                for seq_id, sender_id, whether_non_count, msg_status, send_time, size in chunk:
                    length += size
                    if send_time >= before or (aged and length > STEP_TEXT):
                        return aged
                    is_counted = whether_non_count == 0 and msg_status == MsgStatus.NORMAL
                    aged.append(Aged(seq_id, sender_id, is_counted))
        return aged

    def _losers(self, connection: Connection, group_id: str, floor_seq: int) -> list[Loser]:
        parameters = (group_id, floor_seq, floor_seq, floor_seq)
        return [Loser._make(row) for row in connection.exec_driver_sql(self._losers_sql, parameters)]

    def _hidden(self, connection: Connection, group_id: str, floor_seq: int) -> dict[int, list[int]]:
        """Return what members and former members have deleted for themselves up to ``floor_seq``, by uid."""
        hidden: dict[int, list[int]] = defaultdict(list)
        for uid, seq_id in connection.exec_driver_sql(self._hidden_sql, (group_id, floor_seq)):
            hidden[uid].append(seq_id)
        return hidden


class Countable:
    """Those of the messages that go which may be unread for somebody."""

    def __init__(self, aged: Sequence[Aged]) -> None:
        self._senders = {message.seq_id: message.sender_id for message in aged if message.is_counted}
        self._seq_ids = list(self._senders)
        self._own: dict[int, list[int]] = defaultdict(list)
        for seq_id, sender_id in self._senders.items():
            self._own[sender_id].append(seq_id)

    def after(self, mark: int, uid: int, hidden: Sequence[int]) -> int:
        """Count those after ``mark`` that are unread for ``uid``, who has deleted the ``hidden`` ones."""
        own = self._own.get(uid, ())
        deleted = sum(seq_id > mark and self._senders.get(seq_id, uid) != uid for seq_id in hidden)
        return _count_after(mark, self._seq_ids) - _count_after(mark, own) - deleted


def _count_after(mark: int, seq_ids: Sequence[int]) -> int:
    return len(seq_ids) - bisect_right(seq_ids, mark)
