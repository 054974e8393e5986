"""Values that make no sense, in every command: an answer that says so, and nothing changes."""

import pytest
from google.protobuf.message import Message

from imd.wire.bodies import (
    Block,
    ConversationSet,
    DeleteMsg,
    GetGroupById,
    GroupCreate,
    GroupDismiss,
    GroupInvite,
    GroupJoin,
    GroupMembers,
    GroupMute,
    GroupQuit,
    GroupRemove,
    GroupRole,
    GroupUpdate,
    ImGroup,
    ImMsg,
    ImMsgAck,
    ListGroup,
    ListMsgReader,
    MsgAck,
    NoticeMsgAck,
    PresenceQuery,
    PresenceSubscribe,
    PullMsg,
    PullNotice,
    RevokeMsg,
    SubmitInitSeq,
    SubmitReadSeq,
    Unblock,
    UnreadCount,
    UserData,
)
from imd.wire.commands import BODIES, Command
from imd.wire.results import Result

from .conftest import NewUid
from .daemon import Daemon
from .device import COMMANDS, message
from .peer import Peer
from .scene import NOBODY, Scene, ask

pytestmark = pytest.mark.usefixtures("nobody_else_is_harmed", "nothing_changes")

MAX = 2**63 - 1
BAD, MISSING, LARGE = Result.BAD_REQUEST, Result.NOT_FOUND, Result.TOO_LARGE
ANSWERED = [command for command in Command if BODIES[command].answer is not None]
UNANSWERED = [Command.IM_MSG_ACK, Command.NOTICE_MSG_ACK]
OPEN = frozenset(
    {
        Command.HEARTBEAT,
        Command.USER_LOGOUT,
        Command.LIST_GROUP,
        Command.GROUP_BY_ID,
        Command.OFFLINE_NOTICE_MSG,
        Command.CLEAN_PUSH_COUNT,
        Command.UNREAD_COUNT,
        Command.LIST_BLOCKED,
        Command.PRESENCE_QUERY,
        Command.PRESENCE_SUBSCRIBE,
    }
)
"""The commands that ask for something with an empty body."""


# Seqs.


@pytest.mark.parametrize("seq_id", [-1, -MAX - 1])
def test_a_negative_seq_is_refused(scene: Scene, seq_id: int) -> None:
    for body in (
        SubmitReadSeq(group_id=scene.group_id, read_seq=seq_id),
        SubmitInitSeq(group_id=scene.group_id, init_seq=seq_id),
        DeleteMsg(group_id=scene.group_id, seq_ids=[1, seq_id]),
        PullMsg(group_id=scene.group_id, receive_seq_id=seq_id),
        PullMsg(group_id=scene.group_id, before_seq_id=seq_id),
    ):
        assert ask(scene.owner, body) == BAD, body
    assert ask(scene.owner, ListMsgReader(group_id=scene.group_id, seq_id=seq_id)) == MISSING


def test_no_message_has_the_seq_0(scene: Scene) -> None:
    assert ask(scene.owner, DeleteMsg(group_id=scene.group_id, seq_ids=[1, 0])) == BAD
    assert ask(scene.owner, ListMsgReader(group_id=scene.group_id)) == MISSING


@pytest.mark.parametrize("beyond", [1, MAX - 5])
def test_what_is_past_the_end_is_not_there(scene: Scene, beyond: int) -> None:
    seq_id = scene.end + beyond
    assert ask(scene.owner, DeleteMsg(group_id=scene.group_id, seq_ids=[1, seq_id])) == MISSING
    assert ask(scene.owner, ListMsgReader(group_id=scene.group_id, seq_id=seq_id)) == MISSING
    packet = scene.owner.ask(Command.IM_OFFLINE_MSG, PullMsg(group_id=scene.group_id, receive_seq_id=seq_id - 1))
    assert UserData.FromString(packet.body) == UserData()


def conversation(peer: Peer, group_id: str) -> ImGroup:
    packet = peer.ask(Command.GROUP_BY_ID, GetGroupById(group_ids=[group_id]))
    [group] = UserData.FromString(packet.body).groups
    assert isinstance(group, ImGroup)
    return group


def test_marks_past_the_end_stay_at_the_end_and_never_fall(daemon: Daemon, user: Peer, new_uid: NewUid) -> None:
    uid = new_uid()
    said = [user.ask(Command.IM_SEND_MSG, message(f"{n}", to=uid)) for n in range(5)]
    group_id = ImMsgAck.FromString(said[0].body).group_id
    with Peer(daemon) as reader:
        reader.login(uid)
        for read_seq, expected in [(3, 3), (2, 3), (0, 3), (6, 5), (MAX, 5), (1, 5)]:
            assert ask(reader, SubmitReadSeq(group_id=group_id, read_seq=read_seq)) == Result.OK
            assert conversation(reader, group_id).read_seq == expected
        for init_seq, expected in [(2, 2), (1, 2), (0, 2), (6, 5), (MAX, 5), (4, 5)]:
            assert ask(reader, SubmitInitSeq(group_id=group_id, init_seq=init_seq)) == Result.OK
            assert conversation(reader, group_id).init_seq == expected
        assert ask(reader, DeleteMsg(group_id=group_id, seq_ids=[1, 5])) == Result.OK  # cleared already
        assert ask(reader, DeleteMsg(group_id=group_id, seq_ids=[6])) == MISSING
    assert conversation(user, group_id).init_seq == 0


