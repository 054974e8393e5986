"""Taking messages away: for everybody (REVOKE_MSG), for me (DELETE_MSG), all up to a seq (SUBMIT_INIT_SEQ)."""

from collections.abc import Callable

from imd.errors import BadRequestError, NotFoundError, NotInGroupError
from imd.logic.devices import tell_other_devices
from imd.logic.ids import check_group_id
from imd.logic.messages import MAX_MSG_ID
from imd.logic.rights import may_revoke
from imd.ports.delivery import IDelivery, ISession
from imd.ports.messages import IMessageStore
from imd.wire.bodies import DeleteMsg, Empty, RevokeMsg, SubmitInitSeq

MAX_SEQ_IDS = 1000
"""Messages that one DELETE_MSG may name."""


class Removal:
    """Takes messages away. ``revoke_ms`` is how long a sender may, ``new_id`` makes uuids for control messages."""

    def __init__(self, store: IMessageStore, delivery: IDelivery, new_id: Callable[[], str], revoke_ms: int) -> None:
        self._store = store
        self._delivery = delivery
        self._new_id = new_id
        self._revoke_ms = revoke_ms

    async def revoke(self, session: ISession, request: RevokeMsg) -> Empty:
        """Take a message back; everybody learns it by a control message."""
        group_id = check_group_id(request.group_id, session.uid)
        msg_id = request.msg_id
        if not 0 < len(msg_id) <= MAX_MSG_ID or "\0" in msg_id:
            raise BadRequestError(f"msg_id is empty, longer than {MAX_MSG_ID} characters, or holds a NUL character")
        may = may_revoke(self._revoke_ms, session.is_admin)
        try:
            await self._store.revoke(group_id, msg_id, session.uid, self._new_id(), may)
        except NotInGroupError:
            if "_" in group_id:  # a single chat in which nothing was said yet
                raise NotFoundError(f"there is no message {msg_id} in {group_id}") from None
            raise
        return Empty()

    async def delete(self, session: ISession, request: DeleteMsg) -> Empty:
        """Delete messages for me, on all my devices."""
        uid = session.uid
        group_id = check_group_id(request.group_id, uid)
        seq_ids = list(request.seq_ids)
        if not seq_ids or len(seq_ids) > MAX_SEQ_IDS:
            raise BadRequestError(f"{len(seq_ids)} seq_ids; expected 1 to {MAX_SEQ_IDS}")
        if min(seq_ids) <= 0:
            raise BadRequestError(f"a seq_id is {min(seq_ids)}; expected 1 or more")
        try:
            changed = await self._store.hide(uid, group_id, seq_ids)
        except NotInGroupError:
            if "_" in group_id:
                raise NotFoundError(f"there is no message in {group_id}") from None
            raise
        tell_other_devices(self._delivery, uid, session, changed)
        return Empty()

    async def clear(self, session: ISession, request: SubmitInitSeq) -> Empty:
        """Clear my history up to a seq."""
        uid = session.uid
        group_id = check_group_id(request.group_id, uid)
        if request.init_seq < 0:
            raise BadRequestError(f"init_seq is {request.init_seq}; expected 0 or more")
        try:
            changed = await self._store.clear(uid, group_id, request.init_seq)
        except NotInGroupError:
            if "_" in group_id:
                return Empty()
            raise
        tell_other_devices(self._delivery, uid, session, changed)
        return Empty()
