"""What an operator may look at: groups, messages and their way, whoever's they are."""

from sqlalchemy import Connection

from imd.errors import BadRequestError
from imd.ports.archive import Exported, GroupInfo, MemberInfo, Recipient, Traced
from imd.storage.conversations import number
from imd.storage.rows import READ_COLUMNS, message_of
from imd.storage.sql import Sql
from imd.wire.bodies import ImMsg


class Archive:
    """Reads for operators; its statements are written for one database. ``max_body`` is in bytes."""

    def __init__(self, sql: Sql, max_body: int) -> None:
        self._max_body = max_body
        self._group_sql = sql(
            "SELECT group_id, group_type, group_name, avatar, announcement, extra, owner_id, join_policy, member_count,"
            " max_seq, floor_seq, mute_until, is_dismissed, created, send_time FROM x_group WHERE group_id = :group_id"
        )
        self._members_sql = sql(
            "SELECT c.uid, c.role, c.mute_until, c.joined_time, c.receive_seq, c.read_seq, coalesce(u.name, '')"
            " FROM x_conversation AS c LEFT JOIN x_user AS u ON u.uid = c.uid"
            " WHERE c.group_id = :group_id AND c.uid > :after AND c.is_quit = 0 ORDER BY c.uid LIMIT :n"
        )
        columns = ", ".join(READ_COLUMNS)
        self._message_sql = sql(f"SELECT {columns} FROM x_message WHERE group_id = :group_id AND msg_id = :msg_id")
        # Who joined later or left before it never had it in their inbox, and sees nothing of it.
        self._recipients_sql = sql(
            "SELECT c.uid, c.receive_seq, c.read_seq, EXISTS (SELECT 1 FROM x_inbox AS i"
            " WHERE i.uid = c.uid AND i.group_id = c.group_id AND i.seq_id = :seq_id)"
            " FROM x_conversation AS c WHERE c.group_id = :group_id AND c.uid > :after AND c.uid <> :sender"
            " AND c.joined_time <= :send_time AND (c.is_quit = 0 OR c.max_seq >= :seq_id2) ORDER BY c.uid LIMIT :n"
        )
        self._export_sql = sql(
            f"SELECT {columns} FROM x_message WHERE group_id = :group_id AND seq_id > :after ORDER BY seq_id LIMIT :n"
        )

    def group(self, connection: Connection, group_id: str) -> GroupInfo | None:
        """Return a conversation of any kind."""
        row = connection.exec_driver_sql(self._group_sql, (group_id,)).one_or_none()
        if row is None:
            return None
        values = dict(row._mapping)
        return GroupInfo(**{**values, "is_dismissed": bool(values["is_dismissed"])})

    def members(
        self, connection: Connection, group_id: str, cursor: str, limit: int, now: int
    ) -> tuple[list[MemberInfo], str]:
        """Return a page of a conversation's members."""
        rows = connection.exec_driver_sql(self._members_sql, (group_id, _after(cursor), limit + 1)).all()
        found = [MemberInfo._make(row) for row in rows[:limit]]
        found = [member if member.mute_until > now else member._replace(mute_until=0) for member in found]
        return found, str(found[-1].uid) if len(rows) > limit else ""

    def trace(self, connection: Connection, group_id: str, msg_id: str, cursor: str, limit: int) -> Traced | None:
        """Return a message and a page of its recipients."""
        after = _after(cursor)
        row = connection.exec_driver_sql(self._message_sql, (group_id, msg_id)).one_or_none()
        if row is None:
            return None
        message = message_of(row)
        seq_id = message.seq_id
        parameters = (seq_id, group_id, after, message.sender_id, message.send_time, seq_id, limit + 1)
        rows = connection.exec_driver_sql(self._recipients_sql, parameters).all()
        found = [Recipient(uid, receive_seq, read_seq, bool(waits)) for uid, receive_seq, read_seq, waits in rows]
        return Traced(message, found[:limit], str(found[limit - 1].uid) if len(found) > limit else "")

    def export(self, connection: Connection, group_id: str, cursor: str, limit: int) -> Exported:
        """Return the next messages; a page that would pass max_body stops early."""
        messages: list[ImMsg] = []
        size = 0
        with connection.exec_driver_sql(self._export_sql, (group_id, _after(cursor), limit + 1)) as rows:
            for row in rows:
                message = message_of(row)
                size += message.ByteSize()
                if len(messages) == limit or (size > self._max_body and messages):
                    return Exported(messages, str(messages[-1].seq_id))
                messages.append(message)
        return Exported(messages, "")


def _after(cursor: str) -> int:
    try:
        return number(cursor or "0")
    except ValueError:
        raise BadRequestError("the cursor is none that was returned with a page of this") from None
