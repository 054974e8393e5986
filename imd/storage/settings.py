"""What a user sets of a conversation."""

from collections.abc import Mapping

from sqlalchemy import select, update

from imd.errors import NotInGroupError
from imd.storage.conversations import Conversations
from imd.storage.schema import x_conversation
from imd.storage.transaction import Transaction
from imd.wire.bodies import UserData


def set_conversation(
    transaction: Transaction, conversations: Conversations, uid: int, group_id: str, settings: Mapping[str, int]
) -> UserData | None:
    """Set columns of the user's row; return the conversation, None where nothing changed. Raises NotInGroupError."""
    connection = transaction.connection
    row = (x_conversation.c.uid == uid) & (x_conversation.c.group_id == group_id)
    columns = [x_conversation.c[name] for name in settings]
    before = connection.execute(select(x_conversation.c.uid, *columns).where(row)).one_or_none()
    if before is None:
        raise NotInGroupError(f"you are not in {group_id}")
    if all(before._mapping[name] == value for name, value in settings.items()):
        return None
    values = {**settings, "update_time": transaction.time}
    connection.execute(update(x_conversation).where(row).values(values))
    return conversations.of(connection, uid, [group_id], transaction.time)
