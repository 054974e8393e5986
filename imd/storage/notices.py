"""Notices: a row for each recipient, until a device of theirs acknowledges it or it expires.

An acknowledged row stays for a while, without its content and with send_time 0: the same notice sent again, because the
answer to the first request was lost, is known by it and does not come twice.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from imd.errors import BadRequestError
from imd.ports.notices import Addressed, Kept, NoticeAck
from imd.storage.conversations import number
from imd.storage.sql import Sql
from imd.storage.transaction import Transaction
from imd.wire.bodies import NoticeMsg, UserData

REPEAT_MS = 3_600_000
"""How long after its ACK a notice is still known, unless it expires before."""

_FIRST = (1, "")
"""Before every notice that waits, and after those that are acknowledged."""

_EXPIRED = "SELECT uid, send_time, notice_id FROM x_notice WHERE expire_time <= :now ORDER BY expire_time LIMIT :n"


class Content(NamedTuple):
    """What a row holds beside whose it is: the fields of NoticeMsg."""

    notice_id: str
    notice_type: int
    payload: bytes
    send_time: int
    sender: str
    expire_time: int

    def notice(self) -> NoticeMsg:
        """Return the notice."""
        return NoticeMsg(**self._asdict())


class Notices:
    """Keeps notices; its statements are written for one database. ``max_body`` is in bytes."""

    def __init__(self, sql: Sql, max_body: int) -> None:
        self._max_body = max_body
        self._array = sql.array
        self._uids = n = sql.rows(uid=int)
        self._keep_sql = sql(
            "INSERT INTO x_notice (uid, notice_id, notice_type, payload, send_time, sender, expire_time)"
            f" SELECT {n['uid']}, :notice_id, :notice_type, :payload, :send_time, :sender, :expire_time"
            f" FROM {n} WHERE EXISTS (SELECT 1 FROM x_user AS u WHERE u.uid = {n['uid']})"
            " ON CONFLICT (notice_id, uid) DO UPDATE SET notice_type = excluded.notice_type,"
            " payload = excluded.payload, send_time = excluded.send_time, sender = excluded.sender,"
            " expire_time = excluded.expire_time WHERE x_notice.expire_time <= :now RETURNING uid"
        )
        self._find_sql = sql(
            f"SELECT uid, {', '.join(Content._fields)} FROM x_notice"
            f" WHERE notice_id = :notice_id AND uid {sql.among('uids', int)}"
        )
        self._acknowledge = sql.many(
            "UPDATE x_notice SET send_time = 0, payload = {nothing}, sender = '',"
            " expire_time = CASE WHEN expire_time < {until} THEN expire_time ELSE {until} END{rows}"
            " WHERE x_notice.notice_id = {notice_id} AND x_notice.uid = {uid} AND send_time > 0",
            uid=int,
            notice_id=str,
            until=int,
            nothing=bytes,
        )
        self._page_sql = sql(
            f"SELECT {', '.join(Content._fields)} FROM x_notice"
            " WHERE uid = :uid AND (send_time, notice_id) > (:send_time, :notice_id) AND expire_time > :now"
            " ORDER BY send_time, notice_id LIMIT :n"
        )
        self._count_expired_sql = sql(
            f"SELECT count(*) FROM ({_EXPIRED}) AS e JOIN x_notice AS n"
            " ON n.uid = e.uid AND n.send_time = e.send_time AND n.notice_id = e.notice_id"
        )
        self._drop_expired_sql = sql(
            f"DELETE FROM x_notice WHERE (notice_id, uid) IN (SELECT e.notice_id, e.uid FROM ({_EXPIRED}) AS e)"
        )

    def keep_all(self, transaction: Transaction, notices: Sequence[Addressed]) -> list[Kept]:
        """Keep several notices."""
        # By id, which locks them in one order, whichever node it is.
        order = sorted(range(len(notices)), key=lambda place: notices[place].notice.notice_id)
        kept = {place: self.keep(transaction, *notices[place]) for place in order}
        return [kept[place] for place in range(len(notices))]

    def keep(self, transaction: Transaction, notice: NoticeMsg, uids: Sequence[int]) -> Kept:
        """Keep a notice for those of ``uids`` who are known; who has it already keeps the first one as it is."""
        connection, now = transaction.connection, transaction.time
        content = Content(notice.notice_id, notice.notice_type, notice.payload, now, notice.sender, notice.expire_time)
        rows = [(uid,) for uid in sorted(set(uids))]  # which locks them in one order, whichever node it is
        fresh = connection.exec_driver_sql(self._keep_sql, (*content, *self._uids.pack(rows), now)).scalars()
        waiting = {content: list(fresh)}
        found = set(waiting[content])
        acknowledged = []
        if rest := [uid for uid in uids if uid not in found]:
            for uid, *columns in connection.exec_driver_sql(self._find_sql, (notice.notice_id, self._array(rest))):
                found.add(uid)
                content = Content._make(columns)
                if content.send_time:
                    waiting.setdefault(content, []).append(uid)
                else:
                    acknowledged.append(uid)
        return Kept(
            waiting=[(content.notice(), of_content) for content, of_content in waiting.items() if of_content],
            acknowledged=acknowledged,
            unknown=[uid for uid in uids if uid not in found],
        )

    def acknowledge(self, transaction: Transaction, acks: Sequence[NoticeAck]) -> None:
        """Take notices away for all devices."""
        until = transaction.time + REPEAT_MS
        rows = [(uid, notice_id, until, b"") for uid, notice_id in sorted(set(acks))]
        self._acknowledge(transaction.connection, rows)

    def page(self, connection: Connection, uid: int, cursor: str, page_size: int, now: int) -> UserData:
        """One page, the oldest first. One that would pass max_body stops early and says has_more."""
        after = _parse_cursor(cursor) if cursor else _FIRST
        page = UserData()
        size = 0
        with connection.exec_driver_sql(self._page_sql, (uid, *after, now, page_size + 1)) as rows:
            for row in rows:
                notice = Content._make(row).notice()
                size += notice.ByteSize() + 8
                if len(page.notices) == page_size or (size > self._max_body and page.notices):
                    page.has_more = True
                    page.cursor = f"{page.notices[-1].send_time}:{page.notices[-1].notice_id}"
                    break
                page.notices.append(notice)
        return page

    def count_expired(self, connection: Connection, now: int, limit: int) -> int:
        """Read what ``drop_expired`` will read, and return how many have expired, ``limit`` at most.

        On a reader's thread, before the change, so that the writer waits for no disk, and not at all for nothing.
        """
        count: int = connection.exec_driver_sql(self._count_expired_sql, (now, limit)).scalar_one()
        return count

    def drop_expired(self, transaction: Transaction, now: int, limit: int) -> int:
        """Delete the ``limit`` that expired first, and return how many there were."""
        return transaction.connection.exec_driver_sql(self._drop_expired_sql, (now, limit)).rowcount


def _parse_cursor(cursor: str) -> tuple[int, str]:
    send_time, _, notice_id = cursor.partition(":")
    try:
        after = number(send_time), notice_id
    except ValueError:
        after = _FIRST
    if after <= _FIRST or not notice_id or "\0" in notice_id:
        raise BadRequestError("the cursor is none that OFFLINE_NOTICE_MSG returned")
    return after
