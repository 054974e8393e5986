"""The account of receipts finds each way in which one can go wrong."""

from twisted.trial.unittest import SynchronousTestCase

from imd.cli.bench.watermarks import Watermarks
from imd.wire.bodies import IssueReceipt


def receipt(received: int, read: int, group_id: str = "1_2", uid: int = 2) -> IssueReceipt:
    return IssueReceipt(group_id=group_id, uid=uid, receive_seq=received, read_seq=read)


class WatermarksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.watermarks = Watermarks("pair 7", "1_2", 2)

    def read(self, seq: int) -> None:
        """Let the receiver see and read up to ``seq``, and be answered."""
        self.watermarks.seen = seq
        self.watermarks.answered(self.watermarks.marked())

    def complaints(self, last: int) -> list[str]:
        return list(self.watermarks.complaints(last))

    def test_rising_receipts_up_to_the_last_message_are_beyond_complaint(self) -> None:
        self.read(3)
        self.watermarks.told(receipt(2, 0))
        self.watermarks.told(receipt(3, 3))
        assert self.watermarks.settled(3)
        assert self.complaints(3) == []
        assert (self.watermarks.receipts, self.watermarks.marks) == (2, 1)

    def test_where_nothing_was_sent_there_is_nothing_to_tell(self) -> None:
        assert self.watermarks.settled(0)
        assert self.complaints(0) == []

    def test_delivery_that_falls_is_found(self) -> None:
        self.read(3)
        self.watermarks.told(receipt(3, 3))
        self.watermarks.told(receipt(2, 3))
        assert self.complaints(2) == ["pair 7: a receipt tells delivered up to 2, and one before up to 3"]

    def test_reading_that_falls_is_found(self) -> None:
        self.read(3)
        self.watermarks.told(receipt(3, 3))
        self.watermarks.told(receipt(3, 0))
        assert self.complaints(0) == ["pair 7: a receipt tells read up to 0, and one before up to 3"]

    def test_delivery_of_what_did_not_come_is_found(self) -> None:
        self.read(3)
        self.watermarks.told(receipt(4, 3))
        assert self.complaints(3) == ["pair 7: a receipt tells delivered up to 4, which is so up to 3 only"]

    def test_reading_of_what_was_not_marked_is_found(self) -> None:
        self.read(3)
        self.watermarks.seen = 4
        self.watermarks.told(receipt(4, 4))
        assert self.complaints(4) == ["pair 7: a receipt tells read up to 4, which is so up to 3 only"]

    def test_a_receipt_of_another_conversation_or_user_is_found(self) -> None:
        self.watermarks.told(receipt(0, 0, group_id="1_3"))
        self.watermarks.told(receipt(0, 0, uid=1))
        assert self.complaints(0) == [
            "pair 7: a receipt tells of 2 in 1_3, where 2 in 1_2 was expected",
            "pair 7: a receipt tells of 1 in 1_2, where 2 in 1_2 was expected",
        ]

    def test_a_sender_who_is_not_told_of_the_last_message_is_found(self) -> None:
        for received, read in ((2, 3), (3, 2)):
            self.setUp()
            self.read(3)
            self.watermarks.told(receipt(received, read))
            assert not self.watermarks.settled(3)
            assert self.complaints(3) == [
                "pair 7: the last message has seq 3, and the receipts tell of delivery up to"
                f" {received} and of reading up to {read}"
            ]

    def test_a_refused_read_mark_is_found(self) -> None:
        self.watermarks.seen = 3
        self.watermarks.answered(self.watermarks.marked(), "UNAVAILABLE (later)")
        assert self.complaints(0) == ["pair 7: the read mark 3 was refused: UNAVAILABLE (later)"]

    def test_a_read_mark_without_an_answer_is_found(self) -> None:
        self.watermarks.seen = 3
        self.watermarks.marked()
        assert not self.watermarks.settled(0)
        assert self.complaints(0) == ["pair 7: 1 read marks were not answered"]

    def test_a_second_answer_is_found(self) -> None:
        self.read(3)
        self.watermarks.answered(1)
        assert self.complaints(0) == ["pair 7: an answer names traceId 1, under which no read mark waits"]
