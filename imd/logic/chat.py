"""Single and group chat: check, store, then ACK, then push (rules 1 to 6 of proto/README.md)."""

from collections.abc import Sequence
from hashlib import blake2b

from imd.errors import BadRequestError, ForbiddenError, TooLargeError
from imd.logic.ids import check_uid, single_group_id, single_members
from imd.logic.members import MembersCache
from imd.ports import Committed, IDelivery, IMessageStore, ISession, Push, Stored, Submission
from imd.wire.bodies import ImMsg, ImMsgAck
from imd.wire.commands import Command
from imd.wire.enums import SYSTEM_GROUP, GroupType, MsgType, Status
from imd.wire.packet import MAX_MESSAGE, encode

MAX_MSG_ID = 64
_TEXTS = ("msg_id", "msg_body", "sender_name", "sender_remark", "extra", "attach_name", "attach_url")


class Chat:
    """Takes messages from sessions and brings them, once durable, to their receivers."""

    def __init__(self, store: IMessageStore, delivery: IDelivery, members: MembersCache) -> None:
        self._store = store
        self._delivery = delivery
        self._members = members
        store.on_commit(self.committed)

    def send(self, session: ISession, trace_id: int, message: ImMsg) -> None:
        """Check a message and hand it to the store; the answer follows its commit.

        Raises BadRequestError, ForbiddenError, TooLargeError or UnavailableError where it goes no further.
        """
        check_message(message)
        uid = session.uid
        _address(message, uid)
        content = message.SerializeToString()
        if b"\0" in content:
            _check_texts(message)
        digest = blake2b(content, digest_size=16).digest()
        message.sender_id = uid
        if session.name:
            message.sender_name = session.name
        members = None if message.group_type == GroupType.SINGLE else self._members.get(message.group_id)
        self._store.append(Submission(session, trace_id, message, members, digest, len(content)))

    def committed(self, batch: Sequence[Committed]) -> None:
        """Answer the senders of a batch and push what is new, each connection written to once."""
        delivery = self._delivery
        delivery.hold()
        try:
            for submission, outcome in batch:
                if isinstance(outcome, Stored):
                    self._deliver(submission, outcome)
                elif submission is not None:
                    submission.origin.refuse(Command.IM_SEND_MSG, submission.trace_id, outcome)
        finally:
            delivery.flush()

    def _deliver(self, submission: Submission | None, stored: Stored) -> None:
        message, receivers, members, repeated = stored
        group_id, seq_id = message.group_id, message.seq_id
        if members is not None:
            self._members.put(group_id, members)
        origin = None
        if submission is not None:
            origin = submission.origin
            ack = ImMsgAck(msg_id=message.msg_id, group_id=group_id, seq_id=seq_id, send_time=message.send_time)
            origin.answer(Command.IM_SEND_MSG, submission.trace_id, ack.SerializeToString())
        delivery = self._delivery
        if not repeated:
            sender = message.sender_id
            devices = delivery.sessions(sender)
            if len(devices) > 1 or (devices and devices[0] is not origin):
                delivery.copy(message.SerializeToString(), sender, origin)
        if receivers:
            delivery.push(self._push_of(message), receivers)

    def _push_of(self, message: ImMsg) -> Push:
        message.status = Status.UNREAD
        body = message.SerializeToString()
        trace_id = self._delivery.next_trace_id()
        packet = encode(Command.IM_SEND_MSG, trace_id, body)
        return Push(trace_id, message.group_id, message.seq_id, body, packet)

    def push_again(self, message: ImMsg, uid: int) -> None:
        """Push a stored message to one user's sessions once more."""
        self._delivery.push(self._push_of(message), (uid,))


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
    if msg_type == MsgType.CONTROL:
        raise ForbiddenError("only the server sends control messages")
    if msg_type == MsgType.PASSTHROUGH:
        raise BadRequestError("this server does not pass through messages of msg_type 99 yet")
    message.DiscardUnknownFields()
    message.seq_id = message.send_time = message.sender_id = 0
    message.status = message.msg_status = 0
    message.group_name = ""


def _check_texts(message: ImMsg) -> None:
    # PostgreSQL keeps no NUL in a text, so no store does.
    for name in _TEXTS:
        if "\0" in getattr(message, name):
            raise BadRequestError(f"{name} holds a NUL character")


def _address(message: ImMsg, uid: int) -> None:
    """Fill group_id, group_type and receiver_id from what the sender gave of them (rule 1)."""
    group_id = message.group_id
    if message.group_type == GroupType.SYSTEM or group_id == SYSTEM_GROUP:
        raise ForbiddenError("only an admin's broadcast goes to everyone")
    if not group_id:
        receiver = check_uid(message.receiver_id, "receiver_id")
        message.group_id = single_group_id(uid, receiver)
        message.group_type = GroupType.SINGLE
        return
    pair = single_members(group_id)
    if pair is None:
        if message.group_type not in (0, GroupType.GROUP):
            raise BadRequestError(f"group_type is {message.group_type}, but {group_id} is a group")
        message.group_type = GroupType.GROUP
        message.receiver_id = 0
        return
    if uid not in pair:
        raise ForbiddenError(f"the single chat {group_id} is not yours")
    if message.group_type not in (0, GroupType.SINGLE):
        raise BadRequestError(f"group_type is {message.group_type}, but {group_id} is a single chat")
    peer = pair[1] if uid == pair[0] else pair[0]
    if message.receiver_id not in (0, peer):
        raise BadRequestError(f"receiver_id is {message.receiver_id}, but the single chat {group_id} is with {peer}")
    message.group_type = GroupType.SINGLE
    message.receiver_id = peer
