"""The account of every message finds each way in which one can go wrong."""

from twisted.trial.unittest import SynchronousTestCase

from imd.cli.bench.ledger import Delivery, Stream, gaps

IDS = ["m0", "m1", "m2", "m3"]


def sent() -> Stream:
    stream = Stream("pair 7")
    for msg_id in IDS:
        stream.sent(msg_id, 0.0)
    return stream


def acked() -> Stream:
    stream = sent()
    for index, msg_id in enumerate(IDS):
        stream.acked(index, msg_id, index + 1)
    return stream


def deliver(stream: Stream, order: list[int]) -> Delivery:
    delivery = Delivery(stream, "its receiver")
    for index in order:
        delivery.delivered(IDS[index], index + 1)
    return delivery


class StreamTests(SynchronousTestCase):
    def test_what_is_acked_and_delivered_in_order_is_beyond_complaint(self) -> None:
        stream = acked()
        deliver(stream, [0, 1, 2, 3])
        assert list(stream.complaints()) == []
        assert list(gaps("pair 7", [stream], 1)) == []
        assert stream.settled()

    def test_a_push_may_come_before_the_senders_ack(self) -> None:
        stream = sent()
        deliver(stream, [0, 1, 2, 3])
        assert not stream.settled()
        for index, msg_id in enumerate(IDS):
            stream.acked(index, msg_id, index + 1)
        assert list(stream.complaints()) == []
        assert stream.settled()

    def test_a_message_without_an_ack_is_found(self) -> None:
        stream = sent()
        for index in (0, 1, 3):
            stream.acked(index, IDS[index], index + 1)
        deliver(stream, [0, 1, 2, 3])
        assert list(stream.unacked()) == [2]
        assert list(stream.complaints()) == ["pair 7: message m2 was sent and never ACKed"]

    def test_a_second_ack_is_found(self) -> None:
        stream = acked()
        stream.acked(1, "m1", 2)
        assert list(stream.complaints()) == ["pair 7: message m1 was answered twice"]

    def test_an_ack_of_another_message_than_its_trace_id_says_is_found(self) -> None:
        stream = sent()
        stream.acked(1, "m2", 2)
        stream.acked(9, "m9", 3)
        assert stream.breaches == [
            "pair 7: an ACK names message m2, which was not sent with its traceId",
            "pair 7: an ACK names message m9, which was not sent with its traceId",
        ]

    def test_a_refused_message_is_found_and_waited_for_no_longer(self) -> None:
        stream = sent()
        stream.refused(2, "RATE_LIMITED (too fast)")
        for index, seq in ((0, 1), (1, 2), (3, 3)):
            stream.acked(index, IDS[index], seq)
        delivery = Delivery(stream, "its receiver")
        for msg_id, seq in (("m0", 1), ("m1", 2), ("m3", 3)):
            delivery.delivered(msg_id, seq)
        assert stream.settled()
        assert list(stream.complaints()) == ["pair 7: message m2 was refused: RATE_LIMITED (too fast)"]

    def test_a_refusal_after_the_ack_is_found(self) -> None:
        stream = acked()
        stream.refused(2, "RATE_LIMITED (too fast)")
        assert stream.breaches == [
            "pair 7: a refusal answers traceId 2, which awaits no answer: RATE_LIMITED (too fast)"
        ]

    def test_seqs_that_do_not_follow_the_order_of_sending_are_found(self) -> None:
        stream = sent()
        for index, seq in enumerate([1, 3, 2, 4]):
            stream.acked(index, IDS[index], seq)
        assert list(stream.complaints()) == ["pair 7: message m2 was sent after m1 but got seq 2 after 3"]


class DeliveryTests(SynchronousTestCase):
    def test_a_lost_message_is_found(self) -> None:
        stream = acked()
        deliver(stream, [0, 2, 3])
        assert list(stream.complaints()) == [
            "pair 7: message m1 was ACKed with seq 2 and not delivered to its receiver"
        ]
        assert not stream.settled()

    def test_lost_last_messages_are_found(self) -> None:
        stream = acked()
        deliver(stream, [0, 1])
        assert [complaint.split()[3] for complaint in stream.complaints()] == ["m2", "m3"]

    def test_a_repeat_is_dropped_and_counted_and_no_breach(self) -> None:
        stream = acked()
        delivery = deliver(stream, [0, 1, 1, 0, 2, 3])
        assert list(stream.complaints()) == []
        assert (delivery.count, delivery.repeats) == (4, 2)

    def test_a_late_message_is_found_and_not_called_lost(self) -> None:
        stream = acked()
        delivery = deliver(stream, [0, 2, 1, 3])
        assert list(stream.complaints()) == ["pair 7: message m1 was delivered to its receiver after a later one"]
        assert (delivery.count, delivery.repeats) == (4, 0)

    def test_a_message_nobody_sent_is_found(self) -> None:
        stream = acked()
        delivery = deliver(stream, [0, 1, 2, 3])
        assert delivery.delivered("m9", 5) == -1
        assert list(stream.complaints()) == ["pair 7: message m9 was delivered to its receiver and never sent"]

    def test_a_seq_other_than_the_acked_one_is_found(self) -> None:
        stream = acked()
        delivery = deliver(stream, [0])
        delivery.delivered("m1", 20)
        assert stream.breaches == ["pair 7: message m1 was delivered to its receiver as seq 20, and before as 2"]

    def test_each_receiver_is_held_to_its_own_account(self) -> None:
        stream = acked()
        deliver(stream, [0, 1, 2, 3])
        deliver(stream, [0, 1, 2])
        assert not stream.settled()
        assert len(list(stream.complaints())) == 1


class GapTests(SynchronousTestCase):
    def streams(self, *seqs: list[int]) -> list[Stream]:
        streams = []
        for number, of_one in enumerate(seqs):
            stream = Stream(f"sender {number}")
            for seq in of_one:
                stream.acked(stream.sent(f"{number}-{seq}", 0.0), f"{number}-{seq}", seq)
            streams.append(stream)
        return streams

    def test_the_seqs_of_all_senders_together_have_no_gap(self) -> None:
        assert list(gaps("g", self.streams([2, 4], [3, 5]), 2)) == []

    def test_a_gap_is_found(self) -> None:
        assert list(gaps("g", self.streams([1, 2], [4]), 1)) == ["g: no message got seq 3, but one got 4"]

    def test_a_double_is_found(self) -> None:
        assert list(gaps("g", self.streams([1, 2], [2, 3]), 1)) == ["g: two messages got seq 2"]

    def test_a_first_seq_that_is_not_the_expected_one_is_found(self) -> None:
        assert list(gaps("g", self.streams([3, 4]), 1)) == ["g: the first message got seq 3, where 1 was expected"]
