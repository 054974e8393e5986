"""What the client hands out: frozen values, named as the fields of the wire (proto/README.md)."""

from enum import Enum
from typing import NamedTuple

from imd.wire.bodies import GroupMember, ImGroup, ImMsg, NoticeMsg

_LAST_MESSAGE = 256


class Message(NamedTuple):
    """A message as the local store has it; the fields are the columns of x_message, in their order."""

    group_id: str
    seq_id: int
    """Its place in the conversation; 0 until the server has ACKed it, and of a passthrough."""
    msg_id: str
    msg_type: int
    msg_body: str
    send_time: int
    sender_id: int
    sender_name: str
    sender_remark: str
    status: int
    """A Status."""
    msg_status: int
    """A MsgStatus."""
    extra: str
    attach_id: int
    attach_type: int
    attach_name: str
    attach_url: str
    attach_size: int
    whether_non_count: int
    group_type: int
    group_name: str
    queue_id: int
    """Its place among what was sent with this store; 0 of all that came from elsewhere."""
    result: int
    """Of a message that is FAILURE, the Result it was refused with; 0 where no ACK came."""
    reason: str
    """Why, in the server's words."""
    at_uids: tuple[int, ...]


class Conversation(NamedTuple):
    """A conversation as the local store has it; the fields are the columns of x_conversation, in their order."""

    group_id: str
    group_type: int
    group_name: str
    avatar: str
    last_message: str
    """The body of the newest message, cut to 256 bytes."""
    last_msg_type: int
    last_msg_status: int
    last_sender_id: int
    sender_name: str
    sender_remark: str
    send_time: int
    init_seq: int
    max_seq: int
    read_seq: int
    receive_seq: int
    is_shield: int
    is_top: int
    is_quit: int
    role: int
    mute_until: int
    at_seq: int
    extra: str
    update_time: int
    """When the newest message was sent, or the row last came from the server."""
    unread: int
    owner_id: int
    member_count: int
    announcement: str
    peer_receive_seq: int
    peer_read_seq: int
    join_policy: int
    mute_all: int
    shown_seq: int
    """Up to where messages were shown, or passed over as too many (``Settings.catch_up``)."""


class Receipt(NamedTuple):
    """How far another user is in a conversation."""

    group_id: str
    uid: int
    receive_seq: int
    read_seq: int


class Notice(NamedTuple):
    """A functional message of the business, or of imd itself."""

    notice_id: str
    notice_type: int
    payload: bytes
    send_time: int
    sender: str
    expire_time: int


class Kick(NamedTuple):
    """Why the server has ended the session: ``reason`` is a KickReason."""

    reason: int
    message: str


class Member(NamedTuple):
    """A member of a group."""

    uid: int
    role: int
    mute_until: int
    joined_time: int
    read_seq: int
    name: str


class Readers(NamedTuple):
    """Who has read a message, and who of those it is for has not."""

    readers: tuple[int, ...]
    unreaders: tuple[int, ...]


class Unread(NamedTuple):
    """How much is unread in all, and in each conversation with something unread."""

    total: int
    groups: dict[str, int]


class State(Enum):
    """How a client stands with its server."""

    CONNECTING = "connecting"
    """It tries to reach it, now or after a pause."""
    ONLINE = "online"
    """It is logged in."""
    WAITING = "waiting"
    """It has tried often enough, and waits for ``network_changed`` or ``start``."""
    STOPPED = "stopped"
    """It was stopped, kicked, or its token rejected; ``start`` begins anew."""


class Connectivity(NamedTuple):
    """A change of the state, with a sentence that says why, where there is something to say."""

    state: State
    reason: str


def message_of(body: ImMsg) -> Message:
    """Return a message of the wire."""
    return Message(
        body.group_id,
        body.seq_id,
        body.msg_id,
        body.msg_type,
        body.msg_body,
        body.send_time,
        body.sender_id,
        body.sender_name,
        body.sender_remark,
        body.status,
        body.msg_status,
        body.extra,
        body.attach_id,
        body.attach_type,
        body.attach_name,
        body.attach_url,
        body.attach_size,
        body.whether_non_count,
        body.group_type,
        body.group_name,
        0,
        0,
        "",
        tuple(body.at_uids),
    )


def body_of(message: Message) -> ImMsg:
    """Return what of a message a client sends."""
    return ImMsg(
        msg_id=message.msg_id,
        msg_type=message.msg_type,
        msg_body=message.msg_body,
        sender_name=message.sender_name,
        sender_remark=message.sender_remark,
        group_id=message.group_id,
        extra=message.extra,
        attach_id=message.attach_id,
        attach_type=message.attach_type,
        attach_name=message.attach_name,
        attach_url=message.attach_url,
        attach_size=message.attach_size,
        whether_non_count=message.whether_non_count,
        at_uids=message.at_uids,
    )


def conversation_of(group: ImGroup, shown_seq: int = 0, update_time: int = 0) -> Conversation:
    """Return a conversation of the wire."""
    last = group.last_message
    return Conversation(
        group.group_id,
        group.group_type,
        group.group_name,
        group.avatar,
        cut(last.msg_body),
        last.msg_type,
        last.msg_status,
        last.sender_id,
        last.sender_name,
        last.sender_remark,
        last.send_time,
        group.init_seq,
        group.max_seq,
        group.read_seq,
        group.receive_seq,
        group.is_shield,
        group.is_top,
        group.is_quit,
        group.role,
        group.mute_until,
        group.at_seq,
        group.extra,
        update_time or last.send_time,
        group.unread,
        group.owner_id,
        group.member_count,
        group.announcement,
        group.peer_receive_seq,
        group.peer_read_seq,
        group.join_policy,
        group.mute_all,
        shown_seq,
    )


def member_of(member: GroupMember) -> Member:
    """Return a member of the wire."""
    return Member(member.uid, member.role, member.mute_until, member.joined_time, member.read_seq, member.name)


def notice_of(notice: NoticeMsg) -> Notice:
    """Return a notice of the wire."""
    return Notice(
        notice.notice_id,
        notice.notice_type,
        notice.payload,
        notice.send_time,
        notice.sender,
        notice.expire_time,
    )


def cut(text: str) -> str:
    """Return the first 256 bytes of a text, at the end of a character."""
    if len(text) <= _LAST_MESSAGE // 4:
        return text
    return text.encode(errors="replace")[:_LAST_MESSAGE].decode(errors="ignore")
