"""Every command code, and the body that each direction of it carries."""

from enum import IntEnum
from typing import NamedTuple

from google.protobuf.message import Message

from imd.wire import bodies


class Command(IntEnum):
    """The command codes of the contract (proto/README.md)."""

    HEARTBEAT = 0x0001
    USER_LOGIN = 0x0002
    USER_LOGOUT = 0x0003
    USER_KICK = 0x0004
    CLOSE_CHANNEL = 0x0005
    NOTICE_MSG = 0x0100
    LIST_GROUP = 0x0101
    GROUP_BY_ID = 0x0102
    NOTICE_MSG_ACK = 0x0103
    IM_SEND_MSG = 0x0201
    IM_OFFLINE_MSG = 0x0202
    OFFLINE_NOTICE_MSG = 0x0203
    CLEAN_PUSH_COUNT = 0x0204
    IM_MSG_ACK = 0x0205
    ISSUE_RECEIPT = 0x0206
    LIST_MSG_READER = 0x0207
    SUBMIT_READ_SEQ = 0x0208
    ISSUE_READ_SEQ = 0x0209
    REVOKE_MSG = 0x020A
    DELETE_MSG = 0x020B
    UNREAD_COUNT = 0x020C
    SUBMIT_INIT_SEQ = 0x020D
    UPSTREAM = 0x0300
    GROUP_CREATE = 0x0401
    GROUP_UPDATE = 0x0402
    GROUP_DISMISS = 0x0403
    GROUP_INVITE = 0x0404
    GROUP_JOIN = 0x0405
    GROUP_QUIT = 0x0406
    GROUP_REMOVE = 0x0407
    GROUP_MUTE = 0x0408
    GROUP_ROLE = 0x0409
    GROUP_MEMBERS = 0x040A
    CONVERSATION_SET = 0x0410
    CONVERSATION_NOTICE = 0x0411
    BLOCK = 0x0420
    UNBLOCK = 0x0421
    LIST_BLOCKED = 0x0422
    PRESENCE_QUERY = 0x0501
    PRESENCE_SUBSCRIBE = 0x0502
    PRESENCE_NOTICE = 0x0503


class Bodies(NamedTuple):
    """The messages one command carries; ``None`` where that direction does not exist.

    ``answer`` is ``None`` for what is not answered; an empty answer is ``Empty``.
    """

    request: type[Message] | None
    answer: type[Message] | None
    push: type[Message] | None = None


BODIES: dict[Command, Bodies] = {
    Command.HEARTBEAT: Bodies(bodies.Heartbeat, bodies.HeartbeatAck),
    Command.USER_LOGIN: Bodies(bodies.UserLogin, bodies.UserLoginAck),
    Command.USER_LOGOUT: Bodies(bodies.UserLogout, bodies.Empty),
    Command.USER_KICK: Bodies(bodies.KickUser, bodies.KickUserAck, bodies.KickNotice),
    Command.CLOSE_CHANNEL: Bodies(None, None, bodies.CloseChannel),
    Command.NOTICE_MSG: Bodies(None, None, bodies.NoticeMsg),
    Command.LIST_GROUP: Bodies(bodies.ListGroup, bodies.UserData),
    Command.GROUP_BY_ID: Bodies(bodies.GetGroupById, bodies.UserData),
    Command.NOTICE_MSG_ACK: Bodies(bodies.NoticeMsgAck, None),
    Command.IM_SEND_MSG: Bodies(bodies.ImMsg, bodies.ImMsgAck, bodies.ImMsg),
    Command.IM_OFFLINE_MSG: Bodies(bodies.PullMsg, bodies.UserData),
    Command.OFFLINE_NOTICE_MSG: Bodies(bodies.PullNotice, bodies.UserData),
    Command.CLEAN_PUSH_COUNT: Bodies(bodies.CleanPushCount, bodies.Empty),
    Command.IM_MSG_ACK: Bodies(bodies.MsgAck, None),
    Command.ISSUE_RECEIPT: Bodies(None, None, bodies.IssueReceipt),
    Command.LIST_MSG_READER: Bodies(bodies.ListMsgReader, bodies.ListMsgReaderAck),
    Command.SUBMIT_READ_SEQ: Bodies(bodies.SubmitReadSeq, bodies.Empty),
    Command.ISSUE_READ_SEQ: Bodies(None, None, bodies.IssueReadSeq),
    Command.REVOKE_MSG: Bodies(bodies.RevokeMsg, bodies.Empty),
    Command.DELETE_MSG: Bodies(bodies.DeleteMsg, bodies.Empty),
    Command.UNREAD_COUNT: Bodies(bodies.UnreadCount, bodies.UnreadCountAck),
    Command.SUBMIT_INIT_SEQ: Bodies(bodies.SubmitInitSeq, bodies.Empty),
    Command.UPSTREAM: Bodies(bodies.Upstream, bodies.Empty),
    Command.GROUP_CREATE: Bodies(bodies.GroupCreate, bodies.UserData),
    Command.GROUP_UPDATE: Bodies(bodies.GroupUpdate, bodies.UserData),
    Command.GROUP_DISMISS: Bodies(bodies.GroupDismiss, bodies.UserData),
    Command.GROUP_INVITE: Bodies(bodies.GroupInvite, bodies.UserData),
    Command.GROUP_JOIN: Bodies(bodies.GroupJoin, bodies.UserData),
    Command.GROUP_QUIT: Bodies(bodies.GroupQuit, bodies.UserData),
    Command.GROUP_REMOVE: Bodies(bodies.GroupRemove, bodies.UserData),
    Command.GROUP_MUTE: Bodies(bodies.GroupMute, bodies.UserData),
    Command.GROUP_ROLE: Bodies(bodies.GroupRole, bodies.UserData),
    Command.GROUP_MEMBERS: Bodies(bodies.GroupMembers, bodies.UserData),
    Command.CONVERSATION_SET: Bodies(bodies.ConversationSet, bodies.Empty),
    Command.CONVERSATION_NOTICE: Bodies(None, None, bodies.UserData),
    Command.BLOCK: Bodies(bodies.Block, bodies.Empty),
    Command.UNBLOCK: Bodies(bodies.Unblock, bodies.Empty),
    Command.LIST_BLOCKED: Bodies(bodies.ListBlocked, bodies.ListBlockedAck),
    Command.PRESENCE_QUERY: Bodies(bodies.PresenceQuery, bodies.PresenceAck),
    Command.PRESENCE_SUBSCRIBE: Bodies(bodies.PresenceSubscribe, bodies.PresenceAck),
    Command.PRESENCE_NOTICE: Bodies(None, None, bodies.PresenceNotice),
}
