"""A reader marks what it sees as read, and a sender takes the receipts."""

from array import array

from twisted.trial.unittest import SynchronousTestCase

from imd.cli.bench.chat import Quota
from imd.cli.bench.ledger import Stream
from imd.cli.bench.receipts import InformedSender, Reader
from imd.cli.bench.watermarks import Watermarks
from imd.wire.bodies import ImMsg, IssueReceipt, SubmitReadSeq
from imd.wire.commands import Command
from imd.wire.packet import ACK, Decoder, Packet, encode_error
from imd.wire.results import Result

from .clients import StillLoop, push


class ReaderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.loop = StillLoop()
        self.watermarks = Watermarks("pair 7", "1_2", 2)
        self.stream = Stream("pair 7")
        for number in range(9):
            self.stream.sent(f"m{number + 1}", 0.0)
        self.reader = Reader(self.loop.as_loop(), 2, self.stream, "its receiver", array("d"), self.watermarks)

    def see(self, *seqs: int) -> None:
        self.reader.take(iter([push(seq, seq, f"m{seq}") for seq in seqs]))

    def marks(self) -> list[int]:
        return [
            SubmitReadSeq.FromString(packet.body).read_seq
            for packet in self.loop.sent(2)
            if packet.command == Command.SUBMIT_READ_SEQ
        ]

    def test_the_newest_seen_is_marked_after_all_are_acked(self) -> None:
        self.see(1, 2, 3)
        *acks, mark = self.loop.sent(2)
        assert [(packet.command, packet.flags, packet.trace_id) for packet in acks] == [
            (Command.IM_SEND_MSG, ACK, trace_id) for trace_id in (1, 2, 3)
        ]
        assert SubmitReadSeq.FromString(mark.body) == SubmitReadSeq(group_id="1_2", read_seq=3)

    def test_marks_keep_their_distance_and_the_next_takes_all_that_came(self) -> None:
        self.see(1)
        self.see(2)
        self.see(3)
        assert self.marks() == [1]
        self.loop.pass_time()
        assert self.marks() == [3]
        self.see(4)
        assert self.marks() == []

    def test_without_news_nothing_is_marked_and_the_next_is_marked_at_once(self) -> None:
        self.see(1)
        self.loop.pass_time()
        assert self.marks() == [1]
        self.see(2)
        assert self.marks() == [2]

    def test_what_comes_again_lowers_no_mark(self) -> None:
        self.see(1, 2)
        self.see(1)
        self.loop.pass_time()
        assert self.marks() == [2]
        assert self.watermarks.seen == 2

    def test_answers_to_marks_are_entered(self) -> None:
        self.see(1)
        self.reader.take(iter([Packet(Command.SUBMIT_READ_SEQ, ACK, 0, 1, b"")]))
        assert not list(self.watermarks.complaints(0))

    def test_a_refused_mark_is_entered_with_its_reason(self) -> None:
        self.see(1)
        self.reader.take(Decoder().feed(encode_error(Command.SUBMIT_READ_SEQ, 1, Result.UNAVAILABLE, "later")))
        assert list(self.watermarks.complaints(0)) == ["pair 7: the read mark 1 was refused: UNAVAILABLE (later)"]


class InformedSenderTests(SynchronousTestCase):
    def test_a_receipt_is_entered(self) -> None:
        watermarks = Watermarks("pair 7", "1_2", 2)
        loop = StillLoop().as_loop()
        sender = InformedSender(loop, 1, Stream("pair 7"), ImMsg(receiver_id=2), str, Quota(0), 0, watermarks)
        body = IssueReceipt(group_id="1_2", uid=2).SerializeToString()
        sender.take(iter([Packet(Command.ISSUE_RECEIPT, 0, 0, 5, body)]))
        assert watermarks.receipts == 1
