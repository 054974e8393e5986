"""What is no good has its answer, leaves no traceback, and harms nobody else.

Around each test two bystanders chat on the same two connections.
"""

import ssl
import struct
import time
import zlib

import pytest

from imd.wire.bodies import (
    GetGroupById,
    GroupCreate,
    GroupInvite,
    GroupJoin,
    GroupMembers,
    GroupQuit,
    ImMsg,
    ImMsgAck,
    KickUser,
    ListGroup,
    MsgAck,
    PullMsg,
    UserData,
    UserLogin,
)
from imd.wire.commands import BODIES, Command
from imd.wire.packet import ACK, DEFLATE, MAX_BODY, MAX_BODY_BEFORE_LOGIN, MAX_MESSAGE, encode
from imd.wire.results import Result
from imd.wire.single import single_group_id

from .bystanders import Bystanders
from .conftest import NewUid, StartDaemon
from .daemon import Daemon
from .device import message, new_id
from .peer import Peer

MAX_UID = 2**63 - 1
HEARTBEAT = encode(Command.HEARTBEAT, 1)


pytestmark = pytest.mark.usefixtures("nobody_else_is_harmed")


def client_hello() -> bytes:
    """Return the first bytes of a TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


# The packet: what closes the connection.


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", id="HTTP"),
        pytest.param(client_hello(), id="TLS"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="SSH"),
        pytest.param(b"\0" * 16, id="zeros"),
        pytest.param(b"MI" + HEARTBEAT[2:], id="wrong magic"),
        pytest.param(HEARTBEAT[:2] + b"\x02" + HEARTBEAT[3:], id="wrong version"),
        pytest.param(HEARTBEAT[:3] + b"\x04" + HEARTBEAT[4:], id="reserved bit"),
        pytest.param(HEARTBEAT[:3] + b"\x80" + HEARTBEAT[4:], id="highest reserved bit"),
        pytest.param(HEARTBEAT[:12] + struct.pack(">I", MAX_BODY_BEFORE_LOGIN + 1), id="too long a body"),
        pytest.param(HEARTBEAT[:12] + b"\xff" * 4, id="the longest body"),
    ],
)
def test_bytes_that_are_no_packet_close_the_connection_at_once(stranger: Peer, sent: bytes) -> None:
    stranger.socket.sendall(sent)
    assert stranger.await_close() == b""


def test_a_body_of_one_byte_over_the_limit_closes_a_session(user: Peer) -> None:
    user.socket.sendall(HEARTBEAT[:12] + struct.pack(">I", MAX_BODY + 1))
    assert user.await_close() == b""


def test_a_bad_packet_closes_a_session_too(user: Peer) -> None:
    user.socket.sendall(b"\0" * 16)
    assert user.await_close() == b""


def test_what_was_asked_before_the_bad_packet_is_answered(user: Peer) -> None:
    assert user.result(Command.HEARTBEAT) == Result.OK
    user.socket.sendall(b"\0" * 16)
    assert user.await_close() == b""


# Bodies of exactly the limit.


def test_a_body_of_exactly_4_kib_before_login_is_answered(stranger: Peer, new_uid: NewUid) -> None:
    login = stranger.login_body(new_uid())
    login.device_id = "d" * (MAX_BODY_BEFORE_LOGIN - login.ByteSize() - 3)
    assert login.ByteSize() == MAX_BODY_BEFORE_LOGIN
    assert stranger.result(Command.USER_LOGIN, login) == Result.OK


def test_a_body_of_exactly_1_mib_after_login_is_answered(user: Peer) -> None:
    assert user.result(Command.HEARTBEAT, b"\x12\x00" * (MAX_BODY // 2)) == Result.OK


def test_after_a_logout_the_small_limit_holds_again(user: Peer) -> None:
    assert user.result(Command.USER_LOGOUT) == Result.OK
    user.socket.sendall(HEARTBEAT[:12] + struct.pack(">I", MAX_BODY_BEFORE_LOGIN + 1))
    assert user.await_close() == b""


def test_a_message_has_at_most_68_kib(user: Peer, new_uid: NewUid) -> None:
    largest = message("", to=new_uid())
    largest.msg_body = "x" * (MAX_MESSAGE - largest.ByteSize() - 4)
    largest.extra = "x" * (MAX_MESSAGE - largest.ByteSize() - 2)
    assert largest.ByteSize() == MAX_MESSAGE
    assert user.result(Command.IM_SEND_MSG, largest) == Result.OK
    largest.extra += "x"
    largest.msg_id = new_id()
    assert user.result(Command.IM_SEND_MSG, largest) == Result.TOO_LARGE


# Senders that take their time.


def test_a_sender_of_one_byte_at_a_time_is_understood(stranger: Peer, bystanders: Bystanders, new_uid: NewUid) -> None:
    uid, to = new_uid(), new_uid()
    login = encode(Command.USER_LOGIN, 901, stranger.login_body(uid).SerializeToString())
    for byte in login:
        stranger.socket.sendall(bytes([byte]))
    assert stranger.answer(901).result == 0
    for n, byte in enumerate(encode(Command.IM_SEND_MSG, 902, message("slowly", to=to).SerializeToString())):
        stranger.socket.sendall(bytes([byte]))
        if n % 16 == 0:
            bystanders.chat()
    assert ImMsgAck.FromString(stranger.answer(902).body).seq_id == 1


def test_a_connection_that_never_logs_in_is_cut_at_the_deadline(start_daemon: StartDaemon) -> None:
    daemon = start_daemon(IMD_GATEWAY_LOGIN_SECONDS=0.5)
    with Peer(daemon) as silent, Peer(daemon) as half, Peer(daemon) as busy:
        begun = time.monotonic()
        half.socket.sendall(HEARTBEAT[:7])
        assert busy.result(Command.HEARTBEAT) == Result.NOT_LOGGED_IN
        assert silent.await_close() == half.await_close() == busy.await_close() == b""
        assert 0.4 < time.monotonic() - begun < 5


def test_a_session_that_stops_in_the_middle_of_a_packet_is_cut_when_idle(
    start_daemon: StartDaemon, new_uid: NewUid
) -> None:
    daemon = start_daemon(IMD_GATEWAY_HEARTBEAT_SECONDS=0.2, IMD_GATEWAY_IDLE_SECONDS=0.5)
    with Peer(daemon) as half:
        half.login(new_uid())
        half.socket.sendall(encode(Command.IM_SEND_MSG, 9, b"x" * 100)[:50])
        assert half.await_close() == b""


# Bodies that are not what the command asks for: an answer, and the connection lives.


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\xff\xff\xff\xff", id="no protobuf"),
        pytest.param(b"\x1a\x05hi", id="a field longer than the body"),
        pytest.param(b"\x1a\x02\xc3\x28", id="invalid UTF-8"),
        pytest.param(b"\x1a\x03\xed\xa0\x80", id="a surrogate"),
    ],
)
def test_a_body_that_does_not_parse_is_a_bad_request(user: Peer, body: bytes) -> None:
    assert user.result(Command.IM_SEND_MSG, body) == Result.BAD_REQUEST
    assert user.result(Command.HEARTBEAT) == Result.OK


@pytest.mark.parametrize("command", [0, 0x0005, 0x0100, 0x0301, 0x0411, 0x0999, 0xFFFF])
def test_an_unknown_command_is_answered_so(user: Peer, command: int) -> None:
    assert user.result(command) == Result.UNKNOWN_COMMAND
    assert user.result(Command.HEARTBEAT) == Result.OK


def test_a_body_that_inflates_past_the_limit_is_too_large(user: Peer) -> None:
    bomb = zlib.compress(b"\x12\x00" * MAX_BODY)
    assert user.result(Command.HEARTBEAT, bomb, DEFLATE) == Result.TOO_LARGE
    assert user.result(Command.HEARTBEAT, zlib.compress(b""), DEFLATE) == Result.OK


@pytest.mark.parametrize("body", [b"", b"no zlib", zlib.compress(b"\x12\x00" * 50)[:-2], zlib.compress(b"") + b"more"])
def test_a_body_that_is_not_one_zlib_stream_is_a_bad_request(user: Peer, body: bytes) -> None:
    assert user.result(Command.HEARTBEAT, body, DEFLATE) == Result.BAD_REQUEST
    assert user.result(Command.HEARTBEAT) == Result.OK


def test_acks_of_nothing_are_ignored(user: Peer) -> None:
    for command in (Command.IM_SEND_MSG, Command.HEARTBEAT, 0x0999):
        user.send(command, b"\xff", ACK)
    assert user.result(Command.HEARTBEAT) == Result.OK


@pytest.mark.parametrize("command", [command for command in Command if command != Command.USER_LOGIN])
def test_before_login_nothing_is_answered_but_a_login(stranger: Peer, command: Command) -> None:
    if BODIES[command].request is not None and BODIES[command].answer is None:
        stranger.send(command)
        command = Command.HEARTBEAT
    assert stranger.result(command) in (Result.NOT_LOGGED_IN, Result.UNKNOWN_COMMAND)


# Values that are out of range.


@pytest.mark.parametrize("uid", [0, -1, -(2**63)])
def test_a_uid_below_1_is_a_bad_request(daemon: Daemon, stranger: Peer, new_uid: NewUid, uid: int) -> None:
    assert stranger.result(Command.USER_LOGIN, stranger.login_body(uid)) == Result.BAD_REQUEST
    stranger.login(new_uid())
    group = created(stranger)
    for command, body in [
        (Command.IM_SEND_MSG, message("to nobody", to=uid)),
        (Command.GROUP_CREATE, GroupCreate(group_name="g", member_ids=[uid])),
        (Command.GROUP_INVITE, GroupInvite(group_id=group, member_ids=[uid])),
    ]:
        assert stranger.result(command, body) == Result.BAD_REQUEST, command
    assert stranger.result(Command.USER_KICK, KickUser(uid=uid)) == Result.FORBIDDEN


def test_the_largest_uid_is_a_user_like_any_other(daemon: Daemon, stranger: Peer, new_uid: NewUid) -> None:
    uid = new_uid()
    with Peer(daemon) as largest:
        largest.login(MAX_UID)
        stranger.login(uid)
        assert stranger.result(Command.IM_SEND_MSG, message("hello up there", to=MAX_UID)) == Result.OK
        heard = largest.hear()
        assert (heard.group_id, heard.receiver_id) == (f"{uid}_{MAX_UID}", MAX_UID)
        assert largest.result(Command.IM_SEND_MSG, message("hello down there", group=heard.group_id)) == Result.OK
        assert stranger.hear().sender_id == MAX_UID


@pytest.mark.parametrize("client_type", [-1, 1001, 2**31 - 1])
def test_a_client_type_out_of_range_is_a_bad_request(stranger: Peer, new_uid: NewUid, client_type: int) -> None:
    login = stranger.login_body(new_uid(), client_type)
    assert stranger.result(Command.USER_LOGIN, login) == Result.BAD_REQUEST


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é.é.é", "." * 1000, "x" * 4000])
def test_what_is_no_token_is_refused(stranger: Peer, new_uid: NewUid, token: str) -> None:
    login = UserLogin(uid=new_uid(), token=token)
    expected = Result.AUTH_FAILED if token else Result.BAD_REQUEST
    assert stranger.result(Command.USER_LOGIN, login) == expected


def test_a_second_login_on_a_session_is_a_conflict(user: Peer, new_uid: NewUid) -> None:
    assert user.result(Command.USER_LOGIN, user.login_body(new_uid())) == Result.CONFLICT


@pytest.mark.parametrize("size", [0, 1, 64 * 1024])
def test_a_text_of_any_length_arrives_whole(daemon: Daemon, user: Peer, new_uid: NewUid, size: int) -> None:
    uid = new_uid()
    with Peer(daemon) as peer:
        peer.login(uid)
        assert user.result(Command.IM_SEND_MSG, message("x" * size, to=uid)) == Result.OK
        assert peer.hear().msg_body == "x" * size


@pytest.mark.parametrize("field", ["msg_id", "msg_body", "sender_name", "sender_remark", "extra", "attach_url"])
def test_a_nul_in_a_text_is_a_bad_request(user: Peer, new_uid: NewUid, field: str) -> None:
    bad = message("x", to=new_uid())
    setattr(bad, field, "a\0b")
    assert user.result(Command.IM_SEND_MSG, bad) == Result.BAD_REQUEST


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (ImMsg(msg_id="", msg_type=1), Result.BAD_REQUEST),
        (ImMsg(msg_id="x" * 65, msg_type=1), Result.BAD_REQUEST),
        (ImMsg(msg_id="1", msg_type=0), Result.BAD_REQUEST),
        (ImMsg(msg_id="1", msg_type=-1), Result.BAD_REQUEST),
        (ImMsg(msg_id="1", msg_type=100), Result.FORBIDDEN),
        (ImMsg(msg_id="1", msg_type=1, group_type=3), Result.FORBIDDEN),
        (ImMsg(msg_id="1", msg_type=1, group_id="system"), Result.FORBIDDEN),
        (ImMsg(msg_id="1", msg_type=1, group_type=2, group_id="1_2"), Result.FORBIDDEN),
    ],
)
def test_a_message_that_may_not_be_is_refused(user: Peer, wrong: ImMsg, expected: Result) -> None:
    wrong.receiver_id = 1
    assert user.result(Command.IM_SEND_MSG, wrong) == expected


# Groups that are not theirs.


def created(peer: Peer) -> str:
    """Make a group and return its id."""
    answer = peer.ask(Command.GROUP_CREATE, GroupCreate(group_name="g"))
    return str(UserData.FromString(answer.body).groups[0].group_id)


def group_requests(group_id: str) -> list[tuple[Command, GroupInvite | GroupJoin | GroupQuit | GroupMembers]]:
    return [
        (Command.GROUP_INVITE, GroupInvite(group_id=group_id, member_ids=[7])),
        (Command.GROUP_JOIN, GroupJoin(group_id=group_id)),
        (Command.GROUP_QUIT, GroupQuit(group_id=group_id)),
        (Command.GROUP_MEMBERS, GroupMembers(group_id=group_id)),
    ]


def test_a_strangers_group_stays_closed(daemon: Daemon, user: Peer, new_uid: NewUid) -> None:
    with Peer(daemon) as owner:
        owner.login(new_uid())
        theirs = created(owner)
        for group_id in (theirs, "gnone", "no such group"):
            requests = [
                *group_requests(group_id),
                (Command.IM_SEND_MSG, message("let me in", group=group_id)),
                (Command.IM_OFFLINE_MSG, PullMsg(group_id=group_id)),
            ]
            for command, body in requests:
                assert user.result(command, body) == Result.NOT_IN_GROUP, command
            known = user.ask(Command.GROUP_BY_ID, GetGroupById(group_ids=[group_id]))
            assert not UserData.FromString(known.body).groups
            user.send(Command.IM_MSG_ACK, MsgAck(acks=[ImMsgAck(group_id=group_id, seq_id=9)]).SerializeToString())
        assert [each.seq_id for each in history(owner, theirs)] == [1]


def history(peer: Peer, group_id: str) -> list[ImMsg]:
    """Pull a conversation."""
    return list(UserData.FromString(peer.ask(Command.IM_OFFLINE_MSG, PullMsg(group_id=group_id)).body).messages)


def test_a_strangers_single_chat_is_forbidden(user: Peer) -> None:
    theirs = single_group_id(11, 12)
    assert user.result(Command.IM_SEND_MSG, message("psst", group=theirs)) == Result.FORBIDDEN
    assert user.result(Command.IM_OFFLINE_MSG, PullMsg(group_id=theirs)) == Result.FORBIDDEN
    known = user.ask(Command.GROUP_BY_ID, GetGroupById(group_ids=[theirs]))
    assert not UserData.FromString(known.body).groups
    for command, body in group_requests(theirs):
        assert user.result(command, body) == Result.BAD_REQUEST


@pytest.mark.parametrize(
    "group_id", ["_", "1_", "_1", "2_1", "01_2", "1_2_3", "0_1", "-1_2", f"1_{2**63}", "١_٢", "a_b"]
)
def test_what_only_looks_like_a_single_chat_is_a_bad_request(user: Peer, group_id: str) -> None:
    assert user.result(Command.IM_SEND_MSG, message("x", group=group_id)) == Result.BAD_REQUEST
    assert user.result(Command.IM_OFFLINE_MSG, PullMsg(group_id=group_id)) == Result.BAD_REQUEST


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (Command.IM_OFFLINE_MSG, PullMsg()),
        (Command.IM_OFFLINE_MSG, PullMsg(group_id="g", receive_seq_id=-1)),
        (Command.IM_OFFLINE_MSG, PullMsg(group_id="g", before_seq_id=-1)),
        (Command.IM_OFFLINE_MSG, PullMsg(group_id="g" * 65)),
        (Command.LIST_GROUP, ListGroup(cursor="nonsense")),
        (Command.LIST_GROUP, ListGroup(since=-1)),
        (Command.GROUP_BY_ID, GetGroupById(group_ids=["g"] * 201)),
        (Command.GROUP_CREATE, GroupCreate()),
        (Command.GROUP_CREATE, GroupCreate(group_name="a\0b")),
        (Command.GROUP_CREATE, GroupCreate(group_name="g", join_policy=3)),
        (Command.GROUP_INVITE, GroupInvite(group_id="g")),
        (Command.GROUP_JOIN, GroupJoin()),
    ],
)
def test_a_request_that_makes_no_sense_is_a_bad_request(user: Peer, command: Command, body: PullMsg) -> None:
    assert user.result(command, body) == Result.BAD_REQUEST


def test_a_nul_in_an_id_finds_nothing(user: Peer) -> None:
    assert user.result(Command.IM_OFFLINE_MSG, PullMsg(group_id="g\0")) in (Result.BAD_REQUEST, Result.NOT_IN_GROUP)
    assert user.result(Command.IM_SEND_MSG, message("x", group="g\0")) in (Result.BAD_REQUEST, Result.NOT_IN_GROUP)


def test_a_group_has_limits(user: Peer) -> None:
    crowd = GroupCreate(group_name="g", member_ids=range(1_000_001, 1_000_501))
    assert user.result(Command.GROUP_CREATE, crowd) == Result.TOO_LARGE
    assert user.result(Command.GROUP_CREATE, GroupCreate(group_name="x" * 257)) == Result.TOO_LARGE


def test_acks_of_more_than_there_is_are_clamped(daemon: Daemon, user: Peer, new_uid: NewUid) -> None:
    uid = new_uid()
    sent = user.ask(Command.IM_SEND_MSG, message("one", to=uid))
    group_id = ImMsgAck.FromString(sent.body).group_id
    with Peer(daemon) as receiver:
        receiver.login(uid)
        acks = [ImMsgAck(group_id=group_id, seq_id=seq_id) for seq_id in (-1, 0, 2**63 - 1)]
        receiver.send(Command.IM_MSG_ACK, MsgAck(acks=acks).SerializeToString())
        while True:  # ACKs gather for a moment before they are stored
            groups = UserData.FromString(receiver.ask(Command.LIST_GROUP, ListGroup()).body).groups
            if groups[0].receive_seq:
                break
        assert groups[0].receive_seq == 1


def test_a_flood_is_slowed_down_and_then_served_again(start_daemon: StartDaemon, new_uid: NewUid) -> None:
    daemon = start_daemon(IMD_GATEWAY_PACKETS_PER_SECOND=100)
    with Peer(daemon) as flooder:
        flooder.login(new_uid())
        trace_ids = [flooder.send(Command.HEARTBEAT) for _ in range(500)]
        results = [flooder.answer(trace_id).result for trace_id in trace_ids]
        assert set(results) == {Result.OK, Result.RATE_LIMITED}
        while flooder.result(Command.HEARTBEAT) == Result.RATE_LIMITED:
            pass
