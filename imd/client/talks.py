"""The commands for conversations and their messages, and the list of them in the local store."""

from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.message import Message as Body
from twisted.internet.defer import Deferred

from imd.client import conversations, messages
from imd.client.answer import Answer, answer
from imd.client.store import Store
from imd.client.streams import Streams
from imd.client.values import Conversation, Readers, Unread
from imd.wire.bodies import (
    ConversationSet,
    DeleteMsg,
    IssueReadSeq,
    IssueReceipt,
    ListMsgReader,
    ListMsgReaderAck,
    RevokeMsg,
    SubmitInitSeq,
    SubmitReadSeq,
    UnreadCount,
    UnreadCountAck,
)
from imd.wire.commands import Command
from imd.wire.single import peer_of


class Conversations:
    """``page`` and ``find`` read the local store; the others ask the server, and raise as the methods of Groups do.

    ``changed`` gets each conversation that has changed otherwise than by a message.
    """

    def __init__(
        self,
        store: Store,
        streams: Streams,
        uid: int,
        request: Callable[[Command, Body], "Deferred[Any]"],
        changed: Callable[[Conversation], None],
    ) -> None:
        self._store = store
        self._streams = streams
        self._uid = uid
        self._request = request
        self._changed = changed

    def page(self, limit: int = 100, offset: int = 0) -> Answer[list[Conversation]]:
        """Return a page of my conversations, those on top first, then the newest first."""
        return answer(_get(self._store.call(lambda database: conversations.page(database, limit, offset))))

    def find(self, group_id: str) -> Answer[Conversation | None]:
        """Return one conversation, None where the local store has none."""
        return answer(_get(self._store.call(lambda database: conversations.find(database, group_id))))

    def mark_read(self, group_id: str, read_seq: int = 0) -> Answer[None]:
        """Tell that I have read up to a seq, or everything that has come (0)."""

        async def mark_read() -> None:
            seq_id = read_seq or self._known(group_id)
            await self._request(Command.SUBMIT_READ_SEQ, SubmitReadSeq(group_id=group_id, read_seq=seq_id))
            await self._read(group_id, seq_id)

        return answer(mark_read())

    def readers(self, group_id: str, seq_id: int) -> Answer[Readers]:
        """Return who has read a message and who has not."""

        async def readers() -> Readers:
            asked = ListMsgReader(group_id=group_id, seq_id=seq_id)
            told: ListMsgReaderAck = await self._request(Command.LIST_MSG_READER, asked)
            return Readers(tuple(told.readers), tuple(told.unreaders))

        return answer(readers())

    def unread(self, group_ids: Iterable[str] = ()) -> Answer[Unread]:
        """Return how much I have not read, as the server counts: in these conversations, at most 200, or in all."""

        async def unread() -> Unread:
            told: UnreadCountAck = await self._request(Command.UNREAD_COUNT, UnreadCount(group_ids=group_ids))
            return Unread(told.total, {group.group_id: group.unread for group in told.groups})

        return answer(unread())

    def revoke(self, group_id: str, msg_id: str) -> Answer[None]:
        """Take a message back for everyone, who learn it by a control message. Raises RevokeTimeoutError too."""
        return answer(_do(self._request(Command.REVOKE_MSG, RevokeMsg(group_id=group_id, msg_id=msg_id))))

    def delete(self, group_id: str, seq_ids: Iterable[int]) -> Answer[None]:
        """Delete messages for me, on all my devices; at most 1,000."""

        async def delete() -> None:
            seqs = tuple(seq_ids)
            await self._request(Command.DELETE_MSG, DeleteMsg(group_id=group_id, seq_ids=seqs))
            await self._store.call(lambda database: messages.delete(database, group_id, seqs))

        return answer(delete())

    def clear(self, group_id: str, init_seq: int = 0) -> Answer[None]:
        """Clear my history up to a seq, or all that has come (0), on all my devices."""

        async def clear() -> None:
            seq_id = init_seq or self._known(group_id)
            await self._request(Command.SUBMIT_INIT_SEQ, SubmitInitSeq(group_id=group_id, init_seq=seq_id))
            self._tell(await self._store.call(lambda database: conversations.set_cleared(database, group_id, seq_id)))

        return answer(clear())

    def configure(self, group_id: str, *, is_shield: bool | None = None, is_top: bool | None = None) -> Answer[None]:
        """Set whether a conversation is not to disturb me, and whether it is on top; None leaves it as it is."""

        async def configure() -> None:
            shield, top = (None if value is None else int(value) for value in (is_shield, is_top))
            body = ConversationSet(group_id=group_id, is_shield=shield, is_top=top)
            await self._request(Command.CONVERSATION_SET, body)
            await self._store.call(lambda database: conversations.set_settings(database, group_id, shield, top))

        return answer(configure())

    # What the server tells by itself.

    def read_elsewhere(self, notice: IssueReadSeq) -> None:
        """Take in how far I have read on another device."""
        reading = Deferred.fromCoroutine(self._read(notice.group_id, notice.read_seq))
        reading.addErrback(lambda _: None)  # the next list has it as well

    def receipt(self, receipt: IssueReceipt) -> None:
        """Take in how far the other one of a single chat is."""
        group_id = receipt.group_id
        if "_" in group_id and peer_of(group_id, self._uid) == receipt.uid:
            kept = self._store.call(
                lambda database: conversations.set_peer(database, group_id, receipt.receive_seq, receipt.read_seq)
            )
            kept.addErrback(lambda _: None)  # the next list has it as well

    async def _read(self, group_id: str, read_seq: int) -> None:
        self._tell(await self._store.call(lambda database: conversations.set_read(database, group_id, read_seq)))

    def _tell(self, conversation: Conversation | None) -> None:
        if conversation is not None:
            self._streams.learn([conversation])
            self._changed(conversation)

    def _known(self, group_id: str) -> int:
        return self._streams[group_id].known if group_id in self._streams else 0


async def _get(found: "Deferred[Any]") -> Any:
    return await found


async def _do(asked: "Deferred[Any]") -> None:
    await asked
