"""What a client may send, and where it goes (rule 1 of proto/README.md)."""

from imd.errors import BadRequestError, ForbiddenError, TooLargeError
from imd.logic.ids import check_uid, single_members
from imd.wire.bodies import ImMsg
from imd.wire.enums import SYSTEM_GROUP, GroupType, MsgType
from imd.wire.packet import MAX_MESSAGE
from imd.wire.single import single_group_id

MAX_MSG_ID = 64
MAX_AT_UIDS = 500
# An enum's member costs a call to look up, which counts here.
_SINGLE, _GROUP, _SYSTEM = int(GroupType.SINGLE), int(GroupType.GROUP), int(GroupType.SYSTEM)
_ANNOUNCEMENT, _PASSTHROUGH, _CONTROL = int(MsgType.ANNOUNCEMENT), int(MsgType.PASSTHROUGH), int(MsgType.CONTROL)
_PLACED = frozenset({_ANNOUNCEMENT, _PASSTHROUGH})
_TEXTS = ("msg_id", "msg_body", "sender_name", "sender_remark", "extra", "attach_name", "attach_url")


def check_message(message: ImMsg) -> None:
    """Check what a client sent and clear what only the server fills.

    Raises TooLargeError, BadRequestError, or ForbiddenError for a control message.
    """
    if message.ByteSize() > MAX_MESSAGE:
        raise TooLargeError(f"a message has at most {MAX_MESSAGE} bytes")
    msg_id = message.msg_id
    if not msg_id or len(msg_id) > MAX_MSG_ID:
        raise BadRequestError(f"msg_id is empty or longer than {MAX_MSG_ID} characters; expected a uuid")
    msg_type = message.msg_type
    if msg_type <= 0:
        raise BadRequestError(f"msg_type is {msg_type}; expected 1 or more")
    if msg_type == _CONTROL:
        raise ForbiddenError("only the server sends control messages")
    at_uids = message.at_uids
    if at_uids and (len(at_uids) > MAX_AT_UIDS or min(at_uids) < 0):
        raise BadRequestError(f"at_uids holds more than {MAX_AT_UIDS} uids or a negative one")
    message.DiscardUnknownFields()
    message.seq_id = message.send_time = message.sender_id = 0
    message.status = message.msg_status = 0
    message.group_name = ""


def check_texts(message: ImMsg) -> None:
    """Raise BadRequestError where a text holds a NUL."""
    # PostgreSQL keeps no NUL in a text, so no store does.
    for name in _TEXTS:
        if "\0" in getattr(message, name):
            raise BadRequestError(f"{name} holds a NUL character")


def address(message: ImMsg, uid: int, is_admin: bool) -> None:
    """Fill group_id, group_type and receiver_id from what the sender gave of them (rule 1).

    Raises BadRequestError where they contradict each other, ForbiddenError where the sender may not send there.
    """
    group_id, group_type = message.group_id, message.group_type
    if group_type == _SYSTEM or group_id == SYSTEM_GROUP:
        _address_everybody(message, is_admin)
        return
    if not group_id:
        if group_type not in (0, _SINGLE):
            raise BadRequestError(f"group_type is {group_type}, but without a group_id it goes into a single chat")
        receiver = check_uid(message.receiver_id, "receiver_id")
        message.group_id = single_group_id(uid, receiver)
        message.group_type = _SINGLE
        return
    pair = single_members(group_id)
    if pair is None:
        if group_type not in (0, _GROUP):
            raise BadRequestError(f"group_type is {message.group_type}, but {group_id} is a group")
        message.group_type = _GROUP
        message.receiver_id = 0
        return
    if uid not in pair:
        raise ForbiddenError(f"the single chat {group_id} is not yours")
    if group_type not in (0, _SINGLE):
        raise BadRequestError(f"group_type is {message.group_type}, but {group_id} is a single chat")
    peer = pair[1] if uid == pair[0] else pair[0]
    if message.receiver_id not in (0, peer):
        raise BadRequestError(f"receiver_id is {message.receiver_id}, but the single chat {group_id} is with {peer}")
    message.group_type = _SINGLE
    message.receiver_id = peer


def address_as_system(message: ImMsg, is_admin: bool) -> None:
    """Fill group_type from the group_id of a message that is no user's, and receiver_id, which is nobody in particular.

    Raises BadRequestError, and ForbiddenError for a broadcast unless ``is_admin``.
    """
    group_id = message.group_id
    if group_id == SYSTEM_GROUP:
        _address_everybody(message, is_admin)
        return
    if not group_id:
        raise BadRequestError("group_id is empty: what the system sends goes into a conversation")
    message.group_type = _GROUP if single_members(group_id) is None else _SINGLE
    message.receiver_id = 0


def check_place(message: ImMsg) -> None:
    """Check that what is sent belongs where it goes. Raises BadRequestError."""
    if message.msg_type not in _PLACED:
        return
    if message.msg_type == _ANNOUNCEMENT and message.group_type != _GROUP:
        raise BadRequestError("announcements (msg_type 8) are for groups")
    if message.msg_type == _PASSTHROUGH and message.group_type == _SYSTEM:
        raise BadRequestError("what is passed through (msg_type 99) can't be broadcast")


def _address_everybody(message: ImMsg, is_admin: bool) -> None:
    if not is_admin:
        raise ForbiddenError("only an admin's broadcast goes to everyone; the token lacks imd_role: admin")
    if message.group_id not in ("", SYSTEM_GROUP) or message.group_type not in (0, GroupType.SYSTEM):
        raise BadRequestError(f"a broadcast has the group_id {SYSTEM_GROUP} and the group_type {GroupType.SYSTEM}")
    message.group_id = SYSTEM_GROUP
    message.group_type = GroupType.SYSTEM
    message.receiver_id = 0
