"""Groups: applying what logic decides, inside the transaction that locks the group."""

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import ColumnElement, delete, insert, select, text, update

from imd.errors import NotInGroupError
from imd.ports.groups import Decide, Group, GroupChange, Member, NewGroup
from imd.ports.messages import Committed, Stored
from imd.storage.append import Append
from imd.storage.control import control_message
from imd.storage.conversations import Conversations
from imd.storage.schema import x_conversation, x_group, x_inbox
from imd.storage.transaction import Transaction
from imd.wire.bodies import ImGroup
from imd.wire.enums import GroupType, Role

_CHUNK = 1000
"""Members that one statement names."""

_NEW_GROUP = text("INSERT INTO x_group (group_id, group_type) VALUES (:group_id, :group_type) ON CONFLICT DO NOTHING")
"""Another node may be making it at the same time."""


class Groups:
    """Makes and changes groups."""

    def __init__(self, append: Append, conversations: Conversations) -> None:
        self._append = append
        self._conversations = conversations

    def create(self, transaction: Transaction, new: NewGroup, by: int, msg_id: str) -> ImGroup:
        """Make a group with its members and the control message ``create``; one that exists is left as it is."""
        connection = transaction.connection
        row = {"group_id": new.group_id, "group_type": int(GroupType.GROUP)}
        if connection.execute(_NEW_GROUP, row).rowcount:
            change = GroupChange(
                op="create",
                uids=(new.owner_id, *new.member_ids),
                value=new.group_name,
                join=(new.owner_id, *new.member_ids),
                roles={new.owner_id: Role.OWNER},
                fields={
                    "group_name": new.group_name,
                    "avatar": new.avatar,
                    "extra": new.extra,
                    "owner_id": new.owner_id,
                    "join_policy": new.join_policy,
                    "created": transaction.time,
                },
            )
            self._apply(transaction, new.group_id, by, msg_id, change, {})
        return self._view(transaction, new.group_id, by)

    def change(self, transaction: Transaction, group_id: str, by: int, msg_id: str, decide: Decide) -> ImGroup:
        """Ask ``decide``, and apply what it says."""
        connection = transaction.connection
        row = connection.execute(
            select(x_group).where(x_group.c.group_id == group_id, x_group.c.group_type == GroupType.GROUP)
        ).one_or_none()
        if row is None:
            raise NotInGroupError(f"you are not in the group {group_id}")
        members = _members(transaction, group_id)
        change = decide(
            Group(
                group_id=group_id,
                group_name=row.group_name,
                avatar=row.avatar,
                announcement=row.announcement,
                extra=row.extra,
                owner_id=row.owner_id,
                join_policy=row.join_policy,
                mute_until=row.mute_until,
                is_dismissed=bool(row.is_dismissed),
                members=members,
                now=transaction.time,
            )
        )
        if change is not None:
            self._apply(transaction, group_id, by, msg_id, change, members)
        return self._view(transaction, group_id, by)

    def _apply(
        self,
        transaction: Transaction,
        group_id: str,
        by: int,
        msg_id: str,
        change: GroupChange,
        before: Mapping[int, Member],
    ) -> None:
        connection, time = transaction.connection, transaction.time
        count = len(before.keys() | set(change.join)) - len(change.leave)
        connection.execute(
            update(x_group)
            .where(x_group.c.group_id == group_id)
            .values(member_version=x_group.c.member_version + 1, member_count=count, **change.fields)
        )
        receivers = [uid for uid in sorted(before.keys() | set(change.join)) if uid != by]
        message = control_message(
            msg_id, by, group_id, GroupType.GROUP, op=change.op, uids=change.uids, value=change.value
        )
        seq_id = self._append.control(transaction, message, receivers)
        _join(transaction, group_id, change.join, seq_id)
        for is_quit in set(change.leave.values()):
            uids = [uid for uid, why in change.leave.items() if why == is_quit]
            gone = {"is_quit": is_quit, "max_seq": seq_id, "role": 0, "at_seq": 0, "left_time": time}
            _update(transaction, group_id, uids, **gone, update_time=time)
        for uid, role in change.roles.items():
            _update(transaction, group_id, [uid], role=role, update_time=time)
        for uid, until in change.mutes.items():
            _update(transaction, group_id, [uid], mute_until=until, update_time=time)
        version = connection.execute(
            select(x_group.c.member_version).where(x_group.c.group_id == group_id)
        ).scalar_one()
        members = self._append.members(connection, group_id, version)
        transaction.committed.append(Committed(None, Stored(message, receivers, members)))

    def _view(self, transaction: Transaction, group_id: str, uid: int) -> ImGroup:
        if uid == 0:  # of who is no user, it is no conversation
            return ImGroup(group_id=group_id)
        mine = self._conversations.read(transaction.connection, uid, [group_id], transaction.time)
        if group_id not in mine:
            raise NotInGroupError(f"you are not in the group {group_id}")
        return mine[group_id]


def _join(transaction: Transaction, group_id: str, uids: Sequence[int], seq_id: int) -> None:
    """Let ``uids`` see the group from their join message on (rule 9)."""
    connection, time = transaction.connection, transaction.time
    before = seq_id - 1
    counted = connection.execute(select(x_group.c.counted).where(x_group.c.group_id == group_id)).scalar_one()
    fresh = {
        "init_seq": before,
        "read_seq": before,
        "receive_seq": before,
        "seen": counted,
        "max_seq": 0,
        "is_quit": 0,
        "role": Role.MEMBER,
        "at_seq": 0,
        "joined_time": time,
        "update_time": time,
    }  # and not mute_until: who leaves and comes back stays muted
    for some in _chunks(uids):
        inbox = x_inbox.c
        connection.execute(
            delete(x_inbox).where(inbox.uid.in_(some), inbox.group_id == group_id, inbox.seq_id <= before)
        )
        returning = update(x_conversation).where(_rows(group_id, some)).values(fresh).returning(x_conversation.c.uid)
        back = set(connection.execute(returning).scalars())
        first = {"group_id": group_id, "group_type": GroupType.GROUP, **fresh}
        if rows := [{"uid": uid, **first} for uid in some if uid not in back]:
            connection.execute(insert(x_conversation), rows)


def _update(transaction: Transaction, group_id: str, uids: Sequence[int], **values: int) -> None:
    for some in _chunks(uids):
        transaction.connection.execute(update(x_conversation).where(_rows(group_id, some)).values(values))


def _rows(group_id: str, uids: Sequence[int]) -> ColumnElement[bool]:
    return x_conversation.c.uid.in_(uids) & (x_conversation.c.group_id == group_id)


def _chunks(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield as many at a time as one statement may name."""
    for begin in range(0, len(uids), _CHUNK):
        yield uids[begin : begin + _CHUNK]


def _members(transaction: Transaction, group_id: str) -> dict[int, Member]:
    columns = x_conversation.c
    rows = transaction.connection.execute(
        select(columns.uid, columns.role, columns.mute_until, columns.joined_time)
        .where(columns.group_id == group_id, columns.is_quit == 0)
        .order_by(columns.uid)
    )
    return {row.uid: Member(row.uid, row.role, row.mute_until, row.joined_time) for row in rows}
