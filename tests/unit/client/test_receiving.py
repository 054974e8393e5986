"""What is pushed: stored, then ACKed together, then shown, once and in order."""

from dataclasses import replace

from imd.wire.bodies import IssueReadSeq, IssueReceipt
from imd.wire.commands import Command
from imd.wire.enums import MsgStatus, MsgType, Status

from ..paths import new_path
from .parts import CHAT, ME, ClientTestCase


class ReceivingTests(ClientTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.server.say()
        self.start()
        self.server.wait(1)
        self.shown.clear()
        self.server.acked.clear()

    def test_a_message_is_stored_when_it_is_shown_and_acked_after(self) -> None:
        stored: list[int] = []

        def look(_: object) -> None:
            stored.extend(seq for (seq,) in self.rows("SELECT seq_id FROM x_message WHERE seq_id = 2"))

        self.client.on_message(look)
        self.server.say()
        assert self.seqs() == [2]
        assert stored == [2]
        assert self.server.acked == []
        self.server.wait(self.settings.ack_seconds)
        assert len(self.server.acked) == 1

    def test_the_acks_of_a_burst_are_one_for_each_conversation(self) -> None:
        first = self.server.store(CHAT, 3)
        second = self.server.store(CHAT, 3)
        other = self.server.store("7_9", 9)
        for trace_id, message in ((101, first), (102, second), (103, other)):
            self.server.push(message, trace_id)
        self.server.wait(self.settings.ack_seconds)
        assert sorted(self.server.acked) == [102, 103]

    def test_what_comes_again_is_acked_and_not_shown_again(self) -> None:
        self.server.push(self.server.groups[CHAT][0], 101)
        self.server.wait(self.settings.ack_seconds)
        assert (self.shown, self.server.acked) == ([], [101])

    def test_what_was_pushed_on_a_connection_that_ended_is_not_acked_on_the_next(self) -> None:
        self.server.say()
        self.come_back()
        assert self.server.acked == []
        assert self.seqs() == [2]

    def test_nor_what_is_stored_only_then(self) -> None:
        held = self.hold_store()
        self.server.say()
        self.come_back()
        self.release(held)
        self.server.wait(1)
        assert self.server.acked == []
        assert self.seqs() == [2]

    def test_what_comes_out_of_order_is_shown_in_order(self) -> None:
        messages = [self.server.store(CHAT, 3) for _ in range(3)]
        self.server.silent.add(Command.IM_OFFLINE_MSG)
        for message in reversed(messages):
            self.server.push(message)
        self.server.run()
        self.server.silent.clear()
        self.server.wait(20)
        assert self.seqs() == [2, 3, 4]

    def test_a_passthrough_is_handed_on_and_not_kept(self) -> None:
        passed: list[str] = []
        self.client.on_passthrough(lambda message: passed.append(message.msg_body))
        typing = self.server.store("7_9", 9, msg_type=MsgType.PASSTHROUGH, msg_body="typing")
        typing.seq_id = 0
        self.server.push(typing)
        assert (passed, self.shown) == (["typing"], [])
        assert self.rows("SELECT * FROM x_message WHERE seq_id = 0") == []

    def test_what_i_sent_on_another_device_is_shown(self) -> None:
        self.server.say(sender=ME)
        assert [(message.sender_id, message.status) for message in self.shown] == [(ME, Status.SUCCESS)]

    def test_a_revoked_message_is_emptied(self) -> None:
        body = '{"op": "revoke", "by": 3, "uids": [3], "msg_id": "3_7-1", "seq_id": 1, "value": ""}'
        self.server.say(msg_type=MsgType.CONTROL, msg_body=body, whether_non_count=1)
        assert self.seqs() == [2]
        assert self.rows("SELECT msg_body, msg_status FROM x_message WHERE seq_id = 1") == [("", MsgStatus.REVOKED)]

    def test_a_control_message_that_can_not_be_read_harms_nothing(self) -> None:
        for body in (
            "",
            "[]",
            "{}",
            '{"op": "revoke"}',
            '{"op": "revoke", "seq_id": "x"}',
            '{"op": "revoke", "seq_id": null}',
        ):
            self.server.say(msg_type=MsgType.CONTROL, msg_body=body)
        assert len(self.shown) == 6

    def test_a_callback_that_fails_harms_neither_the_others_nor_the_client(self) -> None:
        self.client.on_message(lambda _: 1 // 0)
        heard: list[object] = []
        self.client.on_message(heard.append)
        self.server.say()
        assert len(heard) == 1
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1

    def test_the_conversation_ends_with_it_and_counts_it(self) -> None:
        self.server.say(at_uids=[ME])
        conversation = self.result(self.client.conversations.find(CHAT))
        assert conversation is not None
        assert (conversation.max_seq, conversation.last_message, conversation.send_time) == (2, "text 2", 1002)
        assert (conversation.unread, conversation.at_seq) == (1, 2)

    def test_reading_elsewhere_reads_here(self) -> None:
        self.server.say()
        self.server.send(Command.ISSUE_READ_SEQ, IssueReadSeq(group_id=CHAT, read_seq=2))
        conversation = self.result(self.client.conversations.find(CHAT))
        assert conversation is not None
        assert (conversation.read_seq, conversation.unread) == (2, 0)
        assert self.rows("SELECT DISTINCT status FROM x_message") == [(Status.READ,)]

    def test_a_receipt_is_told_and_kept(self) -> None:
        receipts: list[object] = []
        self.client.on_receipt(receipts.append)
        self.server.send(Command.ISSUE_RECEIPT, IssueReceipt(group_id=CHAT, uid=3, receive_seq=1, read_seq=1))
        assert receipts == [(CHAT, 3, 1, 1)]
        conversation = self.result(self.client.conversations.find(CHAT))
        assert conversation is not None
        assert (conversation.peer_receive_seq, conversation.peer_read_seq) == (1, 1)


class BoundsTests(ClientTestCase):
    settings = replace(ClientTestCase.settings, max_unstored=10, max_in_memory=100)

    def test_a_store_in_memory_holds_no_more_than_so_many(self) -> None:
        self.start()
        self.server.say(number=5_000)
        self.server.run()
        assert self.seqs() == list(range(1, 5_001))
        assert self.rows("SELECT count(*) <= 1100 FROM x_message") == [(1,)]
        assert self.seqs(self.result(self.client.history(CHAT, before=101, limit=100))) == list(range(1, 101))

    def test_one_in_a_file_holds_all(self) -> None:
        self.client = self.make(new_path(self))
        self.start()
        self.server.say(number=2_500)
        self.server.run()
        assert self.rows("SELECT count(*) FROM x_message") == [(2_500,)]

    def test_what_the_store_can_not_take_now_is_fetched_later(self) -> None:
        self.server.say()
        self.start()
        held = self.hold_store()
        self.server.say(number=30)
        assert len(held) == 10
        self.release(held)
        self.server.run()
        assert self.seqs() == list(range(1, 32))
