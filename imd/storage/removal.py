"""Taking messages away: for everybody (revoke), for one user (hide), all up to a seq (clear)."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, exists, insert, select, update

from imd.errors import NotFoundError, NotInGroupError
from imd.ports.messages import Committed, InboxAck, MayRevoke, Revocation, Stored
from imd.storage.append import Append
from imd.storage.control import control_message
from imd.storage.conversations import Conversations, tombstone
from imd.storage.rows import READ_COLUMNS, message_of
from imd.storage.schema import x_conversation, x_hidden, x_message
from imd.storage.transaction import Transaction
from imd.storage.unread import Unread, View
from imd.storage.watermarks import Watermarks
from imd.wire.bodies import ImMsg, UserData
from imd.wire.enums import GroupType, MsgStatus

_EMPTIED = {
    "msg_status": MsgStatus.REVOKED,
    "msg_body": "",
    "extra": "",
    "attach_id": 0,
    "attach_type": 0,
    "attach_name": "",
    "attach_url": "",
    "attach_size": 0,
    "at_uids": "",
}
"""What is left of a revoked message: who, when and where, and the digest that knows a repeat (rule 3)."""


class Removal:
    """REVOKE_MSG, DELETE_MSG and SUBMIT_INIT_SEQ."""

    def __init__(self, append: Append, unread: Unread, watermarks: Watermarks, conversations: Conversations) -> None:
        self._append = append
        self._unread = unread
        self._watermarks = watermarks
        self._conversations = conversations

    def revoke(
        self, transaction: Transaction, group_id: str, msg_id: str, by: int, control_id: str, may: MayRevoke
    ) -> None:
        """Empty a message and tell everybody by a control message; a revoked one stays as it is."""
        connection = transaction.connection
        view = self._view(connection, by, group_id)
        if view.is_quit:
            raise NotInGroupError(f"you are not in the group {group_id}")
        columns = [x_message.c[name] for name in READ_COLUMNS]
        query = select(*columns).where(x_message.c.group_id == group_id, x_message.c.msg_id == msg_id)
        row = connection.execute(query).one_or_none()
        if row is None or row.seq_id <= view.begins_after:
            raise NotFoundError(f"there is no message {msg_id} in {group_id}")
        if row.msg_status == MsgStatus.REVOKED:
            return
        message = message_of(row)
        may(Revocation(by, view.role, message, transaction.time))
        connection.execute(
            update(x_message)
            .where(x_message.c.group_id == group_id, x_message.c.seq_id == message.seq_id)
            .values(_EMPTIED)
        )
        if view.group_type != GroupType.SYSTEM:
            self._uncount(connection, message)
        self._tell(transaction, message, by, control_id)

    def _uncount(self, connection: Connection, message: ImMsg) -> None:
        """Take a revoked message out of what is unread, and out of what mentions."""
        columns, group_id, seq_id = x_conversation.c, message.group_id, message.seq_id
        members = (columns.group_id == group_id) & (columns.is_quit == 0)
        if not message.whether_non_count:
            hidden = exists().where(
                x_hidden.c.uid == columns.uid, x_hidden.c.group_id == group_id, x_hidden.c.seq_id == seq_id
            )
            unread = (columns.uid != message.sender_id) & (columns.read_seq < seq_id) & (columns.init_seq < seq_id)
            connection.execute(update(x_conversation).where(members, unread, ~hidden).values(seen=columns.seen + 1))
        if message.at_uids:
            for uid in connection.execute(select(columns.uid).where(members, columns.at_seq == seq_id)).scalars().all():
                self._mention_anew(connection, uid, group_id)

    def _tell(self, transaction: Transaction, message: ImMsg, by: int, control_id: str) -> None:
        group_id = message.group_id
        control = control_message(
            control_id,
            by,
            group_id,
            message.group_type,
            op="revoke",
            uids=[message.sender_id],
            msg_id=message.msg_id,
            seq_id=message.seq_id,
        )
        receivers: list[int] = []
        if message.group_type != GroupType.SYSTEM:
            columns = x_conversation.c
            query = select(columns.uid).where(columns.group_id == group_id, columns.is_quit == 0, columns.uid != by)
            receivers = list(transaction.connection.execute(query.order_by(columns.uid)).scalars())
        self._append.control(transaction, control, receivers)
        transaction.committed.append(Committed(None, Stored(control, receivers)))

    def hide(self, transaction: Transaction, uid: int, group_id: str, seq_ids: Sequence[int]) -> UserData | None:
        """Delete messages for one user; return the conversation and the new tombstones, None where nothing changed."""
        connection, now = transaction.connection, transaction.time
        view = self._view(connection, uid, group_id)
        if max(seq_ids) > view.max_seq:
            raise NotFoundError(f"{group_id} ends at seq {view.max_seq} for you; {max(seq_ids)} is past it")
        mine = (x_hidden.c.uid == uid) & (x_hidden.c.group_id == group_id)
        query = select(x_hidden.c.seq_id).where(mine, x_hidden.c.seq_id.in_(seq_ids))
        already = set(connection.execute(query).scalars())
        fresh = sorted({seq_id for seq_id in seq_ids if seq_id > view.begins_after} - already)
        if not fresh:
            return None
        seen = view.seen + self._unread.among(connection, view, fresh)
        rows = [{"uid": uid, "group_id": group_id, "seq_id": seq_id, "hidden_time": now} for seq_id in fresh]
        connection.execute(insert(x_hidden), rows)
        self._update(connection, view, seen=seen, update_time=now)
        self._watermarks.clear_inbox(connection, [InboxAck(uid, group_id, seq_id, seq_id) for seq_id in fresh], now)
        if view.at_seq in fresh:
            self._mention_anew(connection, uid, group_id)
        answer = self._answer(transaction, view)
        answer.messages.extend(tombstone(group_id, view.group_type, seq_id) for seq_id in fresh)
        return answer

    def clear(self, transaction: Transaction, uid: int, group_id: str, init_seq: int) -> UserData | None:
        """Raise init_seq, so far as one change goes; return the conversation, None where nothing changed."""
        connection, now = transaction.connection, transaction.time
        view = self._view(connection, uid, group_id)
        init_seq = min(init_seq, view.max_seq)
        if init_seq <= view.init_seq:
            return None
        ((reached, seen),) = self._unread.rise(connection, [(view, init_seq)])
        at_seq = view.at_seq if view.at_seq > reached else 0
        self._update(connection, view, init_seq=reached, seen=seen, at_seq=at_seq, update_time=now)
        self._watermarks.clear_inbox(connection, [InboxAck(uid, group_id, 0, reached)], now)
        connection.execute(
            delete(x_hidden).where(x_hidden.c.uid == uid, x_hidden.c.group_id == group_id, x_hidden.c.seq_id <= reached)
        )
        return self._answer(transaction, view)

    def _view(self, connection: Connection, uid: int, group_id: str) -> View:
        view = self._unread.view(connection, uid, group_id)
        if view is None:
            raise NotInGroupError(f"you are not in the group {group_id}")
        return view

    def _mention_anew(self, connection: Connection, uid: int, group_id: str) -> None:
        view = self._view(connection, uid, group_id)
        self._update(connection, view, at_seq=self._unread.mention(connection, view))

    def _answer(self, transaction: Transaction, view: View) -> UserData:
        return self._conversations.of(transaction.connection, view.uid, [view.group_id], transaction.time)

    def _update(self, connection: Connection, view: View, **values: int) -> None:
        columns = x_conversation.c
        row = (columns.uid == view.uid) & (columns.group_id == view.group_id)
        connection.execute(update(x_conversation).where(row).values(values))
