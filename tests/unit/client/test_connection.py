"""The bare connection: each ACK finds its request, and no request waits for ever."""

from typing import Any

from google.protobuf.message import Message
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from imd.client import connection
from imd.client.connection import Connection
from imd.client.errors import BusyError, ClosedError, ResultError, TimedOutError
from imd.wire.bodies import (
    CloseChannel,
    Heartbeat,
    ImMsg,
    ImMsgAck,
    KickNotice,
    MsgAck,
    PullMsg,
    UserData,
    UserLoginAck,
)
from imd.wire.commands import Command
from imd.wire.packet import ACK, Decoder, Packet, encode, encode_deflated, encode_error
from imd.wire.results import Result

SEND = Command.IM_SEND_MSG


class ConnectionTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.transport = StringTransport()
        self.pushes: list[tuple[ImMsg, int]] = []
        self.notices: list[tuple[Command, Message]] = []
        self.closed: list[str] = []
        self.connection = Connection(
            self.clock,
            lambda message, trace_id: self.pushes.append((message, trace_id)),
            lambda command, body: self.notices.append((command, body)),
            self.closed.append,
        )
        self.connection.makeConnection(self.transport)

    def sent(self) -> list[Packet]:
        """Return what was sent since this was asked last."""
        packets = list(Decoder().feed(self.transport.value()))
        self.transport.clear()
        return packets

    def answer(self, request: Packet, body: Message) -> None:
        self.connection.dataReceived(encode(request.command, request.trace_id, body.SerializeToString(), ACK))

    def lose(self) -> None:
        self.connection.connectionLost(Failure(ConnectionDone()))

    def log_in(self, heartbeat_seconds: int = 5, idle_seconds: int = 15) -> Deferred[UserLoginAck]:
        login = Deferred.fromCoroutine(self.connection.login(7, "token", client_type=23, device_id="d"))
        ack = UserLoginAck(session_id="s", heartbeat_seconds=heartbeat_seconds, idle_seconds=idle_seconds)
        self.answer(self.sent()[0], ack)
        return login


class RequestTests(ConnectionTestCase):
    def test_the_answer_comes_back_decoded(self) -> None:
        answered = self.connection.request(Command.IM_OFFLINE_MSG, PullMsg(group_id="1_2"))
        [request] = self.sent()
        assert (request.command, request.flags, PullMsg.FromString(request.body).group_id) == (0x0202, 0, "1_2")
        self.answer(request, UserData(has_more=True))
        assert self.successResultOf(answered) == UserData(has_more=True)

    def test_answers_find_their_requests_in_any_order(self) -> None:
        answers = [self.connection.request(SEND, ImMsg(msg_id=str(n))) for n in range(3)]
        for request in reversed(self.sent()):
            self.answer(request, ImMsgAck(msg_id=ImMsg.FromString(request.body).msg_id))
        assert [self.successResultOf(answer).msg_id for answer in answers] == ["0", "1", "2"]

    def test_an_ack_without_a_body_is_an_answer(self) -> None:
        answered = self.connection.request(Command.USER_LOGOUT, Heartbeat())
        self.answer(self.sent()[0], Heartbeat())
        self.successResultOf(answered)

    def test_a_compressed_answer_is_read(self) -> None:
        answered = self.connection.request(Command.IM_OFFLINE_MSG, PullMsg())
        data = UserData(messages=[ImMsg(msg_body="x" * 5000)])
        trace_id = self.sent()[0].trace_id
        self.connection.dataReceived(encode_deflated(0x0202, trace_id, data.SerializeToString(), ACK))
        assert self.successResultOf(answered) == data

    def test_a_refusal_fails_with_its_result_and_reason(self) -> None:
        answered = self.connection.request(SEND, ImMsg())
        self.connection.dataReceived(encode_error(SEND, self.sent()[0].trace_id, Result.MUTED, "until noon"))
        error = self.failureResultOf(answered, ResultError).value
        assert (error.result, error.reason, str(error)) == (Result.MUTED, "until noon", "until noon")

    def test_an_ack_nobody_asked_for_is_ignored(self) -> None:
        answered = self.connection.request(SEND, ImMsg())
        self.connection.dataReceived(encode(SEND, 999, b"", ACK))
        self.assertNoResult(answered)
        assert not self.transport.disconnecting

    def test_trace_ids_begin_again_after_the_last(self) -> None:
        self.connection._last_trace_id = 2**32 - 2
        for _ in range(2):
            self.connection.tell(Command.IM_MSG_ACK, MsgAck())
        assert [packet.trace_id for packet in self.sent()] == [2**32 - 1, 1]

    def test_what_is_told_waits_for_no_answer(self) -> None:
        self.connection.tell(Command.IM_MSG_ACK, MsgAck(acks=[ImMsgAck(group_id="g", seq_id=3)]))
        [packet] = self.sent()
        assert MsgAck.FromString(packet.body).acks[0].seq_id == 3
        assert not self.clock.getDelayedCalls()


