"""Coming back: one's conversations, groups by id, pages of history."""

from imd.errors import BadRequestError, ForbiddenError, NotInGroupError
from imd.logic.ids import single_members
from imd.ports import IMessageStore, ISession
from imd.wire.bodies import GetGroupById, ListGroup, PullMsg, UserData

CONVERSATIONS_PAGE = 50
MAX_CONVERSATIONS_PAGE = 200
MESSAGES_PAGE = 20
MAX_MESSAGES_PAGE = 100
MAX_GROUP_IDS = 200


class History:
    """LIST_GROUP, GROUP_BY_ID and IM_OFFLINE_MSG."""

    def __init__(self, store: IMessageStore) -> None:
        self._store = store

    async def list_groups(self, session: ISession, request: ListGroup) -> UserData:
        """One page of my conversations."""
        if request.since < 0:
            raise BadRequestError(f"since is {request.since}; expected milliseconds since the epoch, or 0 for all")
        page_size = min(request.page_size or CONVERSATIONS_PAGE, MAX_CONVERSATIONS_PAGE)
        return await self._store.conversations(session.uid, request.cursor, page_size, request.since)

    async def groups_by_id(self, session: ISession, request: GetGroupById) -> UserData:
        """What I may see of these groups."""
        group_ids = request.group_ids
        if len(group_ids) > MAX_GROUP_IDS:
            raise BadRequestError(f"{len(group_ids)} group_ids; at most {MAX_GROUP_IDS} can be asked for at once")
        return await self._store.conversations_by_id(session.uid, list(group_ids))

    async def pull(self, session: ISession, request: PullMsg) -> UserData:
        """A page of a conversation's messages (rule 7)."""
        group_id = request.group_id
        if not group_id:
            raise BadRequestError("group_id is empty")
        if request.receive_seq_id < 0 or request.before_seq_id < 0:
            raise BadRequestError("receive_seq_id and before_seq_id are 0 or more")
        pair = single_members(group_id)
        if pair is not None and session.uid not in pair:
            raise ForbiddenError(f"the single chat {group_id} is not yours")
        page_size = min(request.page_size or MESSAGES_PAGE, MAX_MESSAGES_PAGE)
        after, before = request.receive_seq_id, request.before_seq_id
        try:
            return await self._store.pull(session.uid, group_id, after, before, page_size)
        except NotInGroupError:
            if pair is None:
                raise
            return UserData()  # a single chat in which nothing was said yet
