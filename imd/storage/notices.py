"""Notices: a row for each recipient, until a device of theirs acknowledges it or it expires.

An acknowledged row stays for a while, without its content and with send_time 0: the same notice sent again, because the
answer to the first request was lost, is known by it and does not come twice.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from imd.errors import BadRequestError
from imd.ports.notices import Addressed, Kept, NoticeAck
from imd.storage.conversations import number
from imd.storage.sql import Row, Sql
from imd.storage.transaction import Transaction
from imd.wire.bodies import NoticeMsg, UserData

REPEAT_MS = 3_600_000
"""How long after its ACK a notice is still known, unless it expires before."""

_FIRST = (1, "")
"""Before every notice that waits, and after those that are acknowledged."""

_EXPIRED = "SELECT uid, send_time, notice_id FROM x_notice WHERE expire_time <= :now ORDER BY expire_time LIMIT :n"


Key = tuple[str, int]
"""A notice_id and a uid."""


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
        self._rows = n = sql.rows(
            uid=int, notice_id=str, notice_type=int, begin=int, size=int, sender=str, expire_time=int
        )
        # What a parameter of many rows can't hold on every database are bytes: each takes its part of all of them.
        payload = f"substr(CAST(:payloads AS {sql.bytes}), CAST({n['begin']} AS INTEGER), CAST({n['size']} AS INTEGER))"
        self._keep_sql = sql(
            "INSERT INTO x_notice (uid, notice_id, notice_type, payload, send_time, sender, expire_time)"
            f" SELECT {n['uid']}, {n['notice_id']}, {n['notice_type']}, {payload}, CAST(:send_time AS BIGINT),"
            f" {n['sender']}, {n['expire_time']}"
            f" FROM {n} WHERE EXISTS (SELECT 1 FROM x_user AS u WHERE u.uid = {n['uid']})"
            " ON CONFLICT (notice_id, uid) DO UPDATE SET notice_type = excluded.notice_type,"
            " payload = excluded.payload, send_time = excluded.send_time, sender = excluded.sender,"
            " expire_time = excluded.expire_time WHERE x_notice.expire_time <= :now RETURNING notice_id, uid"
        )
        self._keys = k = sql.rows(notice_id=str, uid=int)
        self._find_sql = sql(
            f"SELECT n.uid, {', '.join(f'n.{name}' for name in Content._fields)} FROM {k} CROSS JOIN x_notice AS n"
            f" WHERE n.notice_id = {k['notice_id']} AND n.uid = {k['uid']}"
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

    def keep(self, transaction: Transaction, notices: Sequence[Addressed]) -> list[Kept]:
        """Keep notices for those of their users who are known; who has one already keeps the first one as it is."""
        connection, now = transaction.connection, transaction.time
        rows: dict[Key, Row] = {}
        contents: dict[Key, Content] = {}
        payloads = [b"."]  # for SQLite's substr makes NULL of any part of nothing
        begin = 2
        for notice, uids in notices:
            notice_id, kind, payload, sender, end = (
                notice.notice_id,
                notice.notice_type,
                notice.payload,
                notice.sender,
                notice.expire_time,
            )
            content = Content(notice_id, kind, payload, now, sender, end)
            for uid in uids:
                if (notice_id, uid) not in rows:
                    rows[notice_id, uid] = uid, notice_id, kind, begin, len(payload), sender, end
                    contents[notice_id, uid] = content
            payloads.append(payload)
            begin += len(payload)
        # Sorted, which locks them in one order, whichever node it is.
        parameters = b"".join(payloads), now, *self._rows.pack([rows[key] for key in sorted(rows)]), now
        fresh = {(row[0], row[1]) for row in connection.exec_driver_sql(self._keep_sql, parameters)}
        if rest := rows.keys() - fresh:
            for key in rest:
                del contents[key]
            for uid, *columns in connection.exec_driver_sql(self._find_sql, tuple(self._keys.pack(sorted(rest)))):
                contents[columns[0], uid] = Content._make(columns)
        return [_kept(notice.notice_id, uids, contents) for notice, uids in notices]

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


def _kept(notice_id: str, uids: Sequence[int], contents: Mapping[Key, Content]) -> Kept:
    """Return what became of a notice, by what each of its users has of it now."""
    waiting: dict[Content, list[int]] = {}
    acknowledged, unknown = [], []
    for uid in uids:
        content = contents.get((notice_id, uid))
        if content is None:
            unknown.append(uid)
        elif content.send_time:
            waiting.setdefault(content, []).append(uid)
        else:
            acknowledged.append(uid)
    return Kept([(content.notice(), of_content) for content, of_content in waiting.items()], acknowledged, unknown)


def _parse_cursor(cursor: str) -> tuple[int, str]:
    send_time, _, notice_id = cursor.partition(":")
    try:
        after = number(send_time), notice_id
    except ValueError:
        after = _FIRST
    if after <= _FIRST or not notice_id or "\0" in notice_id:
        raise BadRequestError("the cursor is none that OFFLINE_NOTICE_MSG returned")
    return after
