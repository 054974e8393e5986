"""What is known of users themselves: their first login, their name, and what their operator has decided."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, select

from imd.ports.users import Account
from imd.storage.schema import x_conversation, x_group
from imd.storage.sql import Sql
from imd.storage.transaction import Transaction
from imd.wire.enums import SYSTEM_GROUP, GroupType

_SELECT = "SELECT uid, name, first_seen, banned, void_before, account_time FROM x_user"


class Accounts:
    """Reads and sets what x_user says of a user."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self._some = sql(f"{_SELECT} WHERE uid {sql.among('uids', int)}")
        self._changed = sql(
            f"{_SELECT} WHERE account_time > 0 AND (account_time, uid) > (:account_time, :uid)"
            " ORDER BY account_time, uid LIMIT :limit"
        )
        # Another node may be doing it at the same time. Who was banned before the first login has a row already.
        self._first = sql(
            "INSERT INTO x_user (uid, first_seen, name) VALUES (:uid, :first_seen, :name) ON CONFLICT (uid) DO UPDATE"
            " SET first_seen = excluded.first_seen, name = excluded.name WHERE x_user.first_seen = 0"
        )
        self._rename = sql("UPDATE x_user SET name = :name WHERE uid = :uid")
        self._ban = sql(
            "INSERT INTO x_user (uid, banned, account_time) VALUES (:uid, :banned, :time) ON CONFLICT (uid) DO UPDATE"
            " SET banned = excluded.banned, account_time = excluded.account_time"
        )
        self._void = sql(
            "INSERT INTO x_user (uid, void_before, account_time) VALUES (:uid, :before, :time)"
            " ON CONFLICT (uid) DO UPDATE"
            " SET void_before = excluded.void_before, account_time = excluded.account_time"
            " WHERE x_user.void_before < excluded.void_before"
        )

    def accounts(self, connection: Connection, uids: Sequence[int]) -> dict[int, Account]:
        """What is known of those users of whom something is."""
        rows = connection.exec_driver_sql(self._some, (self._sql.array(uids),))
        return {row[0]: _account(row) for row in rows}

    def changed(self, connection: Connection, account_time: int, uid: int, limit: int) -> list[Account]:
        """The next accounts that were set after (``account_time``, ``uid``)."""
        return [_account(row) for row in connection.exec_driver_sql(self._changed, (account_time, uid, limit))]

    def remember(self, transaction: Transaction, uid: int, name: str) -> None:
        """Note the user's first login, from which on they have the broadcast stream, and their name."""
        connection, now = transaction.connection, transaction.time
        known = self.accounts(connection, (uid,)).get(uid)
        if known is not None and known.first_seen:
            if name not in ("", known.name):
                connection.exec_driver_sql(self._rename, (name, uid))
            return
        if not connection.exec_driver_sql(self._first, (uid, now, name)).rowcount:
            return
        end = connection.execute(select(x_group.c.max_seq).where(x_group.c.group_id == SYSTEM_GROUP)).scalar_one()
        connection.execute(
            insert(x_conversation).values(
                uid=uid,
                group_id=SYSTEM_GROUP,
                group_type=GroupType.SYSTEM,
                init_seq=end,
                read_seq=end,
                receive_seq=end,
                joined_time=now,
                update_time=now,
            )
        )

    def set_banned(self, transaction: Transaction, uid: int, is_banned: bool) -> None:
        """Ban a user, or take that back."""
        transaction.connection.exec_driver_sql(self._ban, (uid, int(is_banned), transaction.time))

    def void_tokens(self, transaction: Transaction, uid: int, before: int) -> None:
        """Make older tokens void."""
        transaction.connection.exec_driver_sql(self._void, (uid, before, transaction.time))


def _account(row: Any) -> Account:
    uid, name, first_seen, banned, void_before, account_time = row
    return Account(uid, name, first_seen, bool(banned), void_before, account_time)
