"""Conversations as their user sees them: LIST_GROUP, GROUP_BY_ID, UNREAD_COUNT."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from imd.errors import BadRequestError
from imd.storage.rows import READ_COLUMNS, fill_message, shorten
from imd.storage.sql import Sql
from imd.storage.unread import UNREAD_LIMIT
from imd.wire.bodies import ImGroup, ImMsg, UnreadCountAck, UserData
from imd.wire.enums import GroupType, MsgStatus

MAX_TOMBSTONES = 1000
"""Tombstones of one conversation in a list of what has changed; a pull shows the others."""

TOMBSTONE_ROOM = 24
"""Bytes of a tombstone beside its group_id, at most."""

_MAX_SEQ = "CASE WHEN c.is_quit = 0 THEN g.max_seq ELSE c.max_seq END"
_SORT_TIME = "CASE WHEN c.is_quit = 0 THEN g.send_time ELSE c.left_time END"
_NOT_HIDDEN = (
    "NOT EXISTS (SELECT 1 FROM x_hidden AS h WHERE h.uid = {uid} AND h.group_id = m.group_id AND h.seq_id = m.seq_id)"
)
_UNREAD = (
    "CASE WHEN c.is_quit <> 0 THEN 0 WHEN g.group_type = 3 THEN (SELECT count(*) FROM (SELECT 1 FROM x_message AS m"
    " WHERE m.group_id = c.group_id AND m.seq_id > c.read_seq AND m.seq_id > c.init_seq AND m.sender_id <> c.uid"
    f" AND m.whether_non_count = 0 AND m.msg_status = 0 AND {_NOT_HIDDEN.format(uid='c.uid')}"
    f" LIMIT {UNREAD_LIMIT}) AS unread) ELSE g.counted - c.seen END"
)
"""Rule 8; what it means is in imd/storage/unread.py."""

_PEER = (
    "CASE WHEN g.group_type <> 1 THEN 0 WHEN c.group_id LIKE c.uid || '|_%' ESCAPE '|'"
    " THEN CAST(substr(c.group_id, length(CAST(c.uid AS TEXT)) + 2) AS BIGINT)"
    " ELSE CAST(substr(c.group_id, 1, length(c.group_id) - length(CAST(c.uid AS TEXT)) - 1) AS BIGINT) END"
)
"""The other one's uid, of the two that a single chat's id is made of."""

_LAST = ", ".join(f"last.{name}" for name in READ_COLUMNS[2:])
_DETAILS = (
    "SELECT c.group_id, g.group_type, g.group_name, g.avatar,"
    f" {_MAX_SEQ} AS view_end, c.init_seq, g.floor_seq, c.read_seq, c.receive_seq, {_UNREAD},"
    " c.is_shield, c.is_quit, c.is_top, g.extra, g.owner_id, g.member_count, g.announcement, peer.receive_seq,"
    " peer.read_seq, c.at_seq, c.role, c.mute_until, g.join_policy, g.mute_until, hidden.seq_id,"
    f" last.seq_id, {_LAST}"
    " FROM x_conversation AS c JOIN x_group AS g ON g.group_id = c.group_id"
    f" LEFT JOIN x_message AS last ON last.group_id = c.group_id AND last.seq_id = {_MAX_SEQ}"
    " LEFT JOIN x_hidden AS hidden ON hidden.uid = c.uid AND hidden.group_id = c.group_id"
    " AND hidden.seq_id = last.seq_id"
    " LEFT JOIN x_conversation AS peer ON g.group_type = 1 AND peer.group_id = c.group_id AND peer.uid <> c.uid"
    f" AND peer.uid = {_PEER}"
    " WHERE c.uid = :uid AND c.group_id "
)
_LAST_AT = 25
_SINGLE = int(GroupType.SINGLE)  # an enum's member costs a call to look up


class Conversations:
    """Reads conversations; its statements are written for one database. ``max_body`` is in bytes."""

    def __init__(self, sql: Sql, max_body: int) -> None:
        self._max_body = max_body
        page = f"SELECT c.group_id, {_SORT_TIME} AS sort_time FROM x_conversation AS c" + (
            " JOIN x_group AS g ON g.group_id = c.group_id WHERE c.uid = :uid"
        )
        cursor = f" AND ({_SORT_TIME} < :before OR ({_SORT_TIME} = :before2 AND c.group_id > :after))"
        since = (
            " AND (c.update_time >= :since OR (c.is_quit = 0 AND (g.send_time >= :since2 OR g.update_time >= :since3)))"
        )
        order = " ORDER BY sort_time DESC, c.group_id LIMIT :page_size"
        self._page_sql = {
            (has_cursor, has_since): sql(page + cursor * has_cursor + since * has_since + order)
            for has_cursor in (False, True)
            for has_since in (False, True)
        }
        self._array = sql.array
        among = sql.among("group_ids", str)
        self._details_sql = sql(_DETAILS + among)
        self._newest_sql = sql(
            f"SELECT {', '.join(f'm.{name}' for name in READ_COLUMNS)} FROM x_message AS m"
            " WHERE m.group_id = :group_id AND m.seq_id > :init_seq AND m.seq_id < :before"
            f" AND {_NOT_HIDDEN.format(uid=':uid')} ORDER BY m.seq_id DESC LIMIT 1"
        )
        self._tombstones_sql = sql(
            "SELECT group_id, seq_id FROM x_hidden WHERE uid = :uid AND hidden_time >= :since"
            f" AND group_id {among} ORDER BY group_id, seq_id"
        )
        self._others_sql = sql(
            "SELECT group_id, group_type, group_name, avatar, member_count, join_policy FROM x_group"
            f" WHERE group_id {among} AND group_type = 2 AND join_policy <> 0"
            " AND is_dismissed = 0"
        )
        unread = (
            f"SELECT c.group_id, g.group_type, {_MAX_SEQ}, c.read_seq, c.at_seq, {_UNREAD}"
            " FROM x_conversation AS c JOIN x_group AS g ON g.group_id = c.group_id WHERE c.uid = :uid"
        )
        self._all_unread_sql = sql(unread + " AND c.is_quit = 0 ORDER BY c.group_id")
        self._unread_sql = sql(unread + f" AND c.group_id {among} ORDER BY c.group_id")

    def page(
        self, connection: Connection, uid: int, cursor: str, page_size: int, since: int, settled: int, now: int
    ) -> UserData:
        """One page of ``uid``'s conversations, the one with the newest message first.

        With ``since`` (ms) only those with a change at or after it, and what was deleted since then. ``settled`` goes
        out as server_time; a cursor carries it on, so that every page of a listing names the same.
        """
        parameters: list[int | str] = [uid]
        if cursor:
            settled, before, group_id = _parse_cursor(cursor)
            parameters += [before, before, group_id]
        if since:
            parameters += [since] * 3
        statement = self._page_sql[bool(cursor), bool(since)]
        rows = connection.exec_driver_sql(statement, (*parameters, page_size + 1)).all()
        group_ids = [row[0] for row in rows[:page_size]]
        details = self._rows(connection, uid, group_ids)
        deleted = self._tombstones(connection, uid, group_ids, since) if since else {}
        page = UserData(server_time=settled, has_more=len(rows) > page_size)
        groups = page.groups
        size = 0
        last = None
        for place in rows[:page_size]:
            group_id = place[0]
            row = details.get(group_id)
            if row is None:
                continue
            group = groups.add()
            self._fill(connection, uid, group, row, now)
            size += group.ByteSize() + 8
            seq_ids: Sequence[int] = ()
            if group_id in deleted:
                seq_ids = [seq_id for seq_id in deleted[group_id] if seq_id > group.init_seq][-MAX_TOMBSTONES:]
                size += len(seq_ids) * (len(group_id.encode()) + TOMBSTONE_ROOM)
            if size > self._max_body and last is not None:
                del groups[-1]
                page.has_more = True
                break
            if seq_ids:
                page.messages.extend(tombstone(group_id, group.group_type, seq_id) for seq_id in seq_ids)
            last = place
        if page.has_more and last is not None:
            page.cursor = f"{settled}:{last[1]}:{last[0]}"
        return page

    def by_id(self, connection: Connection, uid: int, group_ids: Sequence[str], now: int) -> UserData:
        """Return the groups ``uid`` is or was in whole, of others what everybody may see; as many as max_body holds."""
        found = self.read(connection, uid, group_ids, now)
        if others := [group_id for group_id in group_ids if group_id not in found]:
            for row in connection.exec_driver_sql(self._others_sql, (self._array(others),)):
                found[row[0]] = ImGroup(**row._mapping)
        page = UserData()
        size = 0
        for group_id in dict.fromkeys(group_ids):
            if group_id in found:
                size += found[group_id].ByteSize() + 8
                if size > self._max_body and page.groups:
                    page.has_more = True
                    break
                page.groups.append(found[group_id])
        return page

    def of(self, connection: Connection, uid: int, group_ids: Sequence[str], now: int) -> UserData:
        """Return those of ``group_ids`` that ``uid`` is or was in."""
        return UserData(groups=self.read(connection, uid, group_ids, now).values())

    def read(self, connection: Connection, uid: int, group_ids: Sequence[str], now: int) -> dict[str, ImGroup]:
        """Return those of ``group_ids`` that ``uid`` is or was in, by id."""
        found = {}
        for group_id, row in self._rows(connection, uid, group_ids).items():
            found[group_id] = ImGroup()
            self._fill(connection, uid, found[group_id], row, now)
        return found

    def unread(self, connection: Connection, uid: int, group_ids: Sequence[str]) -> UnreadCountAck:
        """UNREAD_COUNT: of these groups, of all with something unread where none is named."""
        if group_ids:
            rows = connection.exec_driver_sql(self._unread_sql, (uid, self._array(group_ids))).all()
        else:
            rows = [row for row in connection.exec_driver_sql(self._all_unread_sql, (uid,)) if row[5]]
        answer = UnreadCountAck()
        size = 0
        for group_id, group_type, max_seq, read_seq, at_seq, counted in rows:
            unread = min(counted, UNREAD_LIMIT)
            answer.total += unread
            size += len(group_id) + 40
            if size <= self._max_body:  # the total is right, whatever the list has room for
                answer.groups.add(
                    group_id=group_id,
                    group_type=group_type,
                    max_seq=max_seq,
                    read_seq=read_seq,
                    unread=unread,
                    at_seq=at_seq,
                )
        return answer

    def _fill(self, connection: Connection, uid: int, group: ImGroup, row: Any, now: int) -> None:
        """Fill an empty group in; a field that is 0 or empty is left alone, which is quicker."""
        (
            group_id,
            group_type,
            group_name,
            avatar,
            max_seq,
            init_seq,
            floor_seq,
            read_seq,
            receive_seq,
            unread,
            is_shield,
            is_quit,
            is_top,
            extra,
            owner_id,
            member_count,
            announcement,
            peer_receive_seq,
            peer_read_seq,
            at_seq,
            role,
            mute_until,
            join_policy,
            group_mute_until,
            hidden,
            seq_id,
        ) = row[: _LAST_AT + 1]
        if floor_seq > init_seq:
            init_seq = max(init_seq, min(floor_seq, max_seq))
        group.group_id = group_id
        group.group_type = group_type
        group.max_seq = max_seq
        group.init_seq = init_seq
        group.read_seq = read_seq
        group.receive_seq = receive_seq
        if unread:
            group.unread = unread if unread < UNREAD_LIMIT else UNREAD_LIMIT
        if is_shield:
            group.is_shield = is_shield
        if is_quit:
            group.is_quit = is_quit
        if is_top:
            group.is_top = is_top
        if at_seq:
            group.at_seq = at_seq
        if group_type == _SINGLE:
            group.peer_receive_seq = peer_receive_seq or 0
            group.peer_read_seq = peer_read_seq or 0
        else:
            group.group_name = group_name
            group.avatar = avatar
            group.extra = extra
            group.owner_id = owner_id
            group.member_count = member_count
            group.announcement = announcement
            group.role = role
            group.mute_until = mute_until if mute_until > now else 0
            group.join_policy = join_policy
            group.mute_all = int(group_mute_until > now)
        if hidden is not None:
            newest = connection.exec_driver_sql(self._newest_sql, (group_id, init_seq, hidden, uid)).one_or_none()
            if newest is not None:
                _fill_last(group, newest, uid, read_seq)
        elif seq_id is not None and seq_id > init_seq:
            _fill_last(group, (group_id, *row[_LAST_AT:]), uid, read_seq)

    def _rows(self, connection: Connection, uid: int, group_ids: Sequence[str]) -> dict[str, Any]:
        rows = connection.exec_driver_sql(self._details_sql, (uid, self._array(group_ids))).all()
        return {row[0]: row for row in rows}

    def _tombstones(
        self, connection: Connection, uid: int, group_ids: Sequence[str], since: int
    ) -> dict[str, list[int]]:
        rows = connection.exec_driver_sql(self._tombstones_sql, (uid, since, self._array(group_ids))).all()
        found: dict[str, list[int]] = {}
        for group_id, seq_id in rows:
            found.setdefault(group_id, []).append(seq_id)
        return found


def tombstone(group_id: str, group_type: int, seq_id: int) -> ImMsg:
    """Return what is left of a message for the one who deleted it (rule 7)."""
    return ImMsg(group_id=group_id, group_type=group_type, seq_id=seq_id, msg_status=MsgStatus.DELETED)


def _fill_last(group: ImGroup, row: Sequence[Any], uid: int, read_seq: int) -> None:
    fill_message(group.last_message, row, uid, read_seq)
    shorten(group.last_message)


def _parse_cursor(cursor: str) -> tuple[int, int, str]:
    now, _, rest = cursor.partition(":")
    before, _, group_id = rest.partition(":")
    try:
        if not group_id or "\0" in group_id:
            raise ValueError(cursor)
        return number(now), number(before), group_id
    except ValueError:
        raise BadRequestError("the cursor is none that LIST_GROUP returned") from None


def number(digits: str) -> int:
    """Return the number of a cursor, which fits a column. Raises ValueError."""
    if not digits.isascii() or not digits.isdigit() or len(digits) > 19 or (value := int(digits)) >= 2**63:
        raise ValueError(digits)
    return value
