"""What the chat shows."""

from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imd.cli.chat.screen import clean, elsewhere_line, group_table, member_table, message_line
from imd.wire.bodies import GroupMember, ImGroup, ImMsg

NOON = 1_763_899_200_000


def text(body: str, **fields: object) -> ImMsg:
    return ImMsg(**{"msg_type": 1, "msg_body": body, "sender_id": 3, "seq_id": 12, "send_time": NOON, **fields})


def control(body: str) -> str:
    return message_line(text(body, msg_type=100), 7, UTC).split("— ")[1]


class CleanTests(SynchronousTestCase):
    def test_escape_sequences_lose_what_makes_them_work(self) -> None:
        assert clean("\x1b[31mred\x1b]0;title\x07 \x9b2J") == "[31mred]0;title 2J"

    def test_a_message_stays_on_its_line(self) -> None:
        assert clean("a\nb\r\nc\rd\u2028e\tf") == "a ⏎ b ⏎ cde f"

    def test_the_direction_of_text_can_not_be_reversed(self) -> None:
        assert clean("\u202eabc\u2066d\u200f") == "abcd"

    def test_other_scripts_and_signs_are_kept(self) -> None:
        assert clean("你好 👩‍👩‍👧 ñ — ✓") == "你好 👩‍👩‍👧 ñ — ✓"

    @given(st.text())
    def test_whatever_came_can_be_written_as_one_line(self, body: str) -> None:
        cleaned = clean(body)
        assert not cleaned.encode().translate(None, bytes(set(range(256)) - set(range(32)) - {127}))
        assert clean(cleaned) == cleaned


class MessageTests(SynchronousTestCase):
    def test_a_message_shows_its_seq_time_sender_and_text(self) -> None:
        assert message_line(text("hi"), 7, UTC) == "  12  11-23 12:00  3: hi"

    def test_a_sender_with_a_name_is_shown_by_both(self) -> None:
        assert message_line(text("hi", sender_name="Ann"), 7, UTC).endswith("Ann (3): hi")

    def test_ones_own_message_is_yours(self) -> None:
        assert message_line(text("hi"), 3, UTC).endswith("you: hi")

    def test_what_is_no_text_is_shown_by_its_kind(self) -> None:
        assert message_line(text("", msg_type=3), 7, UTC).endswith("3: [picture]")
        assert message_line(text("", msg_type=6, attach_name="a.pdf"), 7, UTC).endswith("3: [attachment a.pdf]")

    def test_what_was_taken_back_or_deleted_is_told(self) -> None:
        assert message_line(text("", msg_status=2), 7, UTC).endswith("3: (taken back)")
        assert message_line(text("", msg_status=1), 7, UTC).endswith("3: (deleted)")

    def test_a_message_from_elsewhere_says_how_to_go_there(self) -> None:
        line = elsewhere_line(text("hi", group_id="1_3"), 1)
        assert line == "[from 3 in 1_3] hi  (/open 1_3)"


class ControlTests(SynchronousTestCase):
    def test_control_messages_are_sentences(self) -> None:
        for body, sentence in {
            '{"op": "create", "by": 1, "uids": [1, 2, 7]}': "1 made the group with 2, you",
            '{"op": "create", "by": 7, "uids": [7]}': "you made the group with nobody else",
            '{"op": "invite", "by": 7, "uids": [9]}': "you invited 9",
            '{"op": "join", "by": 9, "uids": [9]}': "9 joined",
            '{"op": "quit", "by": 9, "uids": []}': "9 left",
            '{"op": "remove", "by": 1, "uids": [9], "value": ""}': "1 removed 9",
            '{"op": "revoke", "by": 3, "msg_id": "x", "seq_id": 4}': "3 took message 4 back",
            '{"op": "paint", "by": 3}': "3: paint",
        }.items():
            assert control(body) == sentence

    def test_one_that_was_cut_is_told_all_the_same(self) -> None:
        for body in ('{"op": "create", "by": 1, "uids": [1, 2', "[]", '{"op": 1}', ""):
            assert control(body) == "the group has changed"


class TableTests(SynchronousTestCase):
    def test_conversations_are_a_table(self) -> None:
        groups = [
            ImGroup(group_id="g1", group_name="Te[b]am", unread=2, last_message=text("line\nbreak")),
            ImGroup(group_id="3_7", group_type=1),
        ]
        assert group_table(groups, 7, 60) == [
            "id   name     unread  last message",
            "g1   Te[b]am  2       line ⏎ break",
            "3_7  with 3   0",
        ]

    def test_a_table_keeps_to_the_width_and_the_ids_whole(self) -> None:
        group_id = "g8d75f6c421f69232df3de382"
        lines = group_table([ImGroup(group_id=group_id, group_name="n" * 99, last_message=text("x" * 99))], 7, 60)
        assert len(lines) == 2
        assert lines[1].startswith(f"{group_id} ")
        assert max(map(len, lines)) == 60

    def test_signs_of_two_columns_keep_the_table_straight(self) -> None:
        lines = group_table(
            [ImGroup(group_id="g1", group_name="你好"), ImGroup(group_id="g2", group_name="abcd")], 7, 60
        )
        assert lines[1:] == ["g1  你好  0", "g2  abcd  0"]

    def test_members_are_a_table(self) -> None:
        members = [GroupMember(uid=1, role=1, name="Ann"), GroupMember(uid=22, role=3)]
        assert member_table(members, 60) == ["uid  role    name", "1    owner   Ann", "22   member"]
