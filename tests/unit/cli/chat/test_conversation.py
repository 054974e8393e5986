"""The conversation on screen: what it shows, what it tells the others, how far they are."""

from imd.cli.chat.conversation import MARK_SECONDS, READ_SECONDS
from imd.cli.chat.program import RECONNECT_SECONDS, SETTINGS
from imd.wire.bodies import (
    ImGroup,
    IssueReceipt,
    ListMsgReader,
    ListMsgReaderAck,
    SubmitReadSeq,
    UserData,
    UserLoginAck,
)
from imd.wire.commands import Command
from imd.wire.packet import ACK
from imd.wire.results import Result

from .parts import ChatTestCase, control, message

ACK_SECONDS = SETTINGS.ack_seconds


class HistoryTests(ChatTestCase):
    def test_what_i_deleted_is_not_shown_and_what_was_taken_back_is_a_placeholder(self) -> None:
        self.come_online([message(1, 0, msg_status=1, msg_body=""), message(2, msg_status=2, msg_body=""), message(3)])
        assert self.shown()[1:] == ["   2  01-01 00:00  3: (taken back)", "   3  01-01 00:00  3: text 3"]

    def test_what_comes_while_a_refused_history_is_asked_for_is_shown(self) -> None:
        self.accept()
        self.answer(Command.USER_LOGIN, UserLoginAck())
        view = ImGroup(group_id="3_7", group_type=1, max_seq=3, receive_seq=3)
        self.answer(Command.LIST_GROUP, UserData(groups=[view]))
        self.answer(Command.GROUP_BY_ID, UserData(groups=[view]))
        self.push(message(4))
        self.refuse(Command.IM_OFFLINE_MSG, Result.UNAVAILABLE, "try again")
        assert self.shown()[1:] == ["The messages can't be shown: try again.", "   4  01-01 00:00  3: text 4"]

    def test_a_revoke_is_told(self) -> None:
        self.come_online([message(12)])
        self.shown()
        self.push(control(13, '{"op": "revoke", "by": 3, "uids": [3], "msg_id": "id 12", "seq_id": 12}', 3, "3_7"))
        assert self.shown() == ["  13  01-01 00:00  — 3 took back message 12"]

    def test_a_new_announcement_of_the_group_is_shown(self) -> None:
        self.come_online()
        self.open_group()
        self.push(control(1, '{"op": "update", "by": 1, "value": "group_name announcement"}'))
        team = ImGroup(group_id="g1", announcement="No noise")
        self.answer(Command.GROUP_BY_ID, UserData(groups=[team]))
        assert self.shown() == [
            "   1  01-01 00:00  — 1 changed the name and the announcement",
            "!! Announcement: No noise",
        ]

    def test_another_change_of_the_group_is_a_line_only(self) -> None:
        self.come_online()
        self.open_group()
        self.push(control(1, '{"op": "create", "by": 1, "value": "announcement"}'))
        self.push(control(2, '{"op": "update", "by": 1, "value": "avatar"}'))
        self.reactor.advance(ACK_SECONDS)
        assert [packet.command for packet in self.asked()] == [Command.IM_SEND_MSG]  # the ACK of both


