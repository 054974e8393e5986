"""Chat: what is taken from a sender, what is refused, and who gets what once a message is durable."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.error import ConnectionDone

from imd.errors import (
    BadRequestError,
    BlockedError,
    ConflictError,
    ForbiddenError,
    MutedError,
    NotInGroupError,
    RateLimitedError,
    RefusedError,
    TooLargeError,
    UnavailableError,
)
from imd.gateway.sessions import Session
from imd.logic.broadcasts import MAX_WAITING, Broadcasts
from imd.logic.chat import Chat
from imd.logic.members import MembersCache
from imd.logic.rights import check_send
from imd.ports.delivery import Push
from imd.ports.messages import Committed, Members, Stored, Submission
from imd.wire.bodies import Error, ImMsg, ImMsgAck
from imd.wire.commands import Command
from imd.wire.enums import GroupType, MsgType, Status
from imd.wire.packet import ACK, MAX_MESSAGE, Packet
from imd.wire.results import Result

from .parts import NOW, LogicTestCase, parsed

SEND = Command.IM_SEND_MSG
GROUP = "g5f1c0a9be3d27468a1b2c3d4"


class ChatTestCase(LogicTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.members = MembersCache(10)
        self.chat = Chat(self.store, self.sessions, self.members, Broadcasts(self.clock, self.sessions, 1000))
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
    """What is handed to the store, and what goes no further."""

    def test_what_the_server_fills_is_not_taken_from_the_sender(self) -> None:
        forged = {"sender_id": 9, "seq_id": 9, "send_time": 9, "status": 9, "msg_status": 2, "group_name": "x"}
        message = self.send(receiver_id=2, **forged).message
        assert message == self.send(receiver_id=2).message
        assert message == ImMsg(
            msg_id="m1", msg_type=1, msg_body="hi", sender_id=1, group_id="1_2", group_type=1, receiver_id=2
        )

    def test_the_name_that_the_sso_gives_wins(self) -> None:
        assert self.send(self.login(3, name="Carla"), receiver_id=2, sender_name="Eve").message.sender_name == "Carla"
        assert self.send(receiver_id=2, sender_name="Ann").message.sender_name == "Ann"

    def test_it_is_remembered_whom_to_answer_and_how_large_it_is(self) -> None:
        submission = self.send(receiver_id=2, trace_id=99, msg_body="x" * 1000)
        assert (submission.origin, submission.trace_id) == (self.me, 99)
        assert 1000 < submission.size < 1100

    def test_whether_the_sender_may_is_asked_inside_the_transaction(self) -> None:
        assert self.send(group_id=GROUP).check is check_send

    def test_what_is_wrong_goes_no_further(self) -> None:
        self.refused(TooLargeError, receiver_id=2, msg_body="x" * MAX_MESSAGE)
        self.refused(BadRequestError, receiver_id=2, msg_id="")
        self.refused(BadRequestError, receiver_id=2, extra="a\0b")
        self.refused(BadRequestError, receiver_id=2, msg_type=MsgType.ANNOUNCEMENT)
        self.refused(ForbiddenError, receiver_id=2, msg_type=MsgType.CONTROL)
        self.refused(ForbiddenError, group_id="2_3")

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
        known = Members(3, {1: 1, 2: 3}, {}, 0)
        self.members.put(GROUP, known)
        assert self.send(group_id=GROUP).members is known

    def test_what_the_store_had_to_reload_is_kept(self) -> None:
        fresh = Members(4, {1: 1}, {}, 0)
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
            Committed(self.send(group_id=GROUP, trace_id=4), MutedError("hush")),
            Committed(self.send(receiver_id=2, trace_id=5), BlockedError("no")),
            self.commit(self.send(receiver_id=2, trace_id=6), [2], seq_id=2),
        ]
        self.chat.committed(batch)
        answers = self.sent(self.me)
        assert [(packet.trace_id, packet.result) for packet in answers] == [
            (1, Result.OK),
            (2, Result.CONFLICT),
            (3, Result.NOT_IN_GROUP),
            (4, Result.MUTED),
            (5, Result.BLOCKED),
            (6, Result.OK),
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
        self.chat.committed([Committed(None, Stored(control, [2], Members(2, {1: 1, 2: 3}, {}, 0)))])
        assert self.pushes(friend) == [4]
        assert self.pushes(desktop) == [4]
        assert self.pushes(self.me) == [4]

    def test_a_message_to_oneself_reaches_the_other_devices_once(self) -> None:
        desktop = self.login(1, 20)
        self.chat.committed([self.commit(self.send(receiver_id=1), [], seq_id=1)])
        assert self.pushes(desktop) == [1]

    def test_a_message_that_can_not_be_told_leaves_the_others_of_its_batch_told(self) -> None:
        def broken(push: Push, uids: Sequence[int]) -> None:
            if push.seq_id == 1:
                raise ConnectionDone
            deliver(push, uids)

        friend = self.login(2)
        deliver = self.sessions.push
        self.patch(self.sessions, "push", broken)
        self.chat.committed(
            [
                self.commit(self.send(receiver_id=2, trace_id=1), [2], seq_id=1),
                self.commit(self.send(receiver_id=2, trace_id=2), [2], seq_id=2),
                Committed(self.send(receiver_id=2, trace_id=3), ConflictError("taken")),
            ]
        )
        assert [packet.trace_id for packet in self.sent(self.me)] == [1, 2, 3]
        assert self.pushes(friend) == [2]
        assert not self.outbox.is_held
        assert len(self.flushLoggedErrors(ConnectionDone)) == 1


class Passthrough(ChatTestCase):
    """Brought to who is online now, and forgotten."""

    def pass_through(self, receivers: Sequence[int], **fields: Any) -> None:
        submission = self.send(msg_type=MsgType.PASSTHROUGH, **fields)
        self.chat.committed([self.commit(submission, receivers, seq_id=0)])

    def test_the_sender_gets_an_ack_without_a_seq(self) -> None:
        self.pass_through([2], receiver_id=2, trace_id=9)
        (packet,) = self.sent(self.me)
        ack = ImMsgAck(msg_id="m1", group_id="1_2", send_time=NOW)
        assert packet == Packet(SEND, ACK, Result.OK, 9, ack.SerializeToString())

    def test_every_device_of_who_is_online_gets_it_and_none_is_waited_for(self) -> None:
        devices = [self.login(2), self.login(2, 20), self.login(3)]
        other = self.login(4)
        self.pass_through([2, 3, 5], group_id=GROUP)
        for session in devices:
            (packet,) = self.sent(session)
            assert (packet.command, packet.flags) == (SEND, 0)
            message = parsed(packet, ImMsg)
            assert (message.msg_body, message.seq_id, message.status) == ("hi", 0, Status.UNREAD)
            assert session.acknowledge(packet.trace_id) is None
        assert self.sent(other) == []

    def test_the_senders_other_devices_get_it_as_their_own(self) -> None:
        desktop = self.login(1, 20)
        self.pass_through([2], receiver_id=2)
        (packet,) = self.sent(desktop)
        assert parsed(packet, ImMsg).status == Status.SUCCESS
        assert [packet.flags for packet in self.sent(self.me)] == [ACK]

    def test_to_oneself_it_reaches_the_other_devices_once(self) -> None:
        desktop = self.login(1, 20)
        self.pass_through([], receiver_id=1)
        assert len(self.sent(desktop)) == 1

    def test_a_refusal_is_passed_on(self) -> None:
        for error in (BlockedError("no"), MutedError("hush"), NotInGroupError("no")):
            submission = self.send(msg_type=MsgType.PASSTHROUGH, group_id=GROUP)
            self.chat.committed([Committed(submission, error)])
            (packet,) = self.sent(self.me)
            assert packet.result == error.result


class Broadcasting(ChatTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.admin = self.login(9, is_admin=True)

    def announce(self, trace_id: int = 7, **fields: Any) -> Submission:
        """Send a broadcast and return what the store gets of it."""
        return self.send(self.admin, trace_id, group_id="system", **fields)

    def brought(self, session: Session) -> list[int]:
        """Return the seqs of the messages that a session got while all users had their turn."""
        self.clock.advance(0)
        return [parsed(packet, ImMsg).seq_id for packet in self.sent(session) if not packet.flags & ACK]

    def test_only_admins_may(self) -> None:
        self.refused(ForbiddenError, group_id="system")
        self.refused(ForbiddenError, group_type=3)
        message = self.announce().message
        assert (message.group_id, message.group_type, message.sender_id) == ("system", GroupType.SYSTEM, 9)

    def test_the_admin_gets_the_ack(self) -> None:
        self.chat.committed([self.commit(self.announce(trace_id=5), seq_id=3)])
        (packet,) = self.sent(self.admin)
        assert (packet.trace_id, packet.flags, parsed(packet, ImMsgAck).seq_id) == (5, ACK, 3)
        assert self.brought(self.admin) == []

    def test_everybody_who_is_online_is_pushed_it(self) -> None:
        desktop = self.login(1, 20)
        self.chat.committed([self.commit(self.announce(), seq_id=3)])
        self.clock.advance(0)
        for session in (self.me, desktop):
            (packet,) = self.sent(session)
            assert (parsed(packet, ImMsg).seq_id, parsed(packet, ImMsg).status) == (3, Status.UNREAD)
            acknowledged = session.acknowledge(packet.trace_id)
            assert acknowledged is not None
            assert acknowledged.group_id == "system"

    def test_the_admins_other_devices_get_one_copy(self) -> None:
        desktop = self.login(9, 20)
        self.chat.committed([self.commit(self.announce(), seq_id=3)])
        assert self.brought(desktop) == [3]
        assert self.brought(desktop) == []

    def test_the_same_again_is_acked_and_pushed_to_nobody(self) -> None:
        self.chat.committed([self.commit(self.announce(), seq_id=3, repeated=True)])
        assert len(self.sent(self.admin)) == 1
        assert self.brought(self.me) == []

    def test_that_one_is_revoked_reaches_everybody(self) -> None:
        control = ImMsg(msg_id="c", msg_type=100, group_id="system", group_type=3, sender_id=9, seq_id=4)
        self.chat.committed([Committed(None, Stored(control, []))])
        assert self.brought(self.admin) == [4]
        assert self.brought(self.me) == [4]

    def test_past_the_most_that_may_wait_the_next_is_refused_until_one_has_gone_out(self) -> None:
        batch = [self.commit(self.announce(), seq_id=number) for number in range(1, MAX_WAITING + 1)]
        self.chat.committed(batch)
        with self.assertRaises(RateLimitedError):
            self.announce()
        assert self.store.submissions == []
        self.clock.advance(0)
        self.announce()

    def test_those_that_are_being_stored_wait_too(self) -> None:
        waiting = [self.announce() for _ in range(MAX_WAITING)]
        with self.assertRaises(RateLimitedError):
            self.announce()
        self.send(receiver_id=2)
        self.chat.committed([Committed(waiting[0], UnavailableError("away")), self.commit(waiting[1], repeated=True)])
        self.announce()
        self.announce()
        with self.assertRaises(RateLimitedError):
            self.announce()

    def test_what_a_full_store_has_refused_does_not_wait(self) -> None:
        self.store.is_full = True
        for _ in range(MAX_WAITING + 1):
            self.assertRaises(UnavailableError, self.announce)
        self.store.is_full = False
        self.announce()

    def test_the_batch_it_is_stored_with_is_told_in_one_write_a_connection(self) -> None:
        seen: list[int] = []
        self.patch(self.channels[self.me], "flush", lambda: seen.append(len(self.channels[self.me]._queued)))
        self.chat.committed(
            [
                self.commit(self.send(receiver_id=2, trace_id=1)),
                self.commit(self.announce()),
                self.commit(self.send(receiver_id=2, trace_id=2)),
            ]
        )
        assert seen == [2]
