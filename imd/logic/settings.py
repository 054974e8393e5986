"""What a user sets: of a conversation (CONVERSATION_SET), and whose single chats they refuse (BLOCK)."""

from collections.abc import Callable, Collection, Sequence

from imd.errors import BadRequestError, NotFoundError, NotInGroupError, TooLargeError
from imd.logic.actors import Actor
from imd.logic.devices import tell_other_devices
from imd.logic.ids import check_group_id, check_uid
from imd.ports.conversations import IConversationStore
from imd.ports.delivery import IDelivery, ISession
from imd.ports.users import IUserStore
from imd.wire.bodies import Block, ConversationSet, Empty, ListBlocked, ListBlockedAck, Unblock

MAX_BLOCKED = 1000
"""Users that one user may have blocked."""

_SETTINGS = ("is_shield", "is_top")


class Settings:
    """CONVERSATION_SET, BLOCK, UNBLOCK and LIST_BLOCKED. ``on_block`` is told who has blocked whom."""

    def __init__(
        self,
        conversations: IConversationStore,
        users: IUserStore,
        delivery: IDelivery,
        on_block: Callable[[int, Collection[int]], None],
    ) -> None:
        self._conversations = conversations
        self._users = users
        self._delivery = delivery
        self._on_block = on_block

    async def set_conversation(self, session: ISession, request: ConversationSet) -> Empty:
        """Don't disturb me, or on top of the list."""
        uid = session.uid
        group_id = check_group_id(request.group_id, uid)
        settings = {name: getattr(request, name) for name in _SETTINGS if request.HasField(name)}
        for name, value in settings.items():
            if value not in (0, 1):
                raise BadRequestError(f"{name} is {value}; expected 0 or 1")
        if not settings:
            raise BadRequestError("nothing is set: expected is_shield or is_top")
        try:
            changed = await self._conversations.set_conversation(uid, group_id, settings)
        except NotInGroupError:
            if "_" in group_id:
                raise NotFoundError(f"nothing was said in {group_id} yet") from None
            raise
        tell_other_devices(self._delivery, uid, session, changed)
        return Empty()

    async def block(self, session: Actor, request: Block) -> Empty:
        """Refuse the single chats of these users, and be offline to them."""
        uid = session.uid
        if len(request.uids) > MAX_BLOCKED:
            raise TooLargeError(f"{len(request.uids)} uids; a block list holds at most {MAX_BLOCKED}")
        uids = _uids(request.uids)
        if uid in uids:
            raise BadRequestError("you can't block yourself")
        await self._users.block(uid, uids, MAX_BLOCKED)
        self._on_block(uid, uids)
        return Empty()

    async def unblock(self, session: Actor, request: Unblock) -> Empty:
        """Take their single chats again."""
        await self._users.unblock(session.uid, _uids(request.uids))
        return Empty()

    async def list_blocked(self, session: Actor, _request: ListBlocked) -> ListBlockedAck:
        """Whom I have blocked."""
        return ListBlockedAck(uids=await self._users.blocked(session.uid))


def _uids(uids: Sequence[int]) -> list[int]:
    if not 0 < len(uids) <= MAX_BLOCKED:
        raise BadRequestError(f"{len(uids)} uids; expected 1 to {MAX_BLOCKED}")
    return list(dict.fromkeys(check_uid(uid) for uid in uids))
