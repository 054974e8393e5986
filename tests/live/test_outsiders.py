"""Who is not in a group, or has no right in it, changes nothing there, whatever they ask."""

import pytest
from google.protobuf.message import Message

from imd.wire.bodies import (
    ConversationSet,
    DeleteMsg,
    GroupDismiss,
    GroupInvite,
    GroupJoin,
    GroupMembers,
    GroupMute,
    GroupQuit,
    GroupRemove,
    GroupRole,
    GroupUpdate,
    ImMsg,
    ListMsgReader,
    PullMsg,
    RevokeMsg,
    SubmitInitSeq,
    SubmitReadSeq,
    UserData,
)
from imd.wire.commands import Command
from imd.wire.enums import SYSTEM_GROUP, MsgType
from imd.wire.results import Result

from .device import message, new_id
from .scene import NOBODY, UNTIL, Scene, ask

pytestmark = pytest.mark.usefixtures("nobody_else_is_harmed", "nothing_changes")


def of_kind(msg_type: int, group_id: str) -> ImMsg:
    return ImMsg(msg_id=new_id(), msg_type=msg_type, group_id=group_id)


def group_commands(group_id: str) -> list[Message]:
    """Return one request of each group command; the scene's uids are 101 owner, 102 muted, 103 former, 104 stranger."""
    return [
        GroupUpdate(group_id=group_id, group_name="Mine"),
        GroupDismiss(group_id=group_id),
        GroupInvite(group_id=group_id, member_ids=[104]),
        GroupRemove(group_id=group_id, member_ids=[102]),
        GroupMute(group_id=group_id, uid=101, until=UNTIL),
        GroupMute(group_id=group_id, uid=102),
        GroupMute(group_id=group_id, until=UNTIL),
        GroupRole(group_id=group_id, uid=102, role=2),
        GroupRole(group_id=group_id, uid=104, role=1),
        GroupMembers(group_id=group_id),
    ]


def view_commands(group_id: str) -> list[Message]:
    """Return one request of each command about what one sees of a group."""
    return [
        PullMsg(group_id=group_id),
        SubmitReadSeq(group_id=group_id, read_seq=1),
        DeleteMsg(group_id=group_id, seq_ids=[1]),
        SubmitInitSeq(group_id=group_id, init_seq=1),
        ConversationSet(group_id=group_id, is_top=1),
    ]


def message_commands(group_id: str, msg_id: str) -> list[Message]:
    """Return sends, and one request of each other command about messages."""
    return [
        message("let me in", group=group_id),
        of_kind(MsgType.PASSTHROUGH, group_id),
        of_kind(MsgType.ANNOUNCEMENT, group_id),
        RevokeMsg(group_id=group_id, msg_id=msg_id),
        ListMsgReader(group_id=group_id, seq_id=2),
    ]


def test_to_a_stranger_a_group_is_as_if_it_were_not_there(scene: Scene) -> None:
    for group_id in (scene.group_id, "gnone", "no such group", "x" * 64):
        for body in (
            *group_commands(group_id),
            *view_commands(group_id),
            *message_commands(group_id, scene.msg_id),
            GroupJoin(group_id=group_id, message="please"),
            GroupQuit(group_id=group_id),
        ):
            assert ask(scene.stranger, body) == Result.NOT_IN_GROUP, body


def test_who_has_left_a_group_has_no_say_in_it(scene: Scene) -> None:
    for body in (
        *group_commands(scene.group_id),
        *message_commands(scene.group_id, scene.msg_id),
        GroupJoin(group_id=scene.group_id),
    ):
        assert ask(scene.former, body) == Result.NOT_IN_GROUP, body
    assert ask(scene.former, GroupQuit(group_id=scene.group_id)) == Result.OK


def test_who_has_left_a_group_finds_its_end_where_they_left(scene: Scene) -> None:
    pull = scene.former.ask(Command.IM_OFFLINE_MSG, PullMsg(group_id=scene.group_id))
    assert [each.seq_id for each in UserData.FromString(pull.body).messages] == [1, 2, 3]
    for seq_id in (4, 5, 2**63 - 1):
        assert ask(scene.former, DeleteMsg(group_id=scene.group_id, seq_ids=[3, seq_id])) == Result.NOT_FOUND
        beyond = scene.former.ask(Command.IM_OFFLINE_MSG, PullMsg(group_id=scene.group_id, receive_seq_id=seq_id - 1))
        assert not UserData.FromString(beyond.body).messages


def test_a_muted_member_says_nothing(scene: Scene) -> None:
    for body in (
        message("but", group=scene.group_id),
        of_kind(MsgType.PASSTHROUGH, scene.group_id),
        of_kind(MsgType.ANNOUNCEMENT, scene.group_id),
        ImMsg(msg_id=new_id(), msg_type=1, group_id=scene.group_id, at_uids=[0]),
    ):
        assert ask(scene.muted, body) == Result.MUTED, body


