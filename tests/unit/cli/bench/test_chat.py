"""The packets of the load are those of the wire."""

from twisted.trial.unittest import SynchronousTestCase

from imd.cli.bench.chat import Envelope, Quota
from imd.cli.bench.load import push_ack
from imd.wire.bodies import ImMsg
from imd.wire.commands import Command
from imd.wire.enums import MsgType
from imd.wire.packet import ACK, Decoder, encode

MSG_ID = "0192f5a0-7c00-7000-8000-000000000001"


class PacketTests(SynchronousTestCase):
    def test_an_envelope_carries_its_message_under_the_given_ids(self) -> None:
        packet = Envelope(ImMsg(msg_type=MsgType.TEXT, msg_body="你好", receiver_id=2)).packet(0x01020304, MSG_ID)
        message = ImMsg(msg_id=MSG_ID, msg_type=MsgType.TEXT, msg_body="你好", receiver_id=2)
        assert packet == encode(Command.IM_SEND_MSG, 0x01020304, message.SerializeToString())

    def test_a_push_is_acked_by_its_header_alone(self) -> None:
        (packet,) = Decoder().feed(push_ack(7))
        assert (packet.command, packet.flags, packet.result, packet.trace_id) == (Command.IM_SEND_MSG, ACK, 0, 7)
        assert packet.body == b""


class QuotaTests(SynchronousTestCase):
    def test_no_more_is_taken_than_is_left(self) -> None:
        quota = Quota(5)
        assert [quota.take(3), quota.take(3), quota.take(3)] == [3, 2, 0]

    def test_less_than_nothing_takes_nothing(self) -> None:
        quota = Quota(5)
        assert quota.take(-2) == 0
        assert quota.left == 5
