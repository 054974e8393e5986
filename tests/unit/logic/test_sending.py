"""Messages that no session sends: on behalf of a user by the user's rules, of the system by none but sense."""

from typing import Any

from twisted.internet.defer import Deferred

from imd.errors import BadRequestError, ForbiddenError, MutedError
from imd.logic.actors import SYSTEM
from imd.logic.broadcasts import Broadcasts
from imd.logic.chat import Chat
from imd.logic.members import MembersCache
from imd.logic.rights import check_send, may_always_send
from imd.logic.sending import Sending
from imd.ports.messages import Committed, Stored, Submission
from imd.ports.users import Account
from imd.wire.bodies import ImMsg
from imd.wire.commands import Command
from imd.wire.enums import GroupType

from .parts import LogicTestCase


class SendingTests(LogicTestCase):
    def setUp(self) -> None:
        super().setUp()
        chat = Chat(self.store, self.sessions, MembersCache(10), Broadcasts(self.clock, self.sessions, 1000))
        self.sending = Sending(chat, self.store)

    def send(self, sender: int, *, to_everybody: bool = False, **fields: Any) -> Deferred[Any]:
        message = ImMsg(**{"msg_id": "m1", "msg_type": 1, "msg_body": "hi", **fields})
        return Deferred.fromCoroutine(self.sending.send(message, sender, to_everybody=to_everybody))

    def taken(self) -> Submission:
        """Return what the store has got."""
        [submission] = self.store.submissions
        self.store.submissions.clear()
        return submission

    def test_the_ack_comes_once_the_message_is_durable(self) -> None:
        sent = self.send(1, receiver_id=2)
        submission = self.taken()
        assert (submission.message.sender_id, submission.message.group_id, submission.check) == (1, "1_2", check_send)
        self.assertNoResult(sent)
        submission.message.seq_id, submission.message.send_time = 5, 99
        self.store.tell([Committed(submission, Stored(submission.message, (2,)))])
        ack = self.successResultOf(sent)
        assert (ack.msg_id, ack.group_id, ack.seq_id, ack.send_time) == ("m1", "1_2", 5, 99)

    def test_a_user_is_called_as_the_login_system_has_named_them(self) -> None:
        self.store.accounts[1] = Account(1, "Ann")
        for given, shown in (("", "Ann"), ("Bob", "Ann")):
            self.send(1, receiver_id=2, sender_name=given)
            assert self.taken().message.sender_name == shown
        self.send(2, receiver_id=1, sender_name="Bob")
        assert self.taken().message.sender_name == "Bob"

    def test_all_devices_of_who_it_is_sent_for_get_copies(self) -> None:
        mine = [self.login(1, kind) for kind in (11, 21)]
        self.send(1, receiver_id=2)
        submission = self.taken()
        self.store.tell([Committed(submission, Stored(submission.message, (2,)))])
        for session in mine:
            assert [packet.command for packet in self.sent(session)] == [Command.IM_SEND_MSG]

    def test_a_refusal_of_the_store_is_raised(self) -> None:
        sent = self.send(1, group_id="g")
        self.store.tell([Committed(self.taken(), MutedError("hush"))])
        self.failureResultOf(sent, MutedError)

    def test_a_broadcast_has_to_be_meant(self) -> None:
        for sender in (SYSTEM, 1):
            self.failureResultOf(self.send(sender, group_id="system"), ForbiddenError)
            self.send(sender, group_id="system", group_type=GroupType.SYSTEM, to_everybody=True)
            assert self.taken().message.sender_id == sender

    def test_the_system_writes_into_any_conversation(self) -> None:
        for group_id, group_type in (("1_2", GroupType.SINGLE), ("g", GroupType.GROUP)):
            self.send(SYSTEM, group_id=group_id, receiver_id=7)
            submission = self.taken()
            assert submission.check is may_always_send
            message = submission.message
            assert (message.sender_id, message.group_type, message.receiver_id) == (0, group_type, 0)

    def test_the_system_has_to_say_where(self) -> None:
        for fields in ({}, {"receiver_id": 2}, {"group_id": "2_1"}, {"group_id": "0_1"}):
            self.failureResultOf(self.send(SYSTEM, **fields), BadRequestError)

    def test_nobody_sends_control_messages(self) -> None:
        for sender in (SYSTEM, 1):
            self.failureResultOf(self.send(sender, group_id="1_2", msg_type=100), ForbiddenError)
        self.failureResultOf(self.send(-1, receiver_id=2), BadRequestError)
