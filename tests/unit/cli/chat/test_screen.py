"""What the chat shows."""

from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imd.cli.chat.screen import about_line, clean, elsewhere_line, group_table, member_table, message_line
from imd.wire.bodies import GroupMember, ImGroup, ImMsg

NOON = 1_763_899_200_000


def text(body: str, **fields: object) -> ImMsg:
    return ImMsg(**{"msg_type": 1, "msg_body": body, "sender_id": 3, "seq_id": 12, "send_time": NOON, **fields})


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

    def test_a_control_message_is_a_sentence_without_a_sender(self) -> None:
        body = '{"op": "join", "by": 3, "uids": [3]}'
        assert message_line(text(body, msg_type=100), 7, UTC) == "  12  11-23 12:00  — 3 joined"
        assert elsewhere_line(text(body, msg_type=100, group_id="g1"), 7, UTC) == "[in g1] — 3 joined  (/open g1)"

    def test_a_message_from_elsewhere_says_how_to_go_there(self) -> None:
        line = elsewhere_line(text("hi", group_id="1_3"), 1, UTC)
        assert line == "[from 3 in 1_3] hi  (/open 1_3)"


class LoudTests(SynchronousTestCase):
    """What is meant for the reader, or for everybody, stands out."""

    def test_a_mention_of_me_or_of_all(self) -> None:
        assert message_line(text("hi", at_uids=[9, 7]), 7, UTC).endswith("  !! 3 to you: hi")
        assert message_line(text("hi", at_uids=[0]), 7, UTC).endswith("  !! 3 to everybody: hi")

    def test_a_mention_of_others_does_not(self) -> None:
        assert message_line(text("hi", at_uids=[9]), 7, UTC).endswith("  3: hi")

    def test_an_announcement(self) -> None:
        line = message_line(text("tea is ready", msg_type=8, sender_name="Ann"), 7, UTC)
        assert line.endswith("  !! announcement by Ann (3): tea is ready")

    def test_a_broadcast(self) -> None:
        broadcast = text("we close at 6", group_id="system", group_type=3)
        assert message_line(broadcast, 7, UTC).endswith("  !! broadcast by 3: we close at 6")
        assert elsewhere_line(broadcast, 7, UTC) == "[!! broadcast by 3] we close at 6  (/open system)"

    def test_my_own_do_not(self) -> None:
        assert message_line(text("hi", at_uids=[0]), 3, UTC).endswith("  you to everybody: hi")
        assert message_line(text("hi", msg_type=8), 3, UTC).endswith("  announcement by you: hi")

    def test_elsewhere_too(self) -> None:
        mention = text("hi", group_id="g1", at_uids=[7])
        assert elsewhere_line(mention, 7, UTC) == "[!! from 3 to you in g1] hi  (/open g1)"
        announcement = text("hi", group_id="g1", msg_type=8)
        assert elsewhere_line(announcement, 7, UTC) == "[!! announcement by 3 in g1] hi  (/open g1)"


class AboutTests(SynchronousTestCase):
    def about(self, **fields: object) -> str:
        return about_line(ImGroup(**{"group_name": "Team", "member_count": 3, **fields}), 1000, UTC)

    def test_a_group_is_told_by_its_name_and_size(self) -> None:
        assert self.about() == "Team, 3 members"
        assert self.about(member_count=1) == "Team, 1 member"

    def test_what_keeps_one_from_speaking_is_told(self) -> None:
        assert self.about(mute_all=1) == "Team, 3 members; only the owner and the admins may speak now"
        assert self.about(mute_until=61_000) == "Team, 3 members; you are muted until 01-01 00:01:01"
        assert self.about(mute_until=1000) == "Team, 3 members"

    def test_one_who_is_out_is_told_why(self) -> None:
        assert self.about(is_quit=1) == "Team, 3 members; you have left"
        assert self.about(is_quit=2) == "Team, 3 members; you were removed"
        assert self.about(is_quit=3) == "Team, 3 members; it was dismissed"


class TableTests(SynchronousTestCase):
    def test_conversations_are_a_table(self) -> None:
        groups = [
            ImGroup(group_id="g1", group_name="Te[b]am", unread=2, last_message=text("line\nbreak")),
            ImGroup(group_id="3_7", group_type=1),
            ImGroup(group_id="system", group_type=3, unread=1, at_seq=4),
        ]
        assert group_table(groups, 7, 60, UTC) == [
            "id      name        unread  last message",
            "g1      Te[b]am     2       line ⏎ break",
            "3_7     with 3      0",
            "system  broadcasts  1 @",
        ]

    def test_a_table_keeps_to_the_width_and_the_ids_whole(self) -> None:
        group_id = "g8d75f6c421f69232df3de382"
        lines = group_table([ImGroup(group_id=group_id, group_name="n" * 99, last_message=text("x" * 99))], 7, 60, UTC)
        assert len(lines) == 2
        assert lines[1].startswith(f"{group_id} ")
        assert max(map(len, lines)) == 60

    def test_signs_of_two_columns_keep_the_table_straight(self) -> None:
        lines = group_table(
            [ImGroup(group_id="g1", group_name="你好"), ImGroup(group_id="g2", group_name="abcd")], 7, 60, UTC
        )
        assert lines[1:] == ["g1  你好  0", "g2  abcd  0"]

    def test_members_are_a_table(self) -> None:
        members = [GroupMember(uid=1, role=1, name="Ann"), GroupMember(uid=22, role=3)]
        assert member_table(members, {1: [23]}, 0, 60, UTC) == [
            "uid  role    now             muted until  name",
            "1    owner   online (Linux)               Ann",
            "22   member  offline",
        ]
