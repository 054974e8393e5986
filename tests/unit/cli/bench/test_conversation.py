"""After the kills: what is stored is held against what was sent, ACKed and pushed."""

from twisted.trial.unittest import SynchronousTestCase

from imd.cli.bench.conversation import Conversation
from imd.wire.bodies import ImMsg
from imd.wire.enums import MsgType


def stored(*messages: tuple[str, int, int]) -> list[ImMsg]:
    return [ImMsg(msg_id=name, sender_id=uid, seq_id=seq, msg_type=MsgType.TEXT) for name, uid, seq in messages]


class ConversationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.conversation = Conversation("pair 1_2", "1_2", (1, 2))
        for uid, msg_id, seq in ((1, "a0", 1), (2, "b0", 2), (1, "a1", 3)):
            stream = self.conversation.streams[uid]
            stream.acked(stream.sent(msg_id, 0.0), msg_id, seq)
            self.conversation.pushed(msg_id, seq)

    def test_what_agrees_is_beyond_complaint(self) -> None:
        assert self.conversation.compare(stored(("a0", 1, 1), ("b0", 2, 2), ("a1", 1, 3))) == []

    def test_control_messages_take_their_seqs_and_are_nobodys_stream(self) -> None:
        self.conversation = Conversation("the group", "g", (1,))
        stream = self.conversation.streams[1]
        stream.acked(stream.sent("a0", 0.0), "a0", 2)
        creation = ImMsg(msg_id="c", sender_id=1, seq_id=1, msg_type=MsgType.CONTROL)
        assert self.conversation.compare([creation, *stored(("a0", 1, 2))]) == []

    def test_an_acked_message_that_is_gone_is_found(self) -> None:
        breaches = self.conversation.compare(stored(("a0", 1, 1), ("b0", 2, 2)))
        assert breaches == [
            "pair 1_2, user 1: message a1 was ACKed with seq 3 and not delivered to the store",
            "pair 1_2: message a1 was pushed as seq 3 and is stored as None",
        ]

    def test_a_second_copy_is_found(self) -> None:
        breaches = self.conversation.compare(stored(("a0", 1, 1), ("b0", 2, 2), ("a1", 1, 3), ("a1", 1, 4)))
        assert "pair 1_2, user 1: 1 messages are stored twice" in breaches

    def test_a_gap_is_found(self) -> None:
        breaches = self.conversation.compare(stored(("a0", 1, 1), ("b0", 2, 2), ("a1", 1, 4)))
        assert breaches[0] == "pair 1_2: seq 4 is stored where 3 was expected"

    def test_another_order_than_that_of_sending_is_found(self) -> None:
        breaches = self.conversation.compare(stored(("a1", 1, 1), ("b0", 2, 2), ("a0", 1, 3)))
        assert "pair 1_2, user 1: message a0 was delivered to the store after a later one" in breaches

    def test_a_message_of_a_stranger_is_found(self) -> None:
        breaches = self.conversation.compare(stored(("a0", 1, 1), ("b0", 2, 2), ("a1", 1, 3), ("x", 9, 4)))
        assert breaches == ["pair 1_2: message x is from 9, who is no member"]

    def test_two_pushes_that_disagree_are_found(self) -> None:
        self.conversation.pushed("a1", 7)
        breaches = self.conversation.compare(stored(("a0", 1, 1), ("b0", 2, 2), ("a1", 1, 3)))
        assert breaches == ["pair 1_2: message a1 was pushed as seq 7, and before as 3"]
