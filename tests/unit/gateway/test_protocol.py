"""Connections: deadlines, limits of size and rate, bad input, joined writes."""

import zlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from imd.wire.bodies import Error, Heartbeat, ImMsg, ImMsgAck, KickNotice, MsgAck, UserLogin, UserLogout
from imd.wire.commands import Command
from imd.wire.packet import (
    ACK,
    DEFLATE,
    HEADER_SIZE,
    MAX_BODY_BEFORE_LOGIN,
    Packet,
    encode,
    inflate,
)
from imd.wire.results import KickReason, Result

from .node import SEND, Client, Node, reason_of

HEARTBEAT = encode(Command.HEARTBEAT, 1)


class CountedTransport(StringTransport):
    """Counts the writes."""

    writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)


def counted(client: Client) -> CountedTransport:
    transport = CountedTransport()
    client.transport = client.connection.transport = transport
    return transport


def sized(command: int, size: int) -> bytes:
    """Return a packet with a body of ``size`` bytes: a field that no message here knows."""
    for digits in range(1, 4):
        length = size - 1 - digits
        field = bytes([0x7A]) + _varint(length) + bytes(length)
        if len(field) == size:
            return encode(command, 1, field)
    raise ValueError(size)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


class Deadlines(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = Node()

    def test_a_connection_without_a_login_is_closed_after_ten_seconds(self) -> None:
        client = self.node.connect()
        self.node.pass_time(9.9)
        assert not client.is_closed
        self.node.pass_time(2.1)
        assert client.is_aborted

    def test_packets_before_the_login_buy_no_time(self) -> None:
        client = self.node.connect()
        for _ in range(11):
            client.heartbeat()
            self.node.pass_time(1)
        self.node.pass_time(1)
        assert client.is_closed

    def test_a_login_just_in_time_is_enough(self) -> None:
        client = self.node.connect()
        self.node.pass_time(9.9)
        client.login(1)
        self.node.pass_time(5)
        assert not client.is_closed

    def test_a_session_that_sends_nothing_for_fifteen_seconds_is_closed(self) -> None:
        client = self.node.connect().login(1)
        self.node.pass_time(14.9)
        assert not client.is_closed
        self.node.pass_time(2.1)
        assert client.is_aborted

    def test_a_read_at_the_last_moment_keeps_the_session(self) -> None:
        client = self.node.connect().login(1)
        for _ in range(4):
            self.node.pass_time(14.9)
            client.heartbeat()
        assert not client.is_closed

    def test_any_read_counts_even_a_part_of_a_packet(self) -> None:
        client = self.node.connect().login(1)
        self.node.pass_time(14)
        client.write(HEARTBEAT[:3])
        self.node.pass_time(14)
        assert not client.is_closed

    def test_what_the_server_sends_does_not_keep_a_silent_session(self) -> None:
        client = self.node.connect().login(1)
        for seq_id in range(1, 18):
            self.node.push(seq_id, 1)
            self.node.pass_time(1)
        assert client.is_closed

    def test_after_a_logout_the_login_deadline_runs_anew(self) -> None:
        client = self.node.connect().login(1)
        self.node.pass_time(12)
        client.ask(Command.USER_LOGOUT, UserLogout())
        self.node.pass_time(9)
        assert not client.is_closed
        self.node.pass_time(3)
        assert client.is_closed

    def test_no_timer_is_armed_for_a_connection_or_a_packet(self) -> None:
        timers = len(self.node.clock.getDelayedCalls())
        for uid in range(1, 50):
            client = self.node.connect().login(uid)
            client.heartbeat()
        assert len(self.node.clock.getDelayedCalls()) == timers

    def test_an_expired_token_ends_the_session_which_is_told_so(self) -> None:
        client = self.node.connect()
        self.node.expires = int(self.node.clock.seconds()) + 5
        client.login(1)
        for _ in range(4):
            self.node.pass_time(1)
            client.heartbeat()
        self.node.pass_time(2.1)
        (kicked,) = client.received()
        assert kicked.command == Command.USER_KICK
        assert KickNotice.FromString(kicked.body).reason == KickReason.TOKEN_EXPIRED
        assert client.is_closed

    def test_a_client_that_does_not_take_its_kick_is_cut(self) -> None:
        client = self.node.dial(room=0)
        client.transport.room = 1000
        self.node.expires = int(self.node.clock.seconds()) + 5
        client.login(1)
        client.transport.room = 0
        self.node.pass_time(7)
        assert client.is_closed
        assert not client.is_aborted
        self.node.pass_time(11)
        assert client.is_aborted

    def test_a_client_that_goes_on_sending_after_its_kick_is_cut_too(self) -> None:
        client = self.node.connect().login(1)
        client.session.kick(KickReason.ADMIN, "bye")
        for _ in range(12):
            self.node.pass_time(1)
            client.write(HEARTBEAT)
        assert client.is_aborted

    def test_without_an_expiry_a_token_holds_on(self) -> None:
        client = self.node.connect().login(1)
        for _ in range(10):
            self.node.pass_time(10)
            client.heartbeat()
        assert not client.is_closed


class Sizes(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = Node(max_body=100_000)

    def test_a_body_of_exactly_the_limit_is_read_before_the_login(self) -> None:
        client = self.node.connect()
        client.write(sized(Command.HEARTBEAT, MAX_BODY_BEFORE_LOGIN))
        assert client.result() == Result.NOT_LOGGED_IN
        assert not client.is_closed

    def test_a_body_over_the_limit_closes_before_the_login(self) -> None:
        client = self.node.connect()
        client.write(sized(Command.HEARTBEAT, MAX_BODY_BEFORE_LOGIN + 1)[:HEADER_SIZE])
        assert client.is_aborted
        assert self.node.gateway.counters.malformed == 1

    def test_a_body_of_exactly_the_limit_is_read_after_the_login(self) -> None:
        client = self.node.connect().login(1)
        client.write(sized(Command.HEARTBEAT, 100_000))
        assert client.result() == Result.OK

    def test_a_body_over_the_limit_closes_after_the_login(self) -> None:
        client = self.node.connect().login(1)
        client.write(sized(Command.HEARTBEAT, 100_001)[:HEADER_SIZE])
        assert client.is_aborted
        assert self.node.gateway.counters.malformed == 1

    def test_after_a_logout_the_small_limit_holds_again(self) -> None:
        client = self.node.connect().login(1)
        client.ask(Command.USER_LOGOUT, UserLogout())
        client.write(sized(Command.HEARTBEAT, MAX_BODY_BEFORE_LOGIN + 1))
        assert client.is_aborted

    def test_inflating_stops_at_the_limit(self) -> None:
        client = self.node.connect().login(1)
        client.write(encode(SEND, 2, zlib.compress(sized(SEND, 100_000)[HEADER_SIZE:]), DEFLATE))
        assert client.result() == Result.OK
        client.write(encode(SEND, 3, zlib.compress(bytes(100_001)), DEFLATE))
        assert client.result() == Result.TOO_LARGE
        assert not client.is_closed

    def test_inflating_stops_at_the_small_limit_before_the_login(self) -> None:
        client = self.node.connect()
        bomb = zlib.compress(UserLogin(uid=1, token="t" * 5000).SerializeToString())
        client.write(encode(Command.USER_LOGIN, 2, bomb, DEFLATE))
        assert client.result() == Result.TOO_LARGE
        assert not client.is_closed

    def test_what_is_no_zlib_stream_is_a_bad_request(self) -> None:
        client = self.node.connect().login(1)
        client.write(encode(SEND, 2, b"not compressed", DEFLATE))
        assert client.result() == Result.BAD_REQUEST


class BadInput(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = Node()

    def test_what_is_not_the_protocol_closes_and_is_counted_and_harms_nobody_else(self) -> None:
        other = self.node.connect().login(2)
        streams = (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            bytes.fromhex("16030100f8010000f4030300112233ff"),
            b"\x4d\x49" + HEARTBEAT[2:],
            HEARTBEAT[:2] + b"\x02" + HEARTBEAT[3:],
            HEARTBEAT[:3] + b"\x04" + HEARTBEAT[4:],
            HEARTBEAT[:3] + b"\x80" + HEARTBEAT[4:],
            HEARTBEAT[:12] + b"\xff\xff\xff\xff",
        )
        for number, stream in enumerate(streams, 1):
            client = self.node.connect().login(1)
            client.write(stream)
            assert client.is_aborted
            assert client.received() == []
            assert self.node.gateway.counters.malformed == number
            client.leave()
        assert other.heartbeat().result == Result.OK

    def test_nothing_after_the_bad_header_is_looked_at(self) -> None:
        client = self.node.connect().login(1)
        client.write(HEARTBEAT + b"GET / HTTP/1.1\r\n\r\n")
        client.write(HEARTBEAT)
        assert client.received() == []

    def test_bad_input_is_no_news_for_the_log(self) -> None:
        client = self.node.connect()
        with capturedLogs() as events:
            client.write(b"GET / HTTP/1.1\r\n\r\n")
        assert all(event["log_level"] <= LogLevel.debug for event in events)

    def test_a_body_that_does_not_parse_is_refused_and_the_connection_lives(self) -> None:
        client = self.node.connect().login(1)
        client.write(encode(SEND, 7, b"\xff\xff\xff"))
        assert client.result() == Result.BAD_REQUEST
        assert client.heartbeat().result == Result.OK

    def test_text_that_is_not_utf8_is_refused(self) -> None:
        client = self.node.connect().login(1)
        client.write(encode(SEND, 7, ImMsg(msg_body="abc").SerializeToString().replace(b"abc", b"a\xffc")))
        assert client.result() == Result.BAD_REQUEST

    def test_an_unknown_command_is_refused_and_the_connection_lives(self) -> None:
        client = self.node.connect().login(1)
        answer = client.ask(0x7FFF, Heartbeat())
        assert (answer.result, answer.flags) == (Result.UNKNOWN_COMMAND, ACK)
        assert Error.FromString(answer.body).code == Result.UNKNOWN_COMMAND
        assert client.heartbeat().result == Result.OK

    def test_a_client_that_sends_byte_by_byte_is_understood(self) -> None:
        client = self.node.connect()
        login = encode(Command.USER_LOGIN, 1, UserLogin(uid=1).SerializeToString())
        for byte in login + encode(SEND, 2, ImMsg(msg_id="x").SerializeToString()) + HEARTBEAT:
            client.write(bytes([byte]))
        assert [(packet.command, packet.result) for packet in client.received()] == [
            (Command.USER_LOGIN, Result.OK),
            (SEND, Result.OK),
            (Command.HEARTBEAT, Result.OK),
        ]

    def test_a_client_that_leaves_in_the_middle_of_a_packet_leaves_nothing_behind(self) -> None:
        client = self.node.connect().login(1)
        client.write(HEARTBEAT[:9])
        client.leave()
        assert self.node.gateway.connections() == []
        assert self.node.sessions.online() == []

    @settings(max_examples=50)
    @given(st.binary(max_size=200))
    def test_no_bytes_raise(self, data: bytes) -> None:
        client = Node().connect().login(1)
        client.write(data)
        client.write(data)
        if not client.is_closed:
            client.received()


class Answers(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = Node()
        self.client = self.node.connect().login(1)

    def test_an_answer_repeats_the_command_and_the_trace_id(self) -> None:
        self.client.write(encode(SEND, 0xFFFFFFFF, ImMsg(msg_id="m").SerializeToString()))
        (answer,) = self.client.received()
        assert answer == Packet(SEND, ACK, Result.OK, 0xFFFFFFFF, ImMsgAck(msg_id="m").SerializeToString())

    def test_the_answers_to_one_read_are_one_write(self) -> None:
        transport = counted(self.client)
        self.client.write(HEARTBEAT * 20 + encode(0x7FFF, 1))
        assert transport.writes == 1
        assert len(self.client.received()) == 21

    def test_pushes_of_one_turn_are_one_write_a_connection(self) -> None:
        transport = counted(self.client)
        self.node.sessions.hold()
        for seq_id in range(1, 11):
            self.node.push(seq_id, 1)
        assert transport.writes == 0
        self.node.sessions.flush()
        assert transport.writes == 1
        assert len(self.client.received()) == 10

    def test_outside_of_a_turn_a_packet_is_written_at_once(self) -> None:
        self.node.push(1, 1)
        assert len(self.client.received()) == 1

    def test_a_request_is_answered_uncompressed_until_the_client_has_sent_deflate(self) -> None:
        text = "much ado about nothing " * 100
        self.node.push(1, 1, text=text)
        (plain,) = self.client.received()
        assert not plain.flags & DEFLATE
        body = zlib.compress(ImMsg(msg_id=text).SerializeToString())
        self.client.write(encode(SEND, 9, body, DEFLATE))
        self.node.push(2, 1, text=text)
        answer, push = self.client.received()
        assert (answer.flags, push.flags) == (ACK | DEFLATE, DEFLATE)
        assert ImMsgAck.FromString(inflate(answer.body, 10_000)).msg_id == text
        assert ImMsg.FromString(inflate(push.body, 10_000)).msg_body == text

    def test_a_push_is_compressed_only_for_those_who_know_it(self) -> None:
        other = self.node.connect().login(2)
        self.client.write(encode(Command.HEARTBEAT, 1, zlib.compress(b""), DEFLATE))
        self.client.received()
        push = self.node.push(1, 1, 2, text="x" * 5000)
        assert [packet.flags for packet in self.client.received()] == [DEFLATE]
        (packet,) = other.received()
        assert packet == Packet(SEND, 0, 0, push.trace_id, push.body)


class Rates(SynchronousTestCase):
    def test_past_the_bucket_requests_are_rate_limited_until_it_has_filled(self) -> None:
        node = Node(packets_per_second=10.0)
        client = node.connect()
        client.login(1)
        results = [client.heartbeat().result for _ in range(21)]
        assert results == [Result.OK] * 19 + [Result.RATE_LIMITED] * 2
        assert node.gateway.counters.rate_limited == 2
        node.clock.advance(0.5)
        assert [client.heartbeat().result for _ in range(6)] == [Result.OK] * 5 + [Result.RATE_LIMITED]

    def test_past_the_bytes_requests_are_rate_limited_until_it_has_filled(self) -> None:
        node = Node(bytes_per_second=10_000.0, max_body=80_000)
        client = node.connect().login(1)
        big = sized(Command.HEARTBEAT, 70_000)
        client.write(big)
        client.write(big)
        client.write(big)
        assert [packet.result for packet in client.received()] == [Result.OK, Result.OK, Result.RATE_LIMITED]
        node.clock.advance(7.5)
        client.write(big)
        assert client.result() == Result.OK

    def test_a_refused_request_says_what_to_do(self) -> None:
        client = Node(packets_per_second=1.0).connect()
        client.login(1)
        client.heartbeat()
        assert reason_of(client.heartbeat()) == "too fast; wait a second"

    def test_a_request_without_an_answer_gets_none_past_the_bucket_either(self) -> None:
        client = Node(packets_per_second=1.0).connect()
        client.login(1)
        client.heartbeat()
        client.send(Command.IM_MSG_ACK, MsgAck())
        assert client.received() == []

    def test_acks_are_not_charged(self) -> None:
        node = Node(packets_per_second=1.0)
        client = node.connect()
        client.login(1)
        for seq_id in range(1, 51):
            push = node.push(seq_id, 1)
            client.write(encode(SEND, push.trace_id, b"", ACK))
        assert node.acknowledged == list(range(1, 51))
        client.received()
        assert client.heartbeat().result == Result.OK

    def test_each_connection_has_a_bucket_of_its_own(self) -> None:
        node = Node(packets_per_second=1.0)
        greedy, modest = node.connect(), node.connect()
        greedy.login(1)
        assert [greedy.heartbeat().result for _ in range(3)][-1] == Result.RATE_LIMITED
        modest.login(2)
        assert modest.heartbeat().result == Result.OK

    def test_a_login_is_limited_too(self) -> None:
        client = Node(packets_per_second=1.0).connect()
        assert [client.heartbeat().result for _ in range(3)][-1] == Result.RATE_LIMITED
        assert client.ask(Command.USER_LOGIN, UserLogin(uid=1)).result == Result.RATE_LIMITED
