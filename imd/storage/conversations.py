"""Conversations as their user sees them: LIST_GROUP, GROUP_BY_ID, GROUP_MEMBERS."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, case, func, literal, or_, select

from imd.errors import BadRequestError, NotInGroupError
from imd.storage.rows import READ_COLUMNS, message_of, shorten
from imd.storage.schema import x_conversation, x_group, x_message
from imd.storage.sql import Greatest
from imd.wire.bodies import GroupMember, ImGroup, UserData
from imd.wire.enums import GroupType, JoinPolicy

UNREAD_LIMIT = 1000
"""Where counting unread messages stops (rule 8)."""

_mine = x_conversation.alias("mine")
_peer = x_conversation.alias("peer")
_last = x_message.alias("last")
_is_in = _mine.c.is_quit == 0
_max_seq = case((_is_in, x_group.c.max_seq), else_=_mine.c.max_seq)
_sort_time = case((_is_in, x_group.c.update_time), else_=_mine.c.update_time)


def _unread() -> Any:
    """Rule 8: after max(read_seq, init_seq), not mine, countable, not revoked; counting stops at UNREAD_LIMIT."""
    counted = (
        select(literal(1))
        .where(
            x_message.c.group_id == _mine.c.group_id,
            x_message.c.seq_id > Greatest(_mine.c.read_seq, _mine.c.init_seq),
            x_message.c.sender_id != _mine.c.uid,
            x_message.c.whether_non_count == 0,
            x_message.c.msg_status == 0,
        )
        .limit(UNREAD_LIMIT)
        .correlate(_mine)
        .subquery()
    )
    return case((_is_in, select(func.count()).select_from(counted).scalar_subquery()), else_=0)


_CONVERSATION = (
    select(
        _mine.c.group_id,
        x_group.c.group_type,
        x_group.c.group_name,
        x_group.c.avatar,
        _max_seq.label("max_seq"),
        _mine.c.init_seq,
        _mine.c.read_seq,
        _mine.c.receive_seq,
        _unread().label("unread"),
        _mine.c.is_shield,
        _mine.c.is_quit,
        _mine.c.is_top,
        x_group.c.extra,
        x_group.c.owner_id,
        x_group.c.member_count,
        x_group.c.announcement,
        _peer.c.receive_seq.label("peer_receive_seq"),
        _peer.c.read_seq.label("peer_read_seq"),
        _mine.c.at_seq,
        _mine.c.role,
        _mine.c.mute_until,
        x_group.c.join_policy,
        x_group.c.mute_all,
        _sort_time.label("sort_time"),
        *(_last.c[name].label(f"last_{name}") for name in READ_COLUMNS),
    )
    .select_from(_mine)
    .join(x_group, x_group.c.group_id == _mine.c.group_id)
    .outerjoin(
        _last,
        and_(_last.c.group_id == _mine.c.group_id, _last.c.seq_id == _max_seq, _last.c.seq_id > _mine.c.init_seq),
    )
    .outerjoin(
        _peer,
        and_(
            x_group.c.group_type == GroupType.SINGLE, _peer.c.group_id == _mine.c.group_id, _peer.c.uid != _mine.c.uid
        ),
    )
)
_PLAIN = tuple(column.name for column in _CONVERSATION.selected_columns)[:23]
_LAST = len(_PLAIN) + 1


def read_conversations(connection: Connection, uid: int, group_ids: Sequence[str]) -> dict[str, ImGroup]:
    """Return those of ``group_ids`` that ``uid`` is or was in."""
    query = _CONVERSATION.where(_mine.c.uid == uid, _mine.c.group_id.in_(group_ids))
    return {row.group_id: _group_of(row, uid) for row in connection.execute(query)}


def list_conversations(
    connection: Connection, uid: int, cursor: str, page_size: int, since: int, now: int, max_body: int
) -> UserData:
    """One page of ``uid``'s conversations, the one with the newest message first.

    With ``since`` (ms) only those with a change at or after it. ``now`` goes out as server_time; a cursor carries
    it on, so that every page of a listing names the same.
    """
    query = _CONVERSATION.where(_mine.c.uid == uid)
    if cursor:
        now, before, group_id = _parse_cursor(cursor)
        query = query.where(or_(_sort_time < before, and_(_sort_time == before, _mine.c.group_id > group_id)))
    if since:
        query = query.where(
            or_(
                and_(_is_in, x_group.c.update_time >= since),
                _mine.c.update_time >= since,
                _peer.c.update_time >= since,
            )
        )
    page = UserData(server_time=now)
    size = 0
    rows = connection.execute(query.order_by(_sort_time.desc(), _mine.c.group_id).limit(page_size + 1)).all()
    for row in rows:
        group = _group_of(row, uid)
        size += group.ByteSize() + 8
        if len(page.groups) == page_size or (size > max_body and page.groups):
            page.has_more = True
            break
        page.groups.append(group)
        page.cursor = f"{now}:{row.sort_time}:{row.group_id}"
    if not page.has_more:
        page.cursor = ""
    return page


def conversations_by_id(connection: Connection, uid: int, group_ids: Sequence[str], max_body: int) -> UserData:
    """Return the groups ``uid`` is or was in whole, of others what everybody may see; as many as ``max_body`` holds."""
    mine = read_conversations(connection, uid, group_ids)
    others = connection.execute(
        select(
            x_group.c.group_id,
            x_group.c.group_type,
            x_group.c.group_name,
            x_group.c.avatar,
            x_group.c.member_count,
            x_group.c.join_policy,
        ).where(
            x_group.c.group_id.in_([group_id for group_id in group_ids if group_id not in mine]),
            x_group.c.group_type != GroupType.SINGLE,
            x_group.c.join_policy != JoinPolicy.INVITATION,
            x_group.c.is_dismissed == 0,
        )
    )
    found = mine | {row.group_id: ImGroup(**row._mapping) for row in others}
    page = UserData()
    size = 0
    for group_id in dict.fromkeys(group_ids):
        if group_id in found:
            size += found[group_id].ByteSize() + 8
            if size > max_body and page.groups:
                page.has_more = True
                break
            page.groups.append(found[group_id])
    return page


def list_members(connection: Connection, uid: int, group_id: str, cursor: str, page_size: int) -> UserData:
    """One page of a group's members by uid; only for who is in it. Raises NotInGroupError."""
    columns = x_conversation.c
    mine = connection.execute(
        select(columns.is_quit).where(columns.uid == uid, columns.group_id == group_id)
    ).scalar_one_or_none()
    if mine is None or mine:
        raise NotInGroupError(f"you are not in the group {group_id}")
    after = _parse_uid(cursor)
    query: Select[Any] = (
        select(columns.uid, columns.role, columns.mute_until, columns.joined_time, columns.read_seq)
        .where(columns.group_id == group_id, columns.is_quit == 0, columns.uid > after)
        .order_by(columns.uid)
        .limit(page_size + 1)
    )
    rows = connection.execute(query).all()
    page = UserData(members=[GroupMember(**row._mapping) for row in rows[:page_size]])
    if len(rows) > page_size:
        page.has_more = True
        page.cursor = str(page.members[-1].uid)
    return page


def _group_of(row: Any, uid: int) -> ImGroup:
    group = ImGroup(**{name: value for name, value in zip(_PLAIN, row, strict=False) if value})
    if row.last_msg_id is not None:
        message = message_of(row[_LAST:], uid, row.read_seq)
        shorten(message)
        group.last_message.CopyFrom(message)
    return group


def _parse_cursor(cursor: str) -> tuple[int, int, str]:
    now, _, rest = cursor.partition(":")
    before, _, group_id = rest.partition(":")
    try:
        return _number(now), _number(before), group_id
    except ValueError:
        raise BadRequestError("the cursor is none that LIST_GROUP returned") from None


def _parse_uid(cursor: str) -> int:
    try:
        return _number(cursor or "0")
    except ValueError:
        raise BadRequestError("the cursor is none that GROUP_MEMBERS returned") from None


def _number(digits: str) -> int:
    """Return a number that fits a column. Raises ValueError."""
    if not digits.isascii() or not digits.isdigit() or len(digits) > 19 or (number := int(digits)) >= 2**63:
        raise ValueError(digits)
    return number
