"""Connections: what a client does not read is held to a bound, and harms nobody else."""

from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from imd.errors import UnavailableError
from imd.wire.bodies import ImMsg
from imd.wire.commands import Command
from imd.wire.packet import encode
from imd.wire.results import KickReason, Result

from .node import SEND, Node

HEARTBEAT = encode(Command.HEARTBEAT, 1)


class Backpressure(SynchronousTestCase):
    """A plain socket, of which the system takes so many bytes until the client reads."""

    def setUp(self) -> None:
        self.node = Node(max_unsent=10_000, max_unacked=10_000)

    def test_a_client_that_does_not_read_is_dropped_with_a_line_in_the_log(self) -> None:
        client = self.node.dial(room=5000).login(1)
        with capturedLogs() as events:
            for seq_id in range(1, 40):
                self.node.push(seq_id, 1, text="x" * 500)
        assert client.is_aborted
        assert self.node.gateway.counters.slow == 1
        (event,) = [event for event in events if event["log_level"] >= LogLevel.warn]
        assert event["host"] == "127.0.0.1"
        assert "uid 1 does not read" in event["why"]

    def test_what_waits_for_it_is_bounded(self) -> None:
        client = self.node.dial(room=0)
        client.transport.room = 1000
        client.login(1)
        client.received()
        client.transport.room = 0
        seq_id = 0
        while not client.is_aborted:
            seq_id += 1
            self.node.push(seq_id, 1, text="x" * 450)
        assert 10_000 / 500 <= seq_id <= 10_000 / 450 + 2

    def test_others_are_not_harmed(self) -> None:
        deaf, well = self.node.dial(room=5000).login(1), self.node.connect().login(2)
        for seq_id in range(1, 100):
            self.node.push(seq_id, 1, 2, text="x" * 500)
        assert deaf.is_aborted
        assert len(well.received()) == 99
        assert well.heartbeat().result == Result.OK

    def test_a_client_that_reads_late_gets_everything_in_order(self) -> None:
        client = self.node.dial(room=700).login(1)
        client.received()
        for seq_id in range(1, 19):
            self.node.push(seq_id, 1, text="x" * 450)
        assert [ImMsg.FromString(packet.body).seq_id for packet in client.received()] == list(range(1, 19))
        assert client.heartbeat().result == Result.OK

    def test_room_that_a_read_makes_counts(self) -> None:
        client = self.node.dial(room=700).login(1)
        for start in range(0, 200, 10):
            for seq_id in range(start, start + 10):
                self.node.push(seq_id, 1, text="x" * 450)
            client.received()
        assert not client.is_closed

    def test_a_burst_of_one_turn_does_not_drop_a_client_that_reads(self) -> None:
        client = self.node.dial(room=1_000_000).login(1)
        client.received()
        self.node.sessions.hold()
        for seq_id in range(1, 101):
            self.node.push(seq_id, 1, text="x" * 1000)
        self.node.sessions.flush()
        assert len(client.received()) == 100
        assert not client.is_closed

    def test_a_burst_behind_tls_does_not_drop_a_client_that_reads(self) -> None:
        client = self.node.connect().login(1)
        self.node.sessions.hold()
        for seq_id in range(1, 101):
            self.node.push(seq_id, 1, text="x" * 1000)
        self.node.sessions.flush()
        assert len(client.received()) == 100

    def test_a_large_write_goes_out_as_far_as_the_system_takes_it(self) -> None:
        client = self.node.dial(room=400_000).login(1)
        client.received()
        client.transport.writes = 0
        self.node.push(1, 1, text="x" * 300_000)
        assert client.transport.writes == 3
        assert len(client.received()) == 1

    def test_behind_tls_what_waits_is_bounded_too(self) -> None:
        client = self.node.connect().login(1)
        client.connection.pauseProducing()
        for seq_id in range(1, 30):
            self.node.push(seq_id, 1, text="x" * 500)
        assert client.is_aborted

    def test_behind_tls_what_waited_goes_out_when_the_transport_takes_more(self) -> None:
        client = self.node.connect().login(1)
        client.connection.pauseProducing()
        for seq_id in range(1, 11):
            self.node.push(seq_id, 1, text="x" * 500)
        assert client.received() == []
        client.connection.resumeProducing()
        assert len(client.received()) == 10

    def test_a_wrapped_socket_is_never_written_to_directly(self) -> None:
        # BufferingTLSTransport hands out every method of the socket below it.
        client = self.node.connect()
        wrapped = StringTransport()
        in_the_clear: list[bytes] = []
        wrapped.writeSomeData = in_the_clear.append  # type: ignore[attr-defined]
        client.connection.makeConnection(wrapped)
        client.write(HEARTBEAT)
        assert in_the_clear == []
        assert wrapped.value()

    def test_a_client_that_leaves_without_an_ack_of_too_many_pushes_is_dropped(self) -> None:
        node = Node(max_unacked=10)
        client = node.connect().login(1)
        with capturedLogs() as events:
            for seq_id in range(1, 31):
                node.push(seq_id, 1)
        assert client.is_aborted
        assert [event["why"] for event in events if event["log_level"] >= LogLevel.warn] == [
            "uid 1 left 10 pushes without an ACK"
        ]

    def test_a_socket_that_breaks_ends_its_connection_alone(self) -> None:
        broken, well = self.node.dial(room=5000).login(1), self.node.dial(room=5000).login(2)
        broken.transport.is_broken = True
        self.node.push(1, 1, 2)
        assert broken.is_aborted
        assert [packet.command for packet in well.received()][-1] == SEND

    def test_a_closing_connection_still_gets_what_was_queued(self) -> None:
        client = self.node.dial(room=100).login(1)
        self.node.push(1, 1, text="x" * 500)
        self.node.push(2, 1, text="x" * 500)
        client.session.kick(KickReason.ADMIN, "bye")
        assert [packet.command for packet in client.received()][-3:] == [SEND, SEND, Command.USER_KICK]

    def test_nothing_is_sent_and_nothing_read_after_the_close(self) -> None:
        client = self.node.connect().login(1)
        client.session.kick(KickReason.ADMIN, "bye")
        client.received()
        client.session.refuse(SEND, 1, UnavailableError("late"))
        client.write(HEARTBEAT)
        assert client.received() == []

    def test_the_rest_of_a_read_is_not_looked_at_after_the_close(self) -> None:
        node = Node(max_unsent=0)
        client = node.dial(room=1000).login(1)
        client.received()
        client.transport.room = 0
        pulled = encode(Command.IM_MSG_ACK, 2)
        client.write(HEARTBEAT + pulled + HEARTBEAT + pulled)
        assert client.is_aborted
        assert len(node.pulled) == 1