# Lists.


def test_a_list_past_its_limit_is_refused_whole(scene: Scene) -> None:
    crowd = range(NOBODY, NOBODY + 1001)
    for body, expected in [
        (DeleteMsg(group_id=scene.group_id, seq_ids=[1] * 1001), BAD),
        (GetGroupById(group_ids=[scene.group_id] * 201), BAD),
        (UnreadCount(group_ids=[scene.group_id] * 201), BAD),
        (GroupInvite(group_id=scene.group_id, member_ids=crowd), LARGE),
        (GroupRemove(group_id=scene.group_id, member_ids=crowd), LARGE),
        (GroupCreate(group_name="Crowd", member_ids=crowd), LARGE),
        (Block(uids=crowd), LARGE),
        (Unblock(uids=crowd), BAD),
        (PresenceQuery(uids=crowd[:501]), BAD),
        (PresenceSubscribe(uids=crowd[:501]), LARGE),
        (ImMsg(msg_id="1", msg_type=1, group_id=scene.group_id, at_uids=crowd[:501]), BAD),
        (ImMsg(msg_id="1", msg_type=1, group_id=scene.group_id, at_uids=[1, -1]), BAD),
    ]:
        assert ask(scene.owner, body) == expected, body


def test_what_is_not_answered_may_say_what_it_likes(scene: Scene) -> None:
    acks = [
        ImMsgAck(group_id=group_id, seq_id=MAX) for group_id in ("gnone", "11_12", "_", "a\0b", "system", "x" * 999)
    ]
    for body in (
        MsgAck(acks=acks),
        MsgAck(acks=[ImMsgAck(group_id=scene.group_id, seq_id=seq_id) for seq_id in (0, -1, -MAX - 1)]),
        MsgAck(acks=[ImMsgAck(group_id=f"g{n}", seq_id=1) for n in range(5000)]),
        NoticeMsgAck(notice_ids=["", "a\0b", "x" * 999, "unknown"]),
        NoticeMsgAck(notice_ids=[f"{n}" for n in range(5000)]),
    ):
        scene.owner.send(COMMANDS[type(body)], body.SerializeToString())
    for command in UNANSWERED:
        scene.owner.send(command, b"\xff\xff\xff\xff")
    # A mark gathers behind those ACKs, so that its answer says they were taken in.
    assert ask(scene.owner, SubmitReadSeq(group_id=scene.group_id)) == Result.OK


# Uids, roles, settings.


@pytest.mark.parametrize("uid", [0, -1, -MAX - 1])
def test_who_is_no_user_is_refused(scene: Scene, uid: int) -> None:
    for body in (
        GroupInvite(group_id=scene.group_id, member_ids=[102, uid]),
        GroupRemove(group_id=scene.group_id, member_ids=[102, uid]),
        GroupRole(group_id=scene.group_id, uid=uid, role=2),
        Block(uids=[NOBODY, uid]),
        Unblock(uids=[NOBODY, uid]),
        PresenceQuery(uids=[NOBODY, uid]),
        PresenceSubscribe(uids=[NOBODY, uid]),
    ):
        assert ask(scene.owner, body) == BAD, body


def test_what_is_no_choice_is_refused(scene: Scene) -> None:
    for number in (-(2**31), -1, 4, 2**31 - 1):
        for body in (
            GroupRole(group_id=scene.group_id, uid=102, role=number),
            GroupUpdate(group_id=scene.group_id, join_policy=number),
            ConversationSet(group_id=scene.group_id, is_shield=number),
            ConversationSet(group_id=scene.group_id, is_top=number),
        ):
            assert ask(scene.owner, body) == BAD, body
    assert ask(scene.owner, GroupRole(group_id=scene.group_id, uid=102)) == BAD
    assert ask(scene.owner, GroupRole(group_id=scene.group_id, uid=101, role=3)) == BAD
    assert ask(scene.owner, GroupMute(group_id=scene.group_id, uid=-1, until=MAX)) == BAD
    assert ask(scene.owner, GroupMute(group_id=scene.group_id, uid=102, until=-1)) == BAD


