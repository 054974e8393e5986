"""What was said in a conversation, and what became of a message."""

from typing import Literal

from msgspec import Struct

from imd.errors import NotFoundError
from imd.http.fields import Cursor, GroupId, Limit, MsgId
from imd.http.routing import NoBody, Route
from imd.http.scopes import Scope
from imd.logic.pushes import Pushes
from imd.ports.archive import IArchive, Recipient, Traced
from imd.ports.presence import IPresence
from imd.wire.bodies import ImMsg
from imd.wire.enums import GroupType
from imd.wire.results import Result


class Message(Struct, frozen=True, omit_defaults=True):
    """A message as it is kept; ``msg_status`` 2 means revoked."""

    msg_id: str
    group_id: str
    seq_id: int
    send_time: int
    sender_id: int
    msg_type: int
    msg_body: str = ""
    sender_name: str = ""
    sender_remark: str = ""
    msg_status: int = 0
    extra: str = ""
    attach_id: int = 0
    attach_type: int = 0
    attach_name: str = ""
    attach_url: str = ""
    attach_size: int = 0
    whether_non_count: int = 0
    at_uids: list[int] = []


class TraceParameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which message, and which page of its recipients."""

    msg_id: MsgId
    group_id: GroupId
    cursor: Cursor = ""
    limit: Limit = 100


class RecipientState(Struct, frozen=True):
    """How far a recipient is: the message waits in the inbox, was received by a device, or was read.

    ``client_types`` are those of the devices that are online now.
    """

    uid: int
    state: Literal["waiting", "received", "read"]
    receive_seq: int
    read_seq: int
    client_types: list[int]


class PushState(Struct, frozen=True):
    """A push of it to a session that is still there, by the node that answers, and when (ms since the epoch)."""

    time: int
    uid: int
    client_type: int
    session_id: str


class Trace(Struct, frozen=True):
    """Where a message is. ``recipients`` are a page by uid; ``pushes`` are what ``node`` remembers for these."""

    message: Message
    recipients: list[RecipientState]
    cursor: str
    node: str
    pushes: list[PushState]


class HistoryParameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which conversation, and which page."""

    group_id: GroupId
    cursor: Cursor = ""
    limit: Limit = 100


class History(Struct, frozen=True):
    """A page of messages, the oldest first; ``cursor`` is empty on the last one."""

    messages: list[Message]
    cursor: str


class HistoryRoutes:
    """Tells of messages. ``node`` is this one's name."""

    def __init__(self, archive: IArchive, presence: IPresence, pushes: Pushes, node: str) -> None:
        self._archive = archive
        self._presence = presence
        self._pushes = pushes
        self._node = node

    def routes(self) -> list[Route]:
        """Return the table."""
        return [
            Route(
                "GET",
                "/v1/messages/{msg_id}/trace",
                "Tell where a message is: in whose inbox still, received and read by whom, pushed where lately",
                self.trace,
                Trace,
                Scope.HISTORY,
                parameters=TraceParameters,
                errors=frozenset({Result.NOT_FOUND}),
            ),
            Route(
                "GET",
                "/v1/groups/{group_id}/messages",
                "Export the messages of a conversation, the oldest first; single chats and `system` too",
                self.history,
                History,
                Scope.HISTORY,
                parameters=HistoryParameters,
                errors=frozenset({Result.NOT_FOUND}),
            ),
        ]

    async def trace(self, parameters: TraceParameters, _body: NoBody) -> Trace:
        """Tell where a message is."""
        group_id = parameters.group_id
        found = await self._archive.trace(group_id, parameters.msg_id, parameters.cursor, parameters.limit)
        if found is None:
            raise NotFoundError(f"there is no message {parameters.msg_id} in {group_id}")
        uids = [recipient.uid for recipient in found.recipients]
        online = await self._presence.client_types(uids) if uids else {}
        pushed = self._pushes.of(group_id, found.message.seq_id, uids)
        return Trace(
            message=message_of(found.message),
            recipients=[
                RecipientState(
                    recipient.uid,
                    _state(found, recipient),
                    recipient.receive_seq,
                    recipient.read_seq,
                    list(online.get(recipient.uid, ())),
                )
                for recipient in found.recipients
            ],
            cursor=found.cursor,
            node=self._node,
            pushes=[PushState(each.time, each.uid, each.client_type, each.session_id) for each in pushed],
        )

    async def history(self, parameters: HistoryParameters, _body: NoBody) -> History:
        """Export a page of messages."""
        page = await self._archive.export(parameters.group_id, parameters.cursor, parameters.limit)
        if not page.messages and await self._archive.group_info(parameters.group_id) is None:
            raise NotFoundError(f"there is no conversation {parameters.group_id}")
        return History([message_of(message) for message in page.messages], page.cursor)


def message_of(message: ImMsg) -> Message:
    """Return a kept message as the API tells it."""
    return Message(
        message.msg_id,
        message.group_id,
        message.seq_id,
        message.send_time,
        message.sender_id,
        message.msg_type,
        message.msg_body,
        message.sender_name,
        message.sender_remark,
        message.msg_status,
        message.extra,
        message.attach_id,
        message.attach_type,
        message.attach_name,
        message.attach_url,
        message.attach_size,
        message.whether_non_count,
        list(message.at_uids),
    )


def _state(traced: Traced, recipient: Recipient) -> Literal["waiting", "received", "read"]:
    seq_id = traced.message.seq_id
    if recipient.read_seq >= seq_id:
        return "read"
    # Broadcasts lie in no inbox: there the mark says it all.
    is_broadcast = traced.message.group_type == GroupType.SYSTEM
    if recipient.is_waiting or (is_broadcast and recipient.receive_seq < seq_id):
        return "waiting"
    return "received"