class TimeoutTests(ConnectionTestCase):
    def test_a_request_is_given_up_after_the_timeout(self) -> None:
        answered = self.connection.request(SEND, ImMsg())
        self.clock.advance(14.9)
        self.assertNoResult(answered)
        self.clock.advance(0.1)
        assert str(self.failureResultOf(answered, TimedOutError).value) == "IM_SEND_MSG had no answer in 15 seconds"

    def test_each_request_has_its_own_time(self) -> None:
        first = self.connection.request(SEND, ImMsg())
        self.clock.advance(10)
        second = self.connection.request(SEND, ImMsg())
        self.clock.advance(5)
        self.failureResultOf(first, TimedOutError)
        self.assertNoResult(second)
        self.clock.advance(10)
        self.failureResultOf(second, TimedOutError)

    def test_an_answer_in_time_ends_the_waiting(self) -> None:
        answered = self.connection.request(SEND, ImMsg())
        self.answer(self.sent()[0], ImMsgAck())
        self.clock.advance(15)
        self.successResultOf(answered)
        assert not self.clock.getDelayedCalls()

    def test_a_late_answer_is_ignored(self) -> None:
        answered = self.connection.request(SEND, ImMsg())
        self.clock.advance(15)
        self.answer(self.sent()[0], ImMsgAck())
        self.failureResultOf(answered, TimedOutError)

    def test_one_who_gives_up_may_ask_again_at_once(self) -> None:
        again: list[Deferred[Any]] = []
        answered = self.connection.request(SEND, ImMsg())
        answered.addErrback(lambda _: again.append(self.connection.request(SEND, ImMsg())))
        self.clock.advance(15)
        self.assertNoResult(again[0])
        self.clock.advance(15)
        self.failureResultOf(again[0], TimedOutError)
        assert not self.clock.getDelayedCalls()

    def test_no_more_requests_wait_than_there_is_room_for(self) -> None:
        self.patch(connection, "MAX_PENDING", 2)
        answers = [self.connection.request(SEND, ImMsg()) for _ in range(3)]
        self.failureResultOf(answers[2], BusyError)
        first, _ = self.sent()
        self.answer(first, ImMsgAck())
        self.assertNoResult(self.connection.request(SEND, ImMsg()))


class PushTests(ConnectionTestCase):
    def test_a_pushed_message_is_handed_on_and_acknowledged_by_its_trace_id(self) -> None:
        message = ImMsg(msg_body="hi")
        self.connection.dataReceived(encode(SEND, 40, message.SerializeToString()))
        assert self.pushes == [(message, 40)]
        self.connection.acknowledge(40)
        assert self.sent() == [Packet(SEND, ACK, 0, 40, b"")]

    def test_a_notice_is_handed_on_decoded(self) -> None:
        kick, drain = KickNotice(reason=1), CloseChannel(reconnect_after_ms=3)
        for command, body in ((Command.USER_KICK, kick), (Command.CLOSE_CHANNEL, drain)):
            self.connection.dataReceived(encode(command, 0, body.SerializeToString()))
        assert self.notices == [(Command.USER_KICK, kick), (Command.CLOSE_CHANNEL, drain)]

    def test_a_command_of_a_later_server_is_passed_over(self) -> None:
        self.connection.dataReceived(encode(0x7777, 1, b"?") + encode(Command.GROUP_CREATE, 1, b""))
        assert not self.notices
        assert not self.transport.disconnecting


class HeartbeatTests(ConnectionTestCase):
    def test_a_login_says_who_it_is(self) -> None:
        assert self.successResultOf(self.log_in()).session_id == "s"

    def test_heartbeats_go_out_as_often_as_the_server_asks(self) -> None:
        self.log_in(heartbeat_seconds=2)
        self.clock.pump([1] * 6)
        assert [packet.command for packet in self.sent()] == [Command.HEARTBEAT] * 4

    def test_a_server_that_names_no_interval_gets_one_in_five_seconds(self) -> None:
        self.log_in(heartbeat_seconds=0, idle_seconds=0)
        self.clock.pump([5, 5])
        assert len(self.sent()) == 3

    def test_a_silent_server_is_given_up(self) -> None:
        self.log_in(heartbeat_seconds=5, idle_seconds=15)
        self.clock.pump([5, 5])
        assert not self.transport.disconnecting
        self.clock.advance(5)
        assert self.transport.disconnecting
        self.lose()
        assert self.closed == ["nothing was heard of the server for 15 seconds"]

    def test_anything_heard_keeps_the_connection(self) -> None:
        self.log_in(heartbeat_seconds=5, idle_seconds=15)
        for _ in range(10):
            self.clock.advance(5)
            self.connection.dataReceived(encode(Command.HEARTBEAT, 1, b"", ACK))
        assert not self.transport.disconnecting


class EndTests(ConnectionTestCase):
    def test_the_end_fails_what_waits_and_is_told_once(self) -> None:
        answers = [self.connection.request(SEND, ImMsg()) for _ in range(2)]
        self.lose()
        for answer in answers:
            self.failureResultOf(answer, ClosedError)
        assert self.closed == ["Connection was closed cleanly."]

    def test_no_timer_outlives_the_connection(self) -> None:
        self.log_in()
        self.connection.request(SEND, ImMsg()).addErrback(lambda _: None)
        self.lose()
        assert not self.clock.getDelayedCalls()

    def test_nothing_is_sent_after_the_end(self) -> None:
        self.lose()
        self.failureResultOf(self.connection.request(SEND, ImMsg()), ClosedError)
        self.connection.tell(Command.IM_MSG_ACK, MsgAck())
        self.connection.acknowledge(1)
        assert not self.sent()

    def test_a_stream_that_is_no_imd_is_dropped(self) -> None:
        self.connection.dataReceived(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.lose()
        assert self.closed[0].startswith("what the server sent can't be read: magic 0x4854")

    def test_an_answer_that_does_not_parse_drops_the_connection_and_fails_its_request(self) -> None:
        answered = self.connection.request(SEND, ImMsg())
        self.connection.dataReceived(encode(SEND, self.sent()[0].trace_id, b"\xff", ACK))
        assert self.transport.disconnecting
        self.lose()
        self.failureResultOf(answered, ClosedError)

    def test_what_comes_after_the_drop_is_not_handed_on(self) -> None:
        self.connection.drop("enough")
        self.connection.dataReceived(encode(SEND, 1, b""))
        assert not self.pushes