class ReadingTests(ChatTestCase):
    def read(self) -> SubmitReadSeq:
        request = self.answer(Command.SUBMIT_READ_SEQ)
        assert isinstance(request, SubmitReadSeq)
        return request

    def wait(self, seconds: float = READ_SECONDS) -> None:
        super().wait(seconds)

    def test_what_was_shown_is_told_as_read(self) -> None:
        self.come_online([message(4), message(5)])
        self.wait()
        assert self.read() == SubmitReadSeq(group_id="3_7", read_seq=5)

    def test_a_burst_is_told_once(self) -> None:
        self.come_online()
        self.push(message(1), message(2))
        self.wait(READ_SECONDS / 2)
        self.push(message(3))
        self.wait(READ_SECONDS / 2)
        assert self.read().read_seq == 3
        self.show()
        self.asked()
        self.wait(60)
        assert not self.asked()

    def test_what_i_wrote_or_had_read_is_not_told(self) -> None:
        self.come_online([message(4), message(5, 7)], group=ImGroup(group_id="3_7", read_seq=4))
        self.asked()
        self.wait()
        assert not self.asked()

    def test_what_was_told_once_is_not_told_again(self) -> None:
        self.come_online([message(4)])
        self.wait()
        self.read()
        self.lose()
        self.wait(RECONNECT_SECONDS)
        self.come_online()
        self.wait()
        assert not self.asked()

    def test_messages_of_other_conversations_are_not_read(self) -> None:
        self.come_online()
        self.push(message(1, 9, "7_9"))
        self.show(group=ImGroup(group_id="7_9", max_seq=1))
        self.wait()
        assert [packet.flags for packet in self.asked()] == [ACK]

    def test_one_that_goes_elsewhere_or_away_has_read_what_was_shown(self) -> None:
        self.come_online([message(4)])
        self.type("/open g1")
        assert self.read().read_seq == 4
        self.show([message(2, group_id="g1")])
        self.end_input()
        assert self.read() == SubmitReadSeq(group_id="g1", read_seq=2)

    def test_what_the_daemon_can_not_take_now_is_told_again(self) -> None:
        self.come_online([message(4)])
        self.wait()
        self.refuse(Command.SUBMIT_READ_SEQ, Result.RATE_LIMITED, "slowly")
        self.wait()
        assert self.read().read_seq == 4

    def test_a_refusal_is_not_shown(self) -> None:
        self.come_online([message(4)])
        self.shown()
        self.wait()
        self.refuse(Command.SUBMIT_READ_SEQ, Result.NOT_IN_GROUP, "you are out")
        self.asked()
        self.wait(60)
        assert (self.shown(), self.asked()) == ([], [])

    def test_what_was_read_while_the_daemon_was_away_is_told_after(self) -> None:
        self.come_online([message(4)])
        self.lose()
        self.wait(RECONNECT_SECONDS)
        self.come_online()
        self.wait()
        assert self.read().read_seq == 4


class PeerMarksTests(ChatTestCase):
    def hear(self, receive: int, read: int, uid: int = 3, group_id: str = "3_7") -> list[str]:
        """Let a receipt come, and return what is shown once it is time."""
        self.send(Command.ISSUE_RECEIPT, IssueReceipt(group_id=group_id, uid=uid, receive_seq=receive, read_seq=read))
        assert self.shown() == []
        self.reactor.advance(MARK_SECONDS)
        return self.shown()

    def setUp(self) -> None:
        super().setUp()
        self.come_online()
        self.shown()

    def test_delivered_and_then_read_is_told(self) -> None:
        self.write("hi", 12)
        assert self.hear(12, 0) == ["✓✓ delivered up to 12"]
        self.reactor.advance(MARK_SECONDS)
        assert self.hear(12, 12) == ["✓✓ read up to 12"]

    def test_a_line_is_enough_for_what_comes_together(self) -> None:
        for seq in (1, 2, 3):
            self.write("hi", seq)
            self.send(Command.ISSUE_RECEIPT, IssueReceipt(group_id="3_7", uid=3, receive_seq=seq, read_seq=seq - 1))
        assert self.hear(3, 3) == ["✓✓ read up to 3"]

    def test_a_new_message_is_told_of_soon_again(self) -> None:
        for seq in range(1, 9):
            self.write("hi", seq)
            assert self.hear(seq, seq) == [f"✓✓ read up to {seq}"]

    def test_what_is_no_news_is_not_told(self) -> None:
        self.write("hi", 12)
        self.hear(12, 12)
        self.wait(60)
        for receipt in ((12, 12), (10, 10), (20, 20)):
            assert self.hear(*receipt) == []
            self.wait(60)

    def test_receipts_of_other_conversations_and_my_own_are_not_told(self) -> None:
        self.write("hi", 12)
        assert self.hear(12, 12, uid=9, group_id="7_9") == []
        assert self.hear(12, 12, uid=7) == []

    def test_how_far_the_other_one_is_already_is_told_after_the_history(self) -> None:
        self.type("/open 7_9")
        view = ImGroup(group_id="7_9", group_type=1, peer_receive_seq=5, peer_read_seq=4)
        self.show([message(4, 7, "7_9"), message(5, 7, "7_9")], group=view)
        assert self.shown()[-1] == "✓✓ delivered up to 5, read up to 4"

    def test_what_was_read_while_the_daemon_was_away_is_told_after(self) -> None:
        self.write("hi", 12)
        self.lose()
        self.reactor.advance(RECONNECT_SECONDS)
        self.come_online(group=ImGroup(group_id="3_7", group_type=1, peer_receive_seq=12, peer_read_seq=12))
        assert self.shown()[-1] == "✓✓ read up to 12"

    def test_a_conversation_that_was_left_tells_no_more(self) -> None:
        self.write("hi", 12)
        self.send(Command.ISSUE_RECEIPT, IssueReceipt(group_id="3_7", uid=3, receive_seq=12))
        self.type("/open 7_9")
        self.show()
        self.shown()
        self.wait(60)
        assert self.shown() == []


