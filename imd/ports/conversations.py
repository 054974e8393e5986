"""The conversations of a user."""

from collections.abc import Mapping, Sequence

from zope.interface import Interface

from imd.wire.bodies import UnreadCountAck, UserData


class IConversationStore(Interface):
    """Conversations as their user sees them; changes go into the group commit (IMessageStore)."""

    async def conversations(uid: int, cursor: str, page_size: int, since: int) -> UserData:
        """One page of LIST_GROUP."""

    async def conversations_by_id(uid: int, group_ids: Sequence[str]) -> UserData:
        """GROUP_BY_ID: what the user may see of these groups, as many as an answer holds."""

    async def unread(uid: int, group_ids: Sequence[str]) -> UnreadCountAck:
        """UNREAD_COUNT: of these groups, of all with something unread where there are none named."""

    async def set_conversation(uid: int, group_id: str, settings: Mapping[str, int]) -> UserData | None:
        """Set is_shield and is_top; return the conversation, None where nothing changed.

        Raises NotInGroupError where the user never was in it.
        """