def test_a_plain_member_has_no_rights_over_others(scene: Scene) -> None:
    for body in (
        GroupUpdate(group_id=scene.group_id, group_name="Mine"),
        GroupDismiss(group_id=scene.group_id),
        GroupRemove(group_id=scene.group_id, member_ids=[101]),
        GroupRemove(group_id=scene.group_id, member_ids=[NOBODY]),
        GroupMute(group_id=scene.group_id, uid=101, until=UNTIL),
        GroupMute(group_id=scene.group_id, uid=102),
        GroupMute(group_id=scene.group_id, uid=NOBODY),
        GroupMute(group_id=scene.group_id, until=UNTIL),
        GroupRole(group_id=scene.group_id, uid=102, role=1),
        GroupRole(group_id=scene.group_id, uid=NOBODY, role=2),
        RevokeMsg(group_id=scene.group_id, msg_id=scene.msg_id),
        of_kind(MsgType.ANNOUNCEMENT, scene.longer),
        ImMsg(msg_id=new_id(), msg_type=1, group_id=scene.longer, at_uids=[0]),
    ):
        assert ask(scene.muted, body) == Result.FORBIDDEN, body


def test_an_owner_finds_only_members(scene: Scene) -> None:
    for uid in (NOBODY, scene.former_uid, scene.stranger_uid, 2**63 - 1):
        assert ask(scene.owner, GroupMute(group_id=scene.group_id, uid=uid, until=UNTIL)) == Result.NOT_FOUND
        assert ask(scene.owner, GroupRole(group_id=scene.group_id, uid=uid, role=2)) == Result.NOT_FOUND
        assert ask(scene.owner, GroupRemove(group_id=scene.group_id, member_ids=[uid])) == Result.OK


def test_what_is_of_another_group_is_not_found_in_this_one(scene: Scene) -> None:
    for msg_id in (*scene.longer_ids, new_id()):
        assert ask(scene.owner, RevokeMsg(group_id=scene.group_id, msg_id=msg_id)) == Result.NOT_FOUND
    assert ask(scene.owner, RevokeMsg(group_id=scene.single, msg_id=scene.msg_id)) == Result.NOT_FOUND
    for seq_id in (scene.end + 1, 9):
        assert ask(scene.owner, DeleteMsg(group_id=scene.group_id, seq_ids=[1, seq_id])) == Result.NOT_FOUND
        assert ask(scene.owner, ListMsgReader(group_id=scene.group_id, seq_id=seq_id)) == Result.NOT_FOUND


def test_the_broadcast_stream_is_no_group_to_command(scene: Scene) -> None:
    requests = [*group_commands(SYSTEM_GROUP), *message_commands(SYSTEM_GROUP, scene.msg_id)]
    requests += [GroupJoin(group_id=SYSTEM_GROUP), GroupQuit(group_id=SYSTEM_GROUP)]
    for body in requests:
        expected = Result.NOT_FOUND if isinstance(body, RevokeMsg) else Result.FORBIDDEN
        assert ask(scene.owner, body) == expected, body


def test_a_single_chat_is_no_group_to_command(scene: Scene) -> None:
    for group_id in (scene.single, "11_12", "104_104"):
        requests = [*group_commands(group_id), GroupJoin(group_id=group_id), GroupQuit(group_id=group_id)]
        for peer in (scene.owner, scene.stranger):
            for body in requests:
                assert ask(peer, body) == Result.BAD_REQUEST, body


def test_a_single_chat_of_others_is_forbidden(scene: Scene) -> None:
    for body in (*view_commands(scene.single), *message_commands(scene.single, scene.msg_id)):
        assert ask(scene.stranger, body) == Result.FORBIDDEN, body


def test_in_a_single_chat_without_a_word_there_is_nothing_to_do(scene: Scene) -> None:
    silent = f"{scene.owner_uid}_{NOBODY}"
    for body, expected in [
        (PullMsg(group_id=silent), Result.OK),
        (SubmitReadSeq(group_id=silent, read_seq=9), Result.OK),
        (SubmitInitSeq(group_id=silent, init_seq=9), Result.OK),
        (DeleteMsg(group_id=silent, seq_ids=[1]), Result.NOT_FOUND),
        (RevokeMsg(group_id=silent, msg_id=scene.msg_id), Result.NOT_FOUND),
        (ListMsgReader(group_id=silent, seq_id=1), Result.NOT_FOUND),
        (ConversationSet(group_id=silent, is_top=1), Result.NOT_FOUND),
    ]:
        assert ask(scene.owner, body) == expected, body
