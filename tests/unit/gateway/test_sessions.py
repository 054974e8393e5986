"""Sessions: pushes and their ACKs, what waits for none, and who is here."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from imd.errors import ForbiddenError
from imd.gateway.outbox import Outbox
from imd.gateway.sessions import Session, Sessions
from imd.model import Identity
from imd.ports.delivery import Acknowledged, IDelivery, ISession, Push
from imd.ports.presence import Location
from imd.wire.bodies import Error, ImMsg, IssueReceipt, KickNotice
from imd.wire.commands import Command
from imd.wire.packet import ACK, DEFLATE, DEFLATE_FROM, Decoder, Packet, encode, inflate
from imd.wire.results import KickReason, Result


class Channel:
    """Keeps what a session does to its connection."""

    def __init__(self) -> None:
        self.is_open = True
        self.sent: list[bytes] = []
        self.dropped: list[str] = []
        self.logins = 0

    def send(self, packet: bytes) -> None:
        self.sent.append(packet)

    def close(self) -> None:
        self.is_open = False

    def drop(self, why: str) -> None:
        self.is_open = False
        self.dropped.append(why)

    def logged_in(self) -> None:
        self.logins += 1

    def packets(self) -> list[Packet]:
        return list(Decoder().feed(b"".join(self.sent)))


class SessionsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.sessions = Sessions(self.clock, Outbox(), max_unacked=1000)
        self.channels: dict[Session, Channel] = {}

    def login(self, uid: int, client_type: int = 11, **identity: Any) -> Session:
        channel = Channel()
        session = Session(channel, self.sessions)
        self.channels[session] = channel
        session.log_in(uid, client_type, f"{uid}/{client_type}", Identity(uid, **identity))
        return session

    def push(self, seq_id: int, *uids: int, group_id: str = "g", sender: int = 9) -> int:
        trace_id = self.sessions.next_trace_id()
        body = ImMsg(group_id=group_id, seq_id=seq_id).SerializeToString()
        packet = encode(Command.IM_SEND_MSG, trace_id, body)
        self.sessions.push(Push(trace_id, group_id, seq_id, sender, body, packet), uids)
        return trace_id

    def sent(self, session: Session) -> list[Packet]:
        return self.channels[session].packets()


class Pushes(SessionsTestCase):
    def test_the_parts_provide_their_ports(self) -> None:
        verifyObject(IDelivery, self.sessions)
        verifyObject(ISession, self.login(1))

    def test_a_push_reaches_every_session_of_every_receiver(self) -> None:
        phone, desktop, friend, other = self.login(1, 11), self.login(1, 20), self.login(2), self.login(3)
        trace_id = self.push(7, 1, 2, 99)
        for session in (phone, desktop, friend):
            (packet,) = self.sent(session)
            assert packet[:4] == (Command.IM_SEND_MSG, 0, 0, trace_id)
            assert ImMsg.FromString(packet.body).seq_id == 7
        assert self.sent(other) == []

    def test_trace_ids_fit_the_header_and_start_over(self) -> None:
        self.sessions._trace_id = 0xFFFFFFFE
        assert [self.sessions.next_trace_id() for _ in range(3)] == [0xFFFFFFFF, 0, 1]

    def test_past_the_most_unacked_pushes_the_session_is_dropped_and_told_once(self) -> None:
        session = self.login(1)
        for seq_id in range(1, 1011):
            self.push(seq_id, 1)
        assert len(self.sent(session)) == 1000
        assert self.channels[session].dropped == ["uid 1 left 1000 pushes without an ACK"]


class Told(SessionsTestCase):
    """What is sent beside pushes: copies, receipts, notices."""

    body = IssueReceipt(group_id="g", uid=1, receive_seq=7).SerializeToString()

    def test_it_reaches_every_session_of_the_users_who_are_counted(self) -> None:
        sessions = [self.login(1, 11), self.login(1, 20), self.login(2)]
        other = self.login(3)
        assert self.sessions.tell(Command.ISSUE_RECEIPT, self.body, [1, 2, 99]) == 3
        for session in sessions:
            (packet,) = self.sent(session)
            assert (packet.command, packet.flags, packet.result, packet.body) == (
                Command.ISSUE_RECEIPT,
                0,
                0,
                self.body,
            )
        assert self.sent(other) == []

    def test_one_session_can_be_left_out(self) -> None:
        origin, desktop = self.login(1, 11), self.login(1, 20)
        assert self.sessions.tell(Command.IM_SEND_MSG, self.body, [1], [origin]) == 1
        assert self.sent(origin) == []
        assert len(self.sent(desktop)) == 1

    def test_it_waits_for_no_ack(self) -> None:
        session = self.login(1)
        self.sessions.tell(Command.IM_SEND_MSG, self.body, [1])
        (packet,) = self.sent(session)
        assert session.acknowledge(packet.trace_id) is None

    def test_for_who_is_not_here_it_goes_nowhere(self) -> None:
        origin = self.login(1)
        assert self.sessions.tell(Command.ISSUE_RECEIPT, self.body, [99]) == 0
        assert self.sessions.tell(Command.ISSUE_RECEIPT, self.body, [1], [origin]) == 0

    def test_it_is_encoded_once_and_never_has_the_trace_id_of_a_push(self) -> None:
        phone, desktop = self.login(1, 11), self.login(1, 20)
        pushed = self.push(1, 1)
        self.sessions.tell(Command.ISSUE_RECEIPT, self.body, [1])
        assert self.channels[phone].sent[1] is self.channels[desktop].sent[1]
        assert self.sent(phone)[1].trace_id != pushed

    def test_only_who_knows_deflate_gets_it_compressed(self) -> None:
        phone, desktop = self.login(1, 11), self.login(1, 20)
        desktop.deflates = True
        body = ImMsg(msg_body="x" * DEFLATE_FROM).SerializeToString()
        assert self.sessions.tell(Command.IM_SEND_MSG, body, [1]) == 2
        (plain,), (deflated,) = self.sent(phone), self.sent(desktop)
        assert (plain.flags, plain.body) == (0, body)
        assert (deflated.flags, inflate(deflated.body, 2000)) == (DEFLATE, body)


class Acks(SessionsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.session = self.login(1)

    def ack(self, trace_id: int, session: Session | None = None) -> tuple[str, list[int]]:
        """Return the group and the seqs that an ACK covers."""
        acknowledged = (session or self.session).acknowledge(trace_id)
        assert acknowledged is not None
        return acknowledged.group_id, acknowledged.seqs

    def test_an_ack_names_the_push(self) -> None:
        trace_id = self.push(7, 1, sender=3)
        assert self.session.acknowledge(trace_id) == Acknowledged("g", [7], (3,))

    def test_an_ack_names_the_senders_of_what_it_covers_and_of_nothing_else(self) -> None:
        for seq_id, sender in ((1, 3), (2, 4), (3, 3)):
            trace_id = self.push(seq_id, 1, sender=sender)
        last = self.push(4, 1, sender=5)
        self.push(1, 1, group_id="other", sender=6)
        assert self.session.acknowledge(trace_id) == Acknowledged("g", [1, 2, 3], {3, 4})
        assert self.session.acknowledge(last) == Acknowledged("g", [4], (5,))

    def test_an_ack_of_an_unknown_trace_id_is_ignored(self) -> None:
        assert self.session.acknowledge(77) is None
        trace_id = self.push(7, 1)
        assert self.session.acknowledge(trace_id + 1) is None

    def test_an_ack_counts_once(self) -> None:
        trace_id = self.push(7, 1)
        self.session.acknowledge(trace_id)
        assert self.session.acknowledge(trace_id) is None

    def test_an_ack_covers_what_was_pushed_before_it_in_the_group(self) -> None:
        traces = [self.push(seq_id, 1) for seq_id in (3, 4, 5, 6)]
        assert self.ack(traces[2]) == ("g", [3, 4, 5])
        assert self.session.acknowledge(traces[0]) is None
        assert self.ack(traces[3]) == ("g", [6])

    def test_an_ack_covers_no_other_group(self) -> None:
        other = self.push(1, 1, group_id="other")
        self.session.acknowledge(self.push(9, 1))
        assert self.ack(other) == ("other", [1])

    def test_an_ack_covers_no_other_session(self) -> None:
        desktop = self.login(1, 20)
        trace_id = self.push(1, 1)
        self.session.acknowledge(trace_id)
        assert self.ack(trace_id, desktop) == ("g", [1])

    def test_an_ack_covers_only_what_was_pushed_on_this_session(self) -> None:
        self.push(3, 1)
        assert self.ack(self.push(9, 1)) == ("g", [3, 9])

    def test_a_push_again_out_of_order_is_covered_by_its_seq(self) -> None:
        first, second = self.push(1, 1), self.push(2, 1)
        again = self.push(1, 1)
        assert self.ack(again) == ("g", [1, 1])
        assert self.session.acknowledge(first) is None
        assert self.ack(second) == ("g", [2])

    def test_an_ack_of_the_newest_covers_older_ones_that_were_pushed_again_later(self) -> None:
        second = self.push(2, 1)
        self.push(1, 1)
        self.push(3, 1)
        acknowledged = self.session.acknowledge(second)
        assert acknowledged is not None
        assert sorted(acknowledged.seqs) == [1, 2]

    def test_after_the_ack_nothing_is_kept_of_the_pushes(self) -> None:
        for _ in range(3):
            traces = [self.push(seq_id, 1) for seq_id in range(1, 400)]
            self.session.acknowledge(traces[-1])
        self.push(400, 1)
        assert self.channels[self.session].dropped == []

    @given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 6), st.integers(7, 9)), max_size=20), st.data())
    def test_any_pushes_and_acks_follow_the_rule(self, pushes: list[tuple[str, int, int]], data: st.DataObject) -> None:
        session = self.login(5)
        waiting = [
            (self.push(seq_id, 5, group_id=group_id, sender=sender), group_id, seq_id, sender)
            for group_id, seq_id, sender in pushes
        ]
        sent = list(waiting)
        while sent and data.draw(st.booleans()):
            push = data.draw(st.sampled_from(sent))
            trace_id, group_id, seq_id, _ = push
            acknowledged = session.acknowledge(trace_id)
            if push not in waiting:
                assert acknowledged is None
                continue
            covered = [push for push in waiting if push[1] == group_id and push[2] <= seq_id]
            waiting = [push for push in waiting if push not in covered]
            assert acknowledged is not None
            assert (acknowledged.group_id, sorted(acknowledged.seqs)) == (group_id, sorted(p[2] for p in covered))
            assert set(acknowledged.senders) == {p[3] for p in covered}
        session.log_out()


class Registry(SessionsTestCase):
    def test_a_session_carries_what_the_login_says(self) -> None:
        self.clock.advance(5)
        session = self.login(1, 20, name="Ann", is_admin=True, expires=77)
        assert (session.uid, session.client_type, session.session_id) == (1, 20, "1/20")
        assert (session.name, session.is_admin, session.expires, session.since) == ("Ann", True, 77, 5)
        assert self.channels[session].logins == 1

    def test_the_sessions_here_are_known_by_uid(self) -> None:
        phone, desktop, friend = self.login(1, 11), self.login(1, 20), self.login(2)
        assert list(self.sessions.sessions(1)) == [phone, desktop]
        assert list(self.sessions.sessions(99)) == []
        assert self.sessions.online() == [1, 2]
        assert self.sessions.everyone() == [phone, desktop, friend]
        assert len(self.sessions) == 3

    def test_after_a_logout_the_session_is_as_before_its_login(self) -> None:
        session = self.login(1, 20, name="Ann", is_admin=True, expires=77)
        trace_id = self.push(1, 1)
        session.log_out()
        assert (session.uid, session.session_id, session.name, session.is_admin, session.expires) == (
            0,
            "",
            "",
            False,
            0,
        )
        assert session.acknowledge(trace_id) is None
        assert self.sessions.online() == []
        self.push(2, 1)
        assert len(self.sent(session)) == 1

    def test_a_session_can_log_in_again_as_somebody_else(self) -> None:
        session = self.login(1)
        session.log_out()
        session.log_in(2, 11, "again", Identity(2))
        self.push(1, 1)
        assert self.sent(session) == []
        self.push(2, 2)
        assert len(self.sent(session)) == 1

    def test_a_kick_tells_the_client_why_and_closes(self) -> None:
        phone, desktop = self.login(1, 11), self.login(1, 20)
        assert self.sessions.kick(Location("here", "1/11"), KickReason.REPLACED, "bye") is True
        (packet,) = self.sent(phone)
        assert (packet.command, packet.flags) == (Command.USER_KICK, 0)
        assert KickNotice.FromString(packet.body) == KickNotice(reason=KickReason.REPLACED, message="bye")
        assert not phone.is_open
        assert list(self.sessions.sessions(1)) == [desktop]
        assert desktop.is_open

    def test_a_kicked_session_gets_no_more_pushes(self) -> None:
        session = self.login(1)
        self.sessions.kick(Location("here", "1/11"), KickReason.ADMIN, "")
        self.push(1, 1)
        assert [packet.command for packet in self.sent(session)] == [Command.USER_KICK]

    def test_a_kick_of_a_session_that_is_not_here_says_so(self) -> None:
        assert self.sessions.kick(Location("here", "elsewhere"), KickReason.ADMIN, "") is False

    def test_the_newer_of_two_sessions_of_one_kind_survives_the_removal_of_the_older(self) -> None:
        older = self.login(1)
        newer = Session(Channel(), self.sessions)
        newer.log_in(1, 11, "newer", Identity(1))
        self.sessions.remove(older)
        self.sessions.remove(older)
        assert list(self.sessions.sessions(1)) == [newer]

    def test_a_refusal_carries_the_result_and_the_reason(self) -> None:
        session = self.login(1)
        session.refuse(Command.IM_SEND_MSG, 9, ForbiddenError("no"))
        (packet,) = self.sent(session)
        assert packet[:4] == (Command.IM_SEND_MSG, ACK, Result.FORBIDDEN, 9)
        assert Error.FromString(packet.body) == Error(code=Result.FORBIDDEN, reason="no")
