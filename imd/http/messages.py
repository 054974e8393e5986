"""POST /v1/messages and /v1/broadcasts: messages on behalf of users, or of the system."""

from typing import Annotated

from msgspec import Meta, Struct

from imd.errors import BadRequestError
from imd.http.fields import Int32, Int64, MsgId, SenderId, Text
from imd.http.routing import NoParameters, Route
from imd.http.scopes import Scope
from imd.logic.sending import Sending
from imd.wire.bodies import ImMsg
from imd.wire.enums import SYSTEM_GROUP, GroupType
from imd.wire.results import Result

MsgType = Annotated[int, Meta(ge=1, le=2**31 - 1, description="1 text, 2 voice, 3 picture, …; see proto/README.md.")]
_REFUSED = frozenset({Result.CONFLICT, Result.NOT_IN_GROUP, Result.MUTED, Result.BLOCKED})


class Content(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a message says, as a client would send it. The same msg_id with the same content changes nothing.

    Where the login system has given a user's name, that one is taken for ``sender_name``.
    """

    msg_id: MsgId
    sender_id: SenderId = 0
    msg_type: MsgType = 1
    msg_body: Text = ""
    sender_name: Text = ""
    sender_remark: Text = ""
    extra: Text = ""
    attach_id: Int64 = 0
    attach_type: Int32 = 0
    attach_name: Text = ""
    attach_url: Text = ""
    attach_size: Int64 = 0
    whether_non_count: Annotated[int, Meta(ge=0, le=1, description="1: it doesn't count as unread.")] = 0


class NewMessage(Content, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message, and into which conversation it goes: one of ``group_id`` and ``receiver_id``."""

    group_id: Annotated[Text, Meta(max_length=64)] = ""
    receiver_id: Annotated[int, Meta(ge=0, le=2**63 - 1, description="A single chat with this user.")] = 0
    at_uids: Annotated[list[Annotated[int, Meta(ge=0, le=2**63 - 1)]], Meta(max_length=500)] = []


class Broadcast(Content, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message for everybody."""


class MessageAck(Struct, frozen=True):
    """The message is durable, and on its way to its receivers. ``seq_id`` 0: it was passed through, and is not kept."""

    msg_id: str
    group_id: str
    seq_id: int
    send_time: int


class MessageRoutes:
    """Sends messages."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending

    def routes(self) -> list[Route]:
        """Return the table."""
        return [
            Route(
                "POST",
                "/v1/messages",
                "Send a chat message on behalf of a user or of the system",
                self.send,
                MessageAck,
                Scope.MESSAGES,
                body=NewMessage,
                errors=_REFUSED,
            ),
            Route(
                "POST",
                "/v1/broadcasts",
                "Send a message to everybody",
                self.broadcast,
                MessageAck,
                Scope.BROADCASTS,
                body=Broadcast,
                errors=frozenset({Result.CONFLICT}),
                audited=True,
            ),
        ]

    async def send(self, _parameters: NoParameters, request: NewMessage) -> MessageAck:
        """Send a message into a conversation."""
        if request.group_id == SYSTEM_GROUP:
            raise BadRequestError("a message for everybody is sent by POST /v1/broadcasts")
        message = _im_msg(request)
        message.group_id = request.group_id
        message.receiver_id = request.receiver_id
        message.at_uids.extend(request.at_uids)
        return await self._send(message, request.sender_id)

    async def broadcast(self, _parameters: NoParameters, request: Broadcast) -> MessageAck:
        """Send a message to everybody."""
        message = _im_msg(request)
        message.group_id = SYSTEM_GROUP
        message.group_type = GroupType.SYSTEM
        return await self._send(message, request.sender_id, to_everybody=True)

    async def _send(self, message: ImMsg, sender_id: int, *, to_everybody: bool = False) -> MessageAck:
        ack = await self._sending.send(message, sender_id, to_everybody=to_everybody)
        return MessageAck(ack.msg_id, ack.group_id, ack.seq_id, ack.send_time)


def _im_msg(content: Content) -> ImMsg:
    return ImMsg(
        msg_id=content.msg_id,
        msg_type=content.msg_type,
        msg_body=content.msg_body,
        sender_name=content.sender_name,
        sender_remark=content.sender_remark,
        extra=content.extra,
        attach_id=content.attach_id,
        attach_type=content.attach_type,
        attach_name=content.attach_name,
        attach_url=content.attach_url,
        attach_size=content.attach_size,
        whether_non_count=content.whether_non_count,
    )