class GroupMarksTests(ChatTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.come_online()
        self.open_group()
        self.write("hi", 12, "g1")

    def receipt(self, uid: int, read: int = 12) -> None:
        self.send(Command.ISSUE_RECEIPT, IssueReceipt(group_id="g1", uid=uid, receive_seq=12, read_seq=read))

    def readers(self, readers: int, members: int) -> list[str]:
        """Answer the question who has read, and return what is shown then."""
        ack = ListMsgReaderAck(readers=range(100, 100 + readers), unreaders=range(200, 200 + members - readers))
        request = self.answer(Command.LIST_MSG_READER, ack)
        assert request == ListMsgReader(group_id="g1", seq_id=12)
        return self.shown()

    def test_how_many_have_read_my_newest_message_is_told_once_they_did(self) -> None:
        for uid in (101, 102):
            self.receipt(uid)
        self.reactor.advance(MARK_SECONDS)
        assert self.readers(2, 4) == ["✓✓ 12 read by 2 of 4"]
        assert not self.asked()

    def test_before_anyone_has_read_it_is_told_how_many_have_got_it(self) -> None:
        for uid in (101, 102, 103):
            self.receipt(uid, read=0)
        self.reactor.advance(MARK_SECONDS)
        assert self.readers(0, 4) == ["✓✓ 12 delivered to 3 of 4"]

    def test_the_next_line_takes_longer_each_time(self) -> None:
        for readers, seconds in ((1, MARK_SECONDS), (2, MARK_SECONDS), (3, 2 * MARK_SECONDS), (4, 4 * MARK_SECONDS)):
            self.receipt(100 + readers)
            self.reactor.advance(seconds * 0.9)
            assert not self.asked()
            self.reactor.advance(seconds * 0.2)
            assert self.readers(readers, 4) == [
                f"✓✓ 12 read by {readers} of 4" if readers < 4 else "✓✓ 12 read by all 4"
            ]

    def test_receipts_of_older_messages_are_not_asked_about(self) -> None:
        self.send(Command.ISSUE_RECEIPT, IssueReceipt(group_id="g1", uid=3, receive_seq=11, read_seq=11))
        self.wait(60)
        assert not self.asked()

    def test_a_daemon_that_does_not_tell_is_not_complained_about(self) -> None:
        self.receipt(101)
        self.reactor.advance(MARK_SECONDS)
        self.refuse(Command.LIST_MSG_READER, Result.NOT_IN_GROUP, "you are out")
        assert self.shown() == []
