"""The members of a group: a page of them, and who has read a message."""

from typing import Any

from sqlalchemy import Connection, Select, select

from imd.errors import BadRequestError, NotFoundError, NotInGroupError
from imd.storage.conversations import number
from imd.storage.schema import x_conversation, x_message, x_user
from imd.storage.unread import Unread
from imd.wire.bodies import GroupMember, ListMsgReaderAck, UserData


def list_members(connection: Connection, uid: int, group_id: str, cursor: str, page_size: int, now: int) -> UserData:
    """One page of a group's members by uid; only for who is in it. Raises NotInGroupError."""
    columns = x_conversation.c
    mine = connection.execute(
        select(columns.is_quit).where(columns.uid == uid, columns.group_id == group_id)
    ).scalar_one_or_none()
    if mine is None or mine:
        raise NotInGroupError(f"you are not in the group {group_id}")
    after = _parse_uid(cursor)
    query: Select[Any] = (
        select(columns.uid, columns.role, columns.mute_until, columns.joined_time, columns.read_seq, x_user.c.name)
        .outerjoin(x_user, x_user.c.uid == columns.uid)
        .where(columns.group_id == group_id, columns.is_quit == 0, columns.uid > after)
        .order_by(columns.uid)
        .limit(page_size + 1)
    )
    rows = connection.execute(query).all()
    page = UserData()
    for row in rows[:page_size]:
        member = GroupMember(**row._mapping)
        if member.mute_until <= now:
            member.mute_until = 0
        page.members.append(member)
    if len(rows) > page_size:
        page.has_more = True
        page.cursor = str(page.members[-1].uid)
    return page


def readers(connection: Connection, unread: Unread, uid: int, group_id: str, seq_id: int) -> ListMsgReaderAck:
    """Who has read a message and who has not, without its sender and without who can't see it."""
    view = unread.view(connection, uid, group_id)
    if view is None or view.is_quit:
        raise NotInGroupError(f"you are not in the group {group_id}")
    sender = connection.execute(
        select(x_message.c.sender_id).where(x_message.c.group_id == group_id, x_message.c.seq_id == seq_id)
    ).scalar_one_or_none()
    if sender is None or seq_id <= view.begins_after:
        raise NotFoundError(f"there is no message {seq_id} in what you see of {group_id}")
    columns = x_conversation.c
    rows = connection.execute(
        select(columns.uid, columns.read_seq)
        .where(columns.group_id == group_id, columns.is_quit == 0, columns.uid != sender, columns.init_seq < seq_id)
        .order_by(columns.uid)
    ).all()
    answer = ListMsgReaderAck()
    for member, read_seq in rows:
        (answer.readers if read_seq >= seq_id else answer.unreaders).append(member)
    return answer


def _parse_uid(cursor: str) -> int:
    try:
        return number(cursor or "0")
    except ValueError:
        raise BadRequestError("the cursor is none that GROUP_MEMBERS returned") from None