def test_the_latest_time_there_is_mutes_as_any_other(daemon: Daemon, user: Peer, new_uid: NewUid) -> None:
    uid = new_uid()
    made = user.ask(Command.GROUP_CREATE, GroupCreate(group_name="Tea", member_ids=[uid]))
    group_id = UserData.FromString(made.body).groups[0].group_id
    for muted in (uid, 0):
        assert ask(user, GroupMute(group_id=group_id, uid=muted, until=MAX)) == Result.OK
    with Peer(daemon) as member:
        member.login(uid)
        seen = conversation(member, group_id)
        assert (seen.mute_until, seen.mute_all) == (MAX, 1)
        assert ask(member, message("but", group=group_id)) == Result.MUTED


# Texts.


def test_a_nul_is_refused(scene: Scene) -> None:
    for name in ("group_name", "avatar", "announcement", "extra"):
        assert ask(scene.owner, GroupUpdate(group_id=scene.group_id, **{name: "a\0b"})) == BAD, name
    for body in (
        GroupCreate(group_name="a", avatar="\0"),
        GroupCreate(group_name="a", extra="\0"),
        GroupCreate(group_name="a", request_id="\0"),
        GroupJoin(group_id=scene.group_id, message="\0"),
        RevokeMsg(group_id=scene.group_id, msg_id="a\0b"),
        GetGroupById(group_ids=[scene.longer, f"{scene.group_id}\0"]),
        UnreadCount(group_ids=[scene.longer, f"{scene.group_id}\0"]),
    ):
        assert ask(scene.owner, body) == BAD, body


@pytest.mark.parametrize("tail", ["\0", "\0x", "\N{ZERO WIDTH SPACE}", " ", "\n", "%", "*"])
def test_an_id_that_is_nearly_a_groups_is_no_groups(scene: Scene, tail: str) -> None:
    group_id = scene.group_id + tail
    requests: list[Message] = [
        PullMsg(group_id=group_id),
        SubmitReadSeq(group_id=group_id, read_seq=1),
        SubmitInitSeq(group_id=group_id, init_seq=1),
        DeleteMsg(group_id=group_id, seq_ids=[1]),
        RevokeMsg(group_id=group_id, msg_id=scene.msg_id),
        ListMsgReader(group_id=group_id, seq_id=1),
        ConversationSet(group_id=group_id, is_top=1),
        GroupUpdate(group_id=group_id, group_name="Mine"),
        GroupDismiss(group_id=group_id),
        GroupQuit(group_id=group_id),
        GroupRemove(group_id=group_id, member_ids=[102]),
        GroupMute(group_id=group_id, uid=102),
        GroupRole(group_id=group_id, uid=102, role=2),
        GroupMembers(group_id=group_id),
        message("x", group=group_id),
    ]
    for body in requests:
        assert ask(scene.owner, body) in (BAD, Result.NOT_IN_GROUP), body


@pytest.mark.parametrize("cursor", ["x", "1", ":", "1:", "-1:a:g", f"{2**63}:1:g", "1:\0", "é", "9" * 5000])
def test_a_cursor_that_the_server_did_not_make_is_refused(scene: Scene, cursor: str) -> None:
    assert ask(scene.owner, ListGroup(cursor=cursor)) == BAD
    assert ask(scene.owner, PullNotice(cursor=cursor)) == BAD
    if cursor != "1":  # where the members after uid 1 begin
        assert ask(scene.owner, GroupMembers(group_id=scene.group_id, cursor=cursor)) == BAD


@pytest.mark.parametrize("cursor", ["1:2", "1:2:", "1:٣:g", "1:-1:g", f"1:{2**63}:g", "1:2:\0"])
def test_nor_is_a_cursor_of_other_conversations(scene: Scene, cursor: str) -> None:
    assert ask(scene.owner, ListGroup(cursor=cursor)) == BAD


# Bodies.


def test_a_body_that_does_not_parse_is_refused_by_every_command(user: Peer) -> None:
    refusals = {Command.USER_KICK: Result.FORBIDDEN}
    for command in ANSWERED:
        for garbage in (b"\xff\xff\xff\xff", b"\x0a\x05hi", b"\x0a\x02\xc3\x28\x0f", b"\x07", b"\x08"):
            assert user.result(command, garbage) == refusals.get(command, BAD), command
    assert user.result(Command.HEARTBEAT) == Result.OK


def test_an_empty_body_is_refused_where_something_has_to_be_named(daemon: Daemon, new_uid: NewUid) -> None:
    refusals = {
        Command.USER_LOGIN: Result.CONFLICT,
        Command.USER_KICK: Result.FORBIDDEN,
        Command.UPSTREAM: Result.NOT_FOUND,
    }
    for command in ANSWERED:
        with Peer(daemon) as peer:
            peer.login(new_uid())
            assert peer.result(command) == (Result.OK if command in OPEN else refusals.get(command, BAD)), command
            is_logged_in = command != Command.USER_LOGOUT
            assert peer.result(Command.HEARTBEAT) == (Result.OK if is_logged_in else Result.NOT_LOGGED_IN), command
