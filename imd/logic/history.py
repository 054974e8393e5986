"""Coming back: one's conversations, groups by id, pages of history."""

from collections.abc import Sequence

from imd.errors import BadRequestError, NotInGroupError
from imd.logic.ids import check_group_id
from imd.ports.conversations import IConversationStore
from imd.ports.delivery import ISession
from imd.ports.messages import IMessageStore
from imd.wire.bodies import GetGroupById, ListGroup, PullMsg, UnreadCount, UnreadCountAck, UserData

CONVERSATIONS_PAGE = 50
MAX_CONVERSATIONS_PAGE = 500
MESSAGES_PAGE = 20
MAX_MESSAGES_PAGE = 100
MAX_GROUP_IDS = 200


class History:
    """LIST_GROUP, GROUP_BY_ID, UNREAD_COUNT and IM_OFFLINE_MSG."""

    def __init__(self, conversations: IConversationStore, messages: IMessageStore) -> None:
        self._conversations = conversations
        self._messages = messages

    async def list_groups(self, session: ISession, request: ListGroup) -> UserData:
        """One page of my conversations."""
        if request.since < 0:
            raise BadRequestError(f"since is {request.since}; expected milliseconds since the epoch, or 0 for all")
        page_size = min(request.page_size or CONVERSATIONS_PAGE, MAX_CONVERSATIONS_PAGE)
        return await self._conversations.conversations(session.uid, request.cursor, page_size, request.since)

    async def groups_by_id(self, session: ISession, request: GetGroupById) -> UserData:
        """What I may see of these groups."""
        return await self._conversations.conversations_by_id(session.uid, _checked(request.group_ids))

    async def unread(self, session: ISession, request: UnreadCount) -> UnreadCountAck:
        """How much I have not read, in these groups or in all."""
        return await self._conversations.unread(session.uid, _checked(request.group_ids))

    async def pull(self, session: ISession, request: PullMsg) -> UserData:
        """A page of a conversation's messages (rule 7)."""
        group_id = check_group_id(request.group_id, session.uid)
        if request.receive_seq_id < 0 or request.before_seq_id < 0:
            raise BadRequestError("receive_seq_id and before_seq_id are 0 or more")
        page_size = min(request.page_size or MESSAGES_PAGE, MAX_MESSAGES_PAGE)
        after, before = request.receive_seq_id, request.before_seq_id
        try:
            return await self._messages.pull(session.uid, group_id, after, before, page_size)
        except NotInGroupError:
            if "_" not in group_id:
                raise
            return UserData()  # a single chat in which nothing was said yet


def _checked(group_ids: Sequence[str]) -> list[str]:
    if len(group_ids) > MAX_GROUP_IDS:
        raise BadRequestError(f"{len(group_ids)} group_ids; at most {MAX_GROUP_IDS} can be asked for at once")
    if any("\0" in group_id for group_id in group_ids):  # which a database may take for the end of the id
        raise BadRequestError("a group_id holds a NUL character")
    return list(dict.fromkeys(group_ids))
