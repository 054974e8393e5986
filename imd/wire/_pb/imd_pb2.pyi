from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Result(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OK: _ClassVar[Result]
    BAD_REQUEST: _ClassVar[Result]
    UNKNOWN_COMMAND: _ClassVar[Result]
    NOT_LOGGED_IN: _ClassVar[Result]
    AUTH_FAILED: _ClassVar[Result]
    AUTH_EXPIRED: _ClassVar[Result]
    FORBIDDEN: _ClassVar[Result]
    NOT_FOUND: _ClassVar[Result]
    CONFLICT: _ClassVar[Result]
    TOO_LARGE: _ClassVar[Result]
    RATE_LIMITED: _ClassVar[Result]
    UNAVAILABLE: _ClassVar[Result]
    NOT_IN_GROUP: _ClassVar[Result]
    MUTED: _ClassVar[Result]
    BLOCKED: _ClassVar[Result]
    REVOKE_TIMEOUT: _ClassVar[Result]
    INTERNAL: _ClassVar[Result]
OK: Result
BAD_REQUEST: Result
UNKNOWN_COMMAND: Result
NOT_LOGGED_IN: Result
AUTH_FAILED: Result
AUTH_EXPIRED: Result
FORBIDDEN: Result
NOT_FOUND: Result
CONFLICT: Result
TOO_LARGE: Result
RATE_LIMITED: Result
UNAVAILABLE: Result
NOT_IN_GROUP: Result
MUTED: Result
BLOCKED: Result
REVOKE_TIMEOUT: Result
INTERNAL: Result

class Error(_message.Message):
    __slots__ = ("code", "reason")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class HeartbeatAck(_message.Message):
    __slots__ = ("server_time",)
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    server_time: int
    def __init__(self, server_time: _Optional[int] = ...) -> None: ...

class UserLogin(_message.Message):
    __slots__ = ("uid", "token", "app_id", "device_id", "client_type", "sdk_version", "push_token")
    UID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    SDK_VERSION_FIELD_NUMBER: _ClassVar[int]
    PUSH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    uid: int
    token: str
    app_id: str
    device_id: str
    client_type: int
    sdk_version: str
    push_token: str
    def __init__(self, uid: _Optional[int] = ..., token: _Optional[str] = ..., app_id: _Optional[str] = ..., device_id: _Optional[str] = ..., client_type: _Optional[int] = ..., sdk_version: _Optional[str] = ..., push_token: _Optional[str] = ...) -> None: ...

class UserLoginAck(_message.Message):
    __slots__ = ("session_id", "server_time", "heartbeat_seconds", "idle_seconds", "node", "max_body")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    IDLE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    MAX_BODY_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    server_time: int
    heartbeat_seconds: int
    idle_seconds: int
    node: str
    max_body: int
    def __init__(self, session_id: _Optional[str] = ..., server_time: _Optional[int] = ..., heartbeat_seconds: _Optional[int] = ..., idle_seconds: _Optional[int] = ..., node: _Optional[str] = ..., max_body: _Optional[int] = ...) -> None: ...

class UserLogout(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class KickNotice(_message.Message):
    __slots__ = ("reason", "message")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: int
    message: str
    def __init__(self, reason: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class KickUser(_message.Message):
    __slots__ = ("uid", "client_type", "message")
    UID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    uid: int
    client_type: int
    message: str
    def __init__(self, uid: _Optional[int] = ..., client_type: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class KickUserAck(_message.Message):
    __slots__ = ("sessions",)
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    sessions: int
    def __init__(self, sessions: _Optional[int] = ...) -> None: ...

class CloseChannel(_message.Message):
    __slots__ = ("reason", "reconnect_after_ms")
    REASON_FIELD_NUMBER: _ClassVar[int]
    RECONNECT_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    reconnect_after_ms: int
    def __init__(self, reason: _Optional[str] = ..., reconnect_after_ms: _Optional[int] = ...) -> None: ...

class ImMsg(_message.Message):
    __slots__ = ("msg_id", "msg_type", "msg_body", "sender_id", "sender_name", "sender_remark", "group_id", "group_type", "group_name", "send_time", "seq_id", "status", "msg_status", "extra", "attach_id", "attach_type", "attach_name", "attach_url", "attach_size", "whether_non_count", "at_uids", "receiver_id")
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    MSG_TYPE_FIELD_NUMBER: _ClassVar[int]
    MSG_BODY_FIELD_NUMBER: _ClassVar[int]
    SENDER_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_NAME_FIELD_NUMBER: _ClassVar[int]
    SENDER_REMARK_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_TYPE_FIELD_NUMBER: _ClassVar[int]
    GROUP_NAME_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_FIELD_NUMBER: _ClassVar[int]
    SEQ_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    MSG_STATUS_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    ATTACH_ID_FIELD_NUMBER: _ClassVar[int]
    ATTACH_TYPE_FIELD_NUMBER: _ClassVar[int]
    ATTACH_NAME_FIELD_NUMBER: _ClassVar[int]
    ATTACH_URL_FIELD_NUMBER: _ClassVar[int]
    ATTACH_SIZE_FIELD_NUMBER: _ClassVar[int]
    WHETHER_NON_COUNT_FIELD_NUMBER: _ClassVar[int]
    AT_UIDS_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_ID_FIELD_NUMBER: _ClassVar[int]
    msg_id: str
    msg_type: int
    msg_body: str
    sender_id: int
    sender_name: str
    sender_remark: str
    group_id: str
    group_type: int
    group_name: str
    send_time: int
    seq_id: int
    status: int
    msg_status: int
    extra: str
    attach_id: int
    attach_type: int
    attach_name: str
    attach_url: str
    attach_size: int
    whether_non_count: int
    at_uids: _containers.RepeatedScalarFieldContainer[int]
    receiver_id: int
    def __init__(self, msg_id: _Optional[str] = ..., msg_type: _Optional[int] = ..., msg_body: _Optional[str] = ..., sender_id: _Optional[int] = ..., sender_name: _Optional[str] = ..., sender_remark: _Optional[str] = ..., group_id: _Optional[str] = ..., group_type: _Optional[int] = ..., group_name: _Optional[str] = ..., send_time: _Optional[int] = ..., seq_id: _Optional[int] = ..., status: _Optional[int] = ..., msg_status: _Optional[int] = ..., extra: _Optional[str] = ..., attach_id: _Optional[int] = ..., attach_type: _Optional[int] = ..., attach_name: _Optional[str] = ..., attach_url: _Optional[str] = ..., attach_size: _Optional[int] = ..., whether_non_count: _Optional[int] = ..., at_uids: _Optional[_Iterable[int]] = ..., receiver_id: _Optional[int] = ...) -> None: ...

class ImMsgAck(_message.Message):
    __slots__ = ("msg_id", "group_id", "seq_id", "send_time")
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    SEQ_ID_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_FIELD_NUMBER: _ClassVar[int]
    msg_id: str
    group_id: str
    seq_id: int
    send_time: int
    def __init__(self, msg_id: _Optional[str] = ..., group_id: _Optional[str] = ..., seq_id: _Optional[int] = ..., send_time: _Optional[int] = ...) -> None: ...

class MsgAck(_message.Message):
    __slots__ = ("acks",)
    ACKS_FIELD_NUMBER: _ClassVar[int]
    acks: _containers.RepeatedCompositeFieldContainer[ImMsgAck]
    def __init__(self, acks: _Optional[_Iterable[_Union[ImMsgAck, _Mapping]]] = ...) -> None: ...

class ImGroup(_message.Message):
    __slots__ = ("group_id", "group_type", "group_name", "avatar", "max_seq", "init_seq", "read_seq", "receive_seq", "last_message", "unread", "is_shield", "is_quit", "is_top", "extra", "owner_id", "member_count", "announcement", "peer_receive_seq", "peer_read_seq", "at_seq", "role", "mute_until", "join_policy", "mute_all")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_TYPE_FIELD_NUMBER: _ClassVar[int]
    GROUP_NAME_FIELD_NUMBER: _ClassVar[int]
    AVATAR_FIELD_NUMBER: _ClassVar[int]
    MAX_SEQ_FIELD_NUMBER: _ClassVar[int]
    INIT_SEQ_FIELD_NUMBER: _ClassVar[int]
    READ_SEQ_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_SEQ_FIELD_NUMBER: _ClassVar[int]
    LAST_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    UNREAD_FIELD_NUMBER: _ClassVar[int]
    IS_SHIELD_FIELD_NUMBER: _ClassVar[int]
    IS_QUIT_FIELD_NUMBER: _ClassVar[int]
    IS_TOP_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    OWNER_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_COUNT_FIELD_NUMBER: _ClassVar[int]
    ANNOUNCEMENT_FIELD_NUMBER: _ClassVar[int]
    PEER_RECEIVE_SEQ_FIELD_NUMBER: _ClassVar[int]
    PEER_READ_SEQ_FIELD_NUMBER: _ClassVar[int]
    AT_SEQ_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    MUTE_UNTIL_FIELD_NUMBER: _ClassVar[int]
    JOIN_POLICY_FIELD_NUMBER: _ClassVar[int]
    MUTE_ALL_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    group_type: int
    group_name: str
    avatar: str
    max_seq: int
    init_seq: int
    read_seq: int
    receive_seq: int
    last_message: ImMsg
    unread: int
    is_shield: int
    is_quit: int
    is_top: int
    extra: str
    owner_id: int
    member_count: int
    announcement: str
    peer_receive_seq: int
    peer_read_seq: int
    at_seq: int
    role: int
    mute_until: int
    join_policy: int
    mute_all: int
    def __init__(self, group_id: _Optional[str] = ..., group_type: _Optional[int] = ..., group_name: _Optional[str] = ..., avatar: _Optional[str] = ..., max_seq: _Optional[int] = ..., init_seq: _Optional[int] = ..., read_seq: _Optional[int] = ..., receive_seq: _Optional[int] = ..., last_message: _Optional[_Union[ImMsg, _Mapping]] = ..., unread: _Optional[int] = ..., is_shield: _Optional[int] = ..., is_quit: _Optional[int] = ..., is_top: _Optional[int] = ..., extra: _Optional[str] = ..., owner_id: _Optional[int] = ..., member_count: _Optional[int] = ..., announcement: _Optional[str] = ..., peer_receive_seq: _Optional[int] = ..., peer_read_seq: _Optional[int] = ..., at_seq: _Optional[int] = ..., role: _Optional[int] = ..., mute_until: _Optional[int] = ..., join_policy: _Optional[int] = ..., mute_all: _Optional[int] = ...) -> None: ...

class GroupMember(_message.Message):
    __slots__ = ("uid", "role", "mute_until", "joined_time", "read_seq", "name")
    UID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    MUTE_UNTIL_FIELD_NUMBER: _ClassVar[int]
    JOINED_TIME_FIELD_NUMBER: _ClassVar[int]
    READ_SEQ_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    uid: int
    role: int
    mute_until: int
    joined_time: int
    read_seq: int
    name: str
    def __init__(self, uid: _Optional[int] = ..., role: _Optional[int] = ..., mute_until: _Optional[int] = ..., joined_time: _Optional[int] = ..., read_seq: _Optional[int] = ..., name: _Optional[str] = ...) -> None: ...

class NoticeMsg(_message.Message):
    __slots__ = ("notice_id", "notice_type", "payload", "send_time", "sender", "expire_time")
    NOTICE_ID_FIELD_NUMBER: _ClassVar[int]
    NOTICE_TYPE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    notice_id: str
    notice_type: int
    payload: bytes
    send_time: int
    sender: str
    expire_time: int
    def __init__(self, notice_id: _Optional[str] = ..., notice_type: _Optional[int] = ..., payload: _Optional[bytes] = ..., send_time: _Optional[int] = ..., sender: _Optional[str] = ..., expire_time: _Optional[int] = ...) -> None: ...

class UserData(_message.Message):
    __slots__ = ("groups", "messages", "notices", "has_more", "cursor", "members", "server_time")
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[ImGroup]
    messages: _containers.RepeatedCompositeFieldContainer[ImMsg]
    notices: _containers.RepeatedCompositeFieldContainer[NoticeMsg]
    has_more: bool
    cursor: str
    members: _containers.RepeatedCompositeFieldContainer[GroupMember]
    server_time: int
    def __init__(self, groups: _Optional[_Iterable[_Union[ImGroup, _Mapping]]] = ..., messages: _Optional[_Iterable[_Union[ImMsg, _Mapping]]] = ..., notices: _Optional[_Iterable[_Union[NoticeMsg, _Mapping]]] = ..., has_more: bool = ..., cursor: _Optional[str] = ..., members: _Optional[_Iterable[_Union[GroupMember, _Mapping]]] = ..., server_time: _Optional[int] = ...) -> None: ...

class ListGroup(_message.Message):
    __slots__ = ("cursor", "page_size", "since")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    page_size: int
    since: int
    def __init__(self, cursor: _Optional[str] = ..., page_size: _Optional[int] = ..., since: _Optional[int] = ...) -> None: ...

class GetGroupById(_message.Message):
    __slots__ = ("group_ids",)
    GROUP_IDS_FIELD_NUMBER: _ClassVar[int]
    group_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, group_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class PullMsg(_message.Message):
    __slots__ = ("group_id", "receive_seq_id", "before_seq_id", "page_size")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_SEQ_ID_FIELD_NUMBER: _ClassVar[int]
    BEFORE_SEQ_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    receive_seq_id: int
    before_seq_id: int
    page_size: int
    def __init__(self, group_id: _Optional[str] = ..., receive_seq_id: _Optional[int] = ..., before_seq_id: _Optional[int] = ..., page_size: _Optional[int] = ...) -> None: ...

class NoticeMsgAck(_message.Message):
    __slots__ = ("notice_ids",)
    NOTICE_IDS_FIELD_NUMBER: _ClassVar[int]
    notice_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, notice_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class PullNotice(_message.Message):
    __slots__ = ("cursor", "page_size")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    page_size: int
    def __init__(self, cursor: _Optional[str] = ..., page_size: _Optional[int] = ...) -> None: ...

class CleanPushCount(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SubmitReadSeq(_message.Message):
    __slots__ = ("group_id", "read_seq")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    READ_SEQ_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    read_seq: int
    def __init__(self, group_id: _Optional[str] = ..., read_seq: _Optional[int] = ...) -> None: ...

class IssueReadSeq(_message.Message):
    __slots__ = ("group_id", "read_seq")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    READ_SEQ_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    read_seq: int
    def __init__(self, group_id: _Optional[str] = ..., read_seq: _Optional[int] = ...) -> None: ...

class SubmitInitSeq(_message.Message):
    __slots__ = ("group_id", "init_seq")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    INIT_SEQ_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    init_seq: int
    def __init__(self, group_id: _Optional[str] = ..., init_seq: _Optional[int] = ...) -> None: ...

class IssueReceipt(_message.Message):
    __slots__ = ("group_id", "uid", "receive_seq", "read_seq")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_SEQ_FIELD_NUMBER: _ClassVar[int]
    READ_SEQ_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    uid: int
    receive_seq: int
    read_seq: int
    def __init__(self, group_id: _Optional[str] = ..., uid: _Optional[int] = ..., receive_seq: _Optional[int] = ..., read_seq: _Optional[int] = ...) -> None: ...

class RevokeMsg(_message.Message):
    __slots__ = ("group_id", "msg_id")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    msg_id: str
    def __init__(self, group_id: _Optional[str] = ..., msg_id: _Optional[str] = ...) -> None: ...

class DeleteMsg(_message.Message):
    __slots__ = ("group_id", "seq_ids")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    SEQ_IDS_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    seq_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, group_id: _Optional[str] = ..., seq_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class ListMsgReader(_message.Message):
    __slots__ = ("group_id", "seq_id")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    SEQ_ID_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    seq_id: int
    def __init__(self, group_id: _Optional[str] = ..., seq_id: _Optional[int] = ...) -> None: ...

class ListMsgReaderAck(_message.Message):
    __slots__ = ("readers", "unreaders")
    READERS_FIELD_NUMBER: _ClassVar[int]
    UNREADERS_FIELD_NUMBER: _ClassVar[int]
    readers: _containers.RepeatedScalarFieldContainer[int]
    unreaders: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, readers: _Optional[_Iterable[int]] = ..., unreaders: _Optional[_Iterable[int]] = ...) -> None: ...

class UnreadCount(_message.Message):
    __slots__ = ("group_ids",)
    GROUP_IDS_FIELD_NUMBER: _ClassVar[int]
    group_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, group_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class UnreadCountAck(_message.Message):
    __slots__ = ("total", "groups")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    total: int
    groups: _containers.RepeatedCompositeFieldContainer[ImGroup]
    def __init__(self, total: _Optional[int] = ..., groups: _Optional[_Iterable[_Union[ImGroup, _Mapping]]] = ...) -> None: ...

class GroupCreate(_message.Message):
    __slots__ = ("group_name", "member_ids", "avatar", "extra", "join_policy", "request_id")
    GROUP_NAME_FIELD_NUMBER: _ClassVar[int]
    MEMBER_IDS_FIELD_NUMBER: _ClassVar[int]
    AVATAR_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    JOIN_POLICY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    group_name: str
    member_ids: _containers.RepeatedScalarFieldContainer[int]
    avatar: str
    extra: str
    join_policy: int
    request_id: str
    def __init__(self, group_name: _Optional[str] = ..., member_ids: _Optional[_Iterable[int]] = ..., avatar: _Optional[str] = ..., extra: _Optional[str] = ..., join_policy: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class GroupUpdate(_message.Message):
    __slots__ = ("group_id", "group_name", "avatar", "announcement", "extra", "join_policy")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_NAME_FIELD_NUMBER: _ClassVar[int]
    AVATAR_FIELD_NUMBER: _ClassVar[int]
    ANNOUNCEMENT_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    JOIN_POLICY_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    group_name: str
    avatar: str
    announcement: str
    extra: str
    join_policy: int
    def __init__(self, group_id: _Optional[str] = ..., group_name: _Optional[str] = ..., avatar: _Optional[str] = ..., announcement: _Optional[str] = ..., extra: _Optional[str] = ..., join_policy: _Optional[int] = ...) -> None: ...

class GroupInvite(_message.Message):
    __slots__ = ("group_id", "member_ids")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_IDS_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    member_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, group_id: _Optional[str] = ..., member_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class GroupRemove(_message.Message):
    __slots__ = ("group_id", "member_ids")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_IDS_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    member_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, group_id: _Optional[str] = ..., member_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class GroupJoin(_message.Message):
    __slots__ = ("group_id", "message")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    message: str
    def __init__(self, group_id: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class GroupQuit(_message.Message):
    __slots__ = ("group_id", "message")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    message: str
    def __init__(self, group_id: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class GroupDismiss(_message.Message):
    __slots__ = ("group_id", "message")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    message: str
    def __init__(self, group_id: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class GroupMute(_message.Message):
    __slots__ = ("group_id", "uid", "until")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    uid: int
    until: int
    def __init__(self, group_id: _Optional[str] = ..., uid: _Optional[int] = ..., until: _Optional[int] = ...) -> None: ...

class GroupRole(_message.Message):
    __slots__ = ("group_id", "uid", "role")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    uid: int
    role: int
    def __init__(self, group_id: _Optional[str] = ..., uid: _Optional[int] = ..., role: _Optional[int] = ...) -> None: ...

class GroupMembers(_message.Message):
    __slots__ = ("group_id", "cursor", "page_size")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    cursor: str
    page_size: int
    def __init__(self, group_id: _Optional[str] = ..., cursor: _Optional[str] = ..., page_size: _Optional[int] = ...) -> None: ...

class ConversationSet(_message.Message):
    __slots__ = ("group_id", "is_shield", "is_top")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    IS_SHIELD_FIELD_NUMBER: _ClassVar[int]
    IS_TOP_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    is_shield: int
    is_top: int
    def __init__(self, group_id: _Optional[str] = ..., is_shield: _Optional[int] = ..., is_top: _Optional[int] = ...) -> None: ...

class Block(_message.Message):
    __slots__ = ("uids",)
    UIDS_FIELD_NUMBER: _ClassVar[int]
    uids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, uids: _Optional[_Iterable[int]] = ...) -> None: ...

class Unblock(_message.Message):
    __slots__ = ("uids",)
    UIDS_FIELD_NUMBER: _ClassVar[int]
    uids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, uids: _Optional[_Iterable[int]] = ...) -> None: ...

class ListBlocked(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListBlockedAck(_message.Message):
    __slots__ = ("uids",)
    UIDS_FIELD_NUMBER: _ClassVar[int]
    uids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, uids: _Optional[_Iterable[int]] = ...) -> None: ...

class UserPresence(_message.Message):
    __slots__ = ("uid", "client_types")
    UID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_TYPES_FIELD_NUMBER: _ClassVar[int]
    uid: int
    client_types: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, uid: _Optional[int] = ..., client_types: _Optional[_Iterable[int]] = ...) -> None: ...

class PresenceQuery(_message.Message):
    __slots__ = ("uids",)
    UIDS_FIELD_NUMBER: _ClassVar[int]
    uids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, uids: _Optional[_Iterable[int]] = ...) -> None: ...

class PresenceAck(_message.Message):
    __slots__ = ("users",)
    USERS_FIELD_NUMBER: _ClassVar[int]
    users: _containers.RepeatedCompositeFieldContainer[UserPresence]
    def __init__(self, users: _Optional[_Iterable[_Union[UserPresence, _Mapping]]] = ...) -> None: ...

class PresenceNotice(_message.Message):
    __slots__ = ("users",)
    USERS_FIELD_NUMBER: _ClassVar[int]
    users: _containers.RepeatedCompositeFieldContainer[UserPresence]
    def __init__(self, users: _Optional[_Iterable[_Union[UserPresence, _Mapping]]] = ...) -> None: ...

class PresenceSubscribe(_message.Message):
    __slots__ = ("uids", "unsubscribe")
    UIDS_FIELD_NUMBER: _ClassVar[int]
    UNSUBSCRIBE_FIELD_NUMBER: _ClassVar[int]
    uids: _containers.RepeatedScalarFieldContainer[int]
    unsubscribe: bool
    def __init__(self, uids: _Optional[_Iterable[int]] = ..., unsubscribe: bool = ...) -> None: ...

class Upstream(_message.Message):
    __slots__ = ("destination", "message_id", "payload", "content_type")
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    destination: str
    message_id: str
    payload: bytes
    content_type: str
    def __init__(self, destination: _Optional[str] = ..., message_id: _Optional[str] = ..., payload: _Optional[bytes] = ..., content_type: _Optional[str] = ...) -> None: ...
