"""Chat: what is taken from a sender, what is refused, and who gets what once a message is durable."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.error import ConnectionDone

from imd.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotInGroupError,
    RefusedError,
    TooLargeError,
    UnavailableError,
)
from imd.gateway.sessions import Session
from imd.logic.chat import Chat
from imd.logic.members import MembersCache
from imd.ports import Committed, Members, Stored, Submission
from imd.wire.bodies import Error, ImMsg, ImMsgAck
from imd.wire.commands import Command
from imd.wire.packet import ACK, MAX_MESSAGE, Packet
from imd.wire.results import Result

from .parts import NOW, LogicTestCase, parsed

SEND = Command.IM_SEND_MSG
GROUP = "g5f1c0a9be3d27468a1b2c3d4"


class ChatTestCase(LogicTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.members = MembersCache(10)
        self.chat = Chat(self.store, self.sessions, self.members)
        self.me = self.login(1)

    def send(self, session: Session | None = None, trace_id: int = 7, **fields: Any) -> Submission:
        """Send a message and return what the store gets of it."""
        message = ImMsg(**{"msg_id": "m1", "msg_type": 1, "msg_body": "hi", **fields})
        self.chat.send(session or self.me, trace_id, message)
        return self.store.submissions.pop()

    def refused(self, kind: type[RefusedError], **fields: Any) -> str:  # type: ignore[override]
        """Send a message that goes no further, and return the reason."""
        with self.assertRaises(kind) as caught:
            self.send(**fields)
        assert self.store.submissions == []
        return str(caught.exception)

    def commit(
        self,
        submission: Submission | None,
        receivers: Sequence[int] = (),
        seq_id: int = 1,
        members: Members | None = None,
        repeated: bool = False,
    ) -> Committed:
        """Return what the store says once it has stored a message."""
        assert submission is not None
        message = submission.message
        message.seq_id, message.send_time = seq_id, NOW
        return Committed(submission, Stored(message, receivers, members, repeated))


class Taking(ChatTestCase):
    """Rule 1: what the server takes from a client, and what it fills."""

    def test_what_the_sender_gives_is_kept(self) -> None:
        given = {
            "sender_name": "Ann",
            "sender_remark": "r",
            "extra": "e",
            "attach_id": 5,
            "attach_type": 6,
            "attach_name": "n",
            "attach_url": "u",
            "attach_size": 7,
            "whether_non_count": 1,
            "at_uids": [0, 3],
        }
        message = self.send(receiver_id=2, **given).message
        assert {name: getattr(message, name) for name in given} == given
        assert (message.msg_id, message.msg_type, message.msg_body) == ("m1", 1, "hi")

    def test_what_the_server_fills_is_not_taken_from_the_sender(self) -> None:
        forged = {"sender_id": 9, "seq_id": 9, "send_time": 9, "status": 9, "msg_status": 2, "group_name": "x"}
        message = self.send(receiver_id=2, **forged).message
        assert message == self.send(receiver_id=2).message
        assert message.sender_id == 1

    def test_the_name_that_the_sso_gives_wins(self) -> None:
        assert self.send(self.login(3, name="Carla"), receiver_id=2, sender_name="Eve").message.sender_name == "Carla"

    def test_fields_of_a_later_release_are_dropped(self) -> None:
        later = ImMsg.FromString(ImMsg(msg_id="m1", msg_type=1, receiver_id=2).SerializeToString() + b"\xfa\x3f\x01x")
        self.chat.send(self.me, 7, later)
        assert b"\xfa\x3f" not in self.store.submissions.pop().message.SerializeToString()

    def test_a_text_may_be_empty(self) -> None:
        assert self.send(receiver_id=2, msg_body="").message.msg_body == ""

    def test_any_version_of_uuid_and_any_type_of_a_client_is_taken(self) -> None:
        for msg_type in (1, 8, 98, 101, 2**31 - 1):
            assert self.send(receiver_id=2, msg_type=msg_type).message.msg_type == msg_type
        assert self.send(receiver_id=2, msg_id="x" * 64).message.msg_id == "x" * 64

    def test_it_is_remembered_whom_to_answer(self) -> None:
        submission = self.send(receiver_id=2, trace_id=99)
        assert (submission.origin, submission.trace_id) == (self.me, 99)


class Addressing(ChatTestCase):
    def address(self, **fields: Any) -> tuple[str, int, int]:
        message = self.send(**fields).message
        return message.group_id, message.group_type, message.receiver_id

    def test_the_receiver_alone_is_enough_for_a_single_chat(self) -> None:
        assert self.address(receiver_id=2) == ("1_2", 1, 2)
        assert self.address(session=self.login(30), receiver_id=2) == ("2_30", 1, 2)

    def test_the_group_id_alone_is_enough_too(self) -> None:
        assert self.address(group_id="1_2") == ("1_2", 1, 2)
        assert self.address(group_id="1_2", group_type=1, receiver_id=2) == ("1_2", 1, 2)

    def test_the_largest_uid_can_be_written_to(self) -> None:
        assert self.address(receiver_id=2**63 - 1) == (f"1_{2**63 - 1}", 1, 2**63 - 1)

    def test_one_can_write_to_oneself(self) -> None:
        assert self.address(receiver_id=1) == ("1_1", 1, 1)
        assert self.address(group_id="1_1") == ("1_1", 1, 1)

    def test_a_group_is_a_group(self) -> None:
        assert self.address(group_id=GROUP) == (GROUP, 2, 0)
        assert self.address(group_id=GROUP, group_type=2, receiver_id=5) == (GROUP, 2, 0)

    def test_a_single_chat_that_does_not_contain_the_sender_is_forbidden(self) -> None:
        assert self.refused(ForbiddenError, group_id="2_3") == "the single chat 2_3 is not yours"

    def test_the_broadcast_is_forbidden(self) -> None:
        self.refused(ForbiddenError, group_id="system")
        self.refused(ForbiddenError, group_type=3, receiver_id=2)
        self.refused(ForbiddenError, group_type=3, group_id=GROUP)

    def test_a_message_to_nobody_is_a_bad_request(self) -> None:
        self.refused(BadRequestError)
        self.refused(BadRequestError, receiver_id=-1)

    def test_what_contradicts_itself_is_a_bad_request(self) -> None:
        for fields in (
            {"group_id": "1_2", "receiver_id": 3},
            {"group_id": "1_2", "receiver_id": 1},
            {"group_id": "1_2", "group_type": 2},
            {"group_id": GROUP, "group_type": 1},
            {"group_id": GROUP, "group_type": 4},
            {"group_id": "2_1"},
            {"group_id": "1_02"},
            {"group_id": "1_2_3"},
            {"group_id": "x" * 65},
        ):
            self.refused(BadRequestError, **fields)


class Refusing(ChatTestCase):
    def test_a_message_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(self) -> None:
        room = MAX_MESSAGE - ImMsg(msg_id="m1", msg_type=1, msg_body="x" * 60_000, receiver_id=2).ByteSize() + 60_000
        assert len(self.send(receiver_id=2, msg_body="x" * room).message.msg_body) == room
        self.refused(TooLargeError, receiver_id=2, msg_body="x" * (room + 1))

    def test_a_text_of_64_kib_fits(self) -> None:
        self.send(receiver_id=2, msg_body="x" * 65_536)

    def test_a_msg_id_has_1_to_64_characters(self) -> None:
        self.refused(BadRequestError, receiver_id=2, msg_id="")
        self.refused(BadRequestError, receiver_id=2, msg_id="x" * 65)

    def test_a_msg_type_is_1_or_more(self) -> None:
        self.refused(BadRequestError, receiver_id=2, msg_type=0)
        self.refused(BadRequestError, receiver_id=2, msg_type=-1)

    def test_a_control_message_is_forbidden_to_clients(self) -> None:
        self.refused(ForbiddenError, receiver_id=2, msg_type=100)
        self.refused(ForbiddenError, group_id=GROUP, msg_type=100)

    def test_a_passthrough_is_not_taken_for_a_message(self) -> None:
        self.refused(BadRequestError, receiver_id=2, msg_type=99)

    def test_no_text_holds_a_nul_character(self) -> None:
        for name in ("msg_id", "msg_body", "sender_name", "sender_remark", "extra", "attach_name", "attach_url"):
            assert self.refused(BadRequestError, receiver_id=2, **{name: "a\0b"}) == f"{name} holds a NUL character"

    def test_a_nul_byte_that_is_in_no_text_does_no_harm(self) -> None:
        assert list(self.send(receiver_id=2, at_uids=[0]).message.at_uids) == [0]

    def test_a_store_that_is_full_refuses_at_once(self) -> None:
        self.store.is_full = True
        self.refused(UnavailableError, receiver_id=2)


class Digests(ChatTestCase):
    """Rule 3: the same again is the same, whatever the server has filled in between."""

    def test_the_same_message_has_the_same_digest_however_it_is_addressed(self) -> None:
        digests = {
            self.send(receiver_id=2).digest,
            self.send(group_id="1_2").digest,
            self.send(group_id="1_2", receiver_id=2, group_type=1).digest,
            self.send(receiver_id=2, seq_id=5, send_time=5, sender_id=5, status=-4).digest,
            self.send(self.login(1, 20), receiver_id=2).digest,
            self.send(self.login(1, 30, name="Ann"), receiver_id=2).digest,
        }
        assert len(digests) == 1

    def test_other_content_has_another_digest(self) -> None:
        contents: list[dict[str, Any]] = [
            {},
            {"msg_body": "ho"},
            {"msg_type": 2},
            {"extra": "e"},
            {"at_uids": [3]},
            {"attach_url": "u"},
            {"whether_non_count": 1},
        ]
        assert len({self.send(receiver_id=2, **content).digest for content in contents}) == len(contents)


class CachedMembers(ChatTestCase):
    def test_a_message_into_a_group_carries_what_is_known_of_its_members(self) -> None:
        assert self.send(group_id=GROUP).members is None
        known = Members(3, {1: 1, 2: 3})
        self.members.put(GROUP, known)
        assert self.send(group_id=GROUP).members is known

    def test_what_the_store_had_to_reload_is_kept(self) -> None:
        fresh = Members(4, {1: 1})
        self.chat.committed([self.commit(self.send(group_id=GROUP), members=fresh)])
        assert self.members.get(GROUP) is fresh

    def test_a_single_chat_needs_no_members(self) -> None:
        assert self.send(receiver_id=2).members is None


class Committing(ChatTestCase):
    def pushes(self, session: Session) -> list[int]:
        return [parsed(packet, ImMsg).seq_id for packet in self.sent(session) if not packet.flags & ACK]

    def test_nothing_is_answered_or_pushed_before_the_commit(self) -> None:
        friend = self.login(2)
        self.send(receiver_id=2)
        assert self.sent(self.me) == []
        assert self.sent(friend) == []

    def test_the_sender_gets_the_ack(self) -> None:
        self.chat.committed([self.commit(self.send(receiver_id=2, trace_id=9), [2], seq_id=5)])
        (packet,) = self.sent(self.me)
        ack = ImMsgAck(msg_id="m1", group_id="1_2", seq_id=5, send_time=NOW)
        assert packet == Packet(SEND, ACK, Result.OK, 9, ack.SerializeToString())

    def test_every_device_of_the_receivers_gets_the_message_and_nobody_else(self) -> None:
        phone, desktop, other = self.login(2), self.login(2, 20), self.login(3)
        self.chat.committed([self.commit(self.send(receiver_id=2, sender_name="Ann"), [2], seq_id=5)])
        for session in (phone, desktop):
            (packet,) = self.sent(session)
            assert (packet.command, packet.flags, packet.result) == (SEND, 0, 0)
            assert parsed(packet, ImMsg) == ImMsg(
                msg_id="m1",
                msg_type=1,
                msg_body="hi",
                sender_id=1,
                sender_name="Ann",
                group_id="1_2",
                group_type=1,
                receiver_id=2,
                send_time=NOW,
                seq_id=5,
                status=-4,
            )
            assert session.acknowledge(packet.trace_id) is not None
        assert self.sent(other) == []

    def test_the_senders_other_devices_get_a_copy_as_their_own(self) -> None:
        desktop = self.login(1, 20)
        self.chat.committed([self.commit(self.send(receiver_id=2), [2], seq_id=5)])
        (copy,) = self.sent(desktop)
        assert (copy.command, copy.flags) == (SEND, 0)
        assert (parsed(copy, ImMsg).seq_id, parsed(copy, ImMsg).status) == (5, 0)
        assert len(self.sent(self.me)) == 1

    def test_a_sender_who_has_left_still_has_copies_on_the_other_devices(self) -> None:
        desktop = self.login(1, 20)
        committed = self.commit(self.send(receiver_id=2), [2])
        self.sessions.remove(self.me)
        self.channels[self.me].is_open = False
        self.chat.committed([committed])
        assert len(self.sent(desktop)) == 1
        assert self.sent(self.me) == []

    def test_messages_are_acked_and_pushed_in_the_order_of_the_commit(self) -> None:
        friend = self.login(2)
        batch = [
            self.commit(self.send(receiver_id=2, trace_id=number, msg_id=f"m{number}"), [2], seq_id=number)
            for number in range(1, 6)
        ]
        self.chat.committed(batch)
        assert [packet.trace_id for packet in self.sent(self.me)] == [1, 2, 3, 4, 5]
        assert self.pushes(friend) == [1, 2, 3, 4, 5]

    def test_a_refused_message_is_answered_and_its_neighbours_are_not_harmed(self) -> None:
        friend = self.login(2)
        batch = [
            self.commit(self.send(receiver_id=2, trace_id=1), [2], seq_id=1),
            Committed(self.send(receiver_id=2, trace_id=2), ConflictError("taken")),
            Committed(self.send(group_id=GROUP, trace_id=3), NotInGroupError("no")),
            self.commit(self.send(receiver_id=2, trace_id=4), [2], seq_id=2),
        ]
        self.chat.committed(batch)
        answers = self.sent(self.me)
        assert [(packet.trace_id, packet.result) for packet in answers] == [
            (1, Result.OK),
            (2, Result.CONFLICT),
            (3, Result.NOT_IN_GROUP),
            (4, Result.OK),
        ]
        assert parsed(answers[1], Error) == Error(code=Result.CONFLICT, reason="taken")
        assert self.pushes(friend) == [1, 2]

    def test_a_repeated_message_is_acked_with_the_first_seq_and_pushed_to_who_still_waits(self) -> None:
        desktop, waiting, done = self.login(1, 20), self.login(2), self.login(3)
        first = self.commit(self.send(group_id=GROUP), [2], seq_id=3, repeated=True)
        self.chat.committed([first])
        (ack,) = self.sent(self.me)
        assert parsed(ack, ImMsgAck).seq_id == 3
        assert self.pushes(waiting) == [3]
        assert self.sent(done) == []
        assert self.sent(desktop) == []

    def test_a_push_is_encoded_once_for_all_receivers(self) -> None:
        receivers = [self.login(uid) for uid in range(2, 12)]
        self.chat.committed([self.commit(self.send(group_id=GROUP), range(2, 12))])
        assert len({packet for session in receivers for packet in self.sent(session)}) == 1

    def test_each_connection_is_written_to_once_a_batch(self) -> None:
        friend = self.login(2)
        batch = [self.commit(self.send(receiver_id=2), [2], seq_id=seq_id) for seq_id in (1, 2, 3)]
        seen: list[int] = []
        self.patch(self.channels[friend], "flush", lambda: seen.append(len(self.channels[friend]._queued)))
        self.chat.committed(batch)
        assert seen == [3]

    def test_a_control_message_reaches_members_and_every_device_of_who_did_it(self) -> None:
        desktop, friend = self.login(1, 20), self.login(2)
        control = ImMsg(msg_id="c", msg_type=100, group_id=GROUP, group_type=2, sender_id=1, seq_id=4)
        self.chat.committed([Committed(None, Stored(control, [2], Members(2, {1: 1, 2: 3})))])
        assert self.pushes(friend) == [4]
        assert self.pushes(desktop) == [4]
        assert self.pushes(self.me) == [4]

    def test_a_message_to_oneself_reaches_the_other_devices_once(self) -> None:
        desktop = self.login(1, 20)
        self.chat.committed([self.commit(self.send(receiver_id=1), [], seq_id=1)])
        assert self.pushes(desktop) == [1]

    def test_the_outbox_is_let_go_even_if_one_message_fails(self) -> None:
        def broken(*_: Any) -> None:
            raise ConnectionDone

        self.patch(self.sessions, "push", broken)
        self.assertRaises(ConnectionDone, self.chat.committed, [self.commit(self.send(receiver_id=2), [2])])
        assert not self.outbox.is_held
        assert len(self.sent(self.me)) == 1

    def test_a_push_again_reaches_one_user(self) -> None:
        friend, other = self.login(2), self.login(3)
        self.chat.push_again(ImMsg(msg_id="m1", group_id=GROUP, seq_id=8), 2)
        assert self.pushes(friend) == [8]
        assert self.sent(other) == []
