"""Single and group chat and broadcasts: check, store, then ACK, then push (rules 1 to 6 of proto/README.md)."""

from collections.abc import Sequence
from hashlib import blake2b

from twisted.logger import Logger

from imd.errors import RateLimitedError
from imd.logic.actors import SYSTEM
from imd.logic.broadcasts import Broadcasts
from imd.logic.members import MembersCache
from imd.logic.messages import address, address_as_system, check_message, check_place, check_texts
from imd.logic.rights import check_send, may_always_send
from imd.ports.delivery import IDelivery, ISender, Push
from imd.ports.messages import CheckSend, Committed, IMessageStore, Stored, Submission
from imd.wire.bodies import ImMsg, ImMsgAck
from imd.wire.commands import Command
from imd.wire.enums import GroupType, MsgType, Status
from imd.wire.packet import encode

# An enum's member costs a call to look up, which counts here.
_SEND = int(Command.IM_SEND_MSG)
_GROUP, _SYSTEM, _PASSTHROUGH = int(GroupType.GROUP), int(GroupType.SYSTEM), int(MsgType.PASSTHROUGH)
_UNREAD = int(Status.UNREAD)


class Chat:
    """Takes messages from sessions and brings them, once durable, to their receivers."""

    _log = Logger()

    def __init__(
        self, store: IMessageStore, delivery: IDelivery, members: MembersCache, broadcasts: Broadcasts
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._members = members
        self._broadcasts = broadcasts
        self.answered = 0
        """Messages stored, repeated or refused since the start."""
        store.on_commit(self.committed)

    def send(self, session: ISender, trace_id: int, message: ImMsg) -> None:
        """Check a message and hand it to the store; the answer follows its commit.

        Raises BadRequestError, ForbiddenError, TooLargeError, RateLimitedError or UnavailableError where it goes no
        further.
        """
        check_message(message)
        address(message, session.uid, session.is_admin)
        self._submit(session, trace_id, message, session.uid, check_send)

    def send_as_system(self, origin: ISender, message: ImMsg) -> None:
        """Check a message that is no user's and hand it to the store. Raises as ``send`` does."""
        check_message(message)
        address_as_system(message, origin.is_admin)
        self._submit(origin, 0, message, SYSTEM, may_always_send)

    def _submit(self, origin: ISender, trace_id: int, message: ImMsg, uid: int, check: CheckSend) -> None:
        check_place(message)
        content = message.SerializeToString()
        if b"\0" in content:
            check_texts(message)
        digest = blake2b(content, digest_size=16).digest()
        message.sender_id = uid
        if origin.name:
            message.sender_name = origin.name
        group_type = message.group_type
        members = self._members.get(message.group_id) if group_type == _GROUP else None
        is_broadcast = group_type == _SYSTEM
        if is_broadcast and self._broadcasts.is_full:
            raise RateLimitedError("too many broadcasts are on their way; wait until they have gone out")
        self._store.append(Submission(origin, trace_id, message, members, check, digest, len(content)))
        if is_broadcast:
            self._broadcasts.storing += 1

    def committed(self, batch: Sequence[Committed]) -> None:
        """Answer the senders of a batch and push what is new, each connection written to once."""
        delivery = self._delivery
        self.answered += len(batch)
        delivery.hold()
        try:
            for submission, outcome in batch:
                if self._broadcasts.storing and submission is not None:
                    self._broadcasts.storing -= submission.message.group_type == _SYSTEM
                try:
                    if isinstance(outcome, Stored):
                        self._deliver(submission, outcome)
                    elif submission is not None:
                        submission.origin.refuse(_SEND, submission.trace_id, outcome)
                except Exception:  # the others of the batch are told all the same
                    self._log.failure("a message that is stored could not be told; its receivers' inboxes keep it")
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
            origin.answer(_SEND, submission.trace_id, ack.SerializeToString())
        delivery = self._delivery
        if not repeated:
            sender = message.sender_id
            if delivery.has_other(sender, origin):
                delivery.tell(_SEND, message.SerializeToString(), (sender,), () if origin is None else (origin,))
        if receivers:
            if message.msg_type == _PASSTHROUGH:
                message.status = _UNREAD
                delivery.tell(_SEND, message.SerializeToString(), receivers)
            else:
                delivery.push(self.push_of(message), receivers)
        elif message.group_type == _SYSTEM and not repeated:
            push = self.push_of(message)
            self._broadcasts.put(push)
            delivery.broadcast(push)

    def push_of(self, message: ImMsg) -> Push:
        """Return the push of a stored message, as who has not read it gets it."""
        message.status = _UNREAD
        body = message.SerializeToString()
        trace_id = self._delivery.next_trace_id()
        packet = encode(_SEND, trace_id, body)
        return Push(trace_id, message.group_id, message.seq_id, message.sender_id, body, packet)
