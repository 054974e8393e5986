"""The load of chat: clients that send, receivers that ACK each push, and the account of both."""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from time import monotonic

from imd.cli.bench.ledger import Delivery, Stream
from imd.cli.bench.load import Connection, Loop, Target, complaint, push_ack
from imd.cli.bench.outcome import Progress
from imd.cli.bench.server import Meter, Usage
from imd.wire.bodies import ImMsg, ImMsgAck
from imd.wire.commands import Command
from imd.wire.enums import GroupType, MsgType
from imd.wire.packet import ACK, Packet, encode

STALLED_SECONDS = 25.0
"""Longer than the server takes to push again what was not ACKed."""
_TURN_SECONDS = 0.05
_UNLIMITED = 1 << 62
_UUID_FIELD = b"\x0a\x24"
_UUID_SIZE = 36


class Envelope:
    """The packets of one conversation, whole but for the traceId and the msg_id of ``message``."""

    __slots__ = ("_before_id", "_before_trace", "_rest")

    def __init__(self, message: ImMsg) -> None:
        self._rest = message.SerializeToString()
        packet = encode(Command.IM_SEND_MSG, 0, _UUID_FIELD + bytes(_UUID_SIZE) + self._rest)
        self._before_trace = packet[:8]
        self._before_id = packet[12:18]

    def packet(self, trace_id: int, msg_id: str) -> bytes:
        """Return the packet that sends the message under ``msg_id``, a UUID of 36 characters."""
        return self._before_trace + trace_id.to_bytes(4) + self._before_id + msg_id.encode() + self._rest


@dataclass(slots=True)
class Quota:
    """How many messages may still be sent, all senders together."""

    left: int

    def take(self, wanted: int) -> int:
        """Take up to ``wanted`` messages, and return how many that were."""
        taken = max(min(wanted, self.left), 0)
        self.left -= taken
        return taken


class Sender(Connection):
    """Sends one stream of messages; with a ``window``, each ACK lets the next one go."""

    __slots__ = ("_envelope", "_new_id", "_quota", "stream", "window")

    def __init__(
        self, loop: Loop, uid: int, stream: Stream, message: ImMsg, new_id: Callable[[], str], quota: Quota, window: int
    ) -> None:
        super().__init__(loop, uid)
        self.stream = stream
        self.window = window
        self._envelope = Envelope(message)
        self._new_id = new_id
        self._quota = quota

    def post(self, wanted: int, at: float) -> None:
        """Send up to ``wanted`` messages in one write; their latency counts from ``at``."""
        new_id, sent, packet = self._new_id, self.stream.sent, self._envelope.packet
        packets = []
        for _ in range(self._quota.take(wanted)):
            msg_id = new_id()
            packets.append(packet(sent(msg_id, at), msg_id))
        if packets:
            self.send(b"".join(packets))

    def resume(self, at: float) -> None:
        """Send again, under their own msg_ids, what a lost connection left without an ACK; then fill the window."""
        stream = self.stream
        again = list(stream.unacked())
        if again:
            self.send(b"".join(self._envelope.packet(index, stream.ids[index]) for index in again))
        self.post(self.window - len(again), at)

    def take(self, packets: Iterator[Packet]) -> None:
        """Enter each ACK, and let as many messages follow."""
        stream = self.stream
        answered = 0
        for command, flags, result, trace_id, body in packets:
            if command != Command.IM_SEND_MSG or not flags & ACK:
                self.other(Packet(command, flags, result, trace_id, body))
                continue
            answered += 1
            if result:
                stream.refused(trace_id, complaint(Packet(command, flags, result, trace_id, body)))
                continue
            ack = ImMsgAck.FromString(body)
            stream.acked(trace_id, ack.msg_id, ack.seq_id)
        if answered and self.window:
            self.post(answered, monotonic())


class Receiver(Connection):
    """ACKs each push, and enters it. ``latencies`` takes the seconds from sending to receipt.

    ``newest`` is the largest seq that came.
    """

    __slots__ = ("_delivery", "_latencies", "_times", "newest")

    def __init__(self, loop: Loop, uid: int, stream: Stream, name: str, latencies: "array[float]") -> None:
        super().__init__(loop, uid)
        self.newest = 0
        self._delivery = Delivery(stream, name)
        self._times = stream.times
        self._latencies = latencies

    def take(self, packets: Iterator[Packet]) -> None:
        """Enter the pushes of one read, and ACK them in one write."""
        now = monotonic()
        delivered, times, add = self._delivery.delivered, self._times, self._latencies.append
        newest = self.newest
        acks = []
        for command, flags, result, trace_id, body in packets:
            if command != Command.IM_SEND_MSG:
                self.other(Packet(command, flags, result, trace_id, body))
                continue
            message = ImMsg.FromString(body)
            if message.group_type == GroupType.SYSTEM:
                self.other(Packet(command, flags, result, trace_id, body))
                continue
            acks.append(push_ack(trace_id))
            seq = message.seq_id
            newest = max(newest, seq)
            if message.msg_type == MsgType.CONTROL:
                continue
            index = delivered(message.msg_id, seq)
            if index >= 0:
                add(now - times[index])
        self.newest = newest
        if acks:
            self.send(b"".join(acks))


@dataclass(frozen=True, slots=True)
class Pace:
    """How long and how fast to send.

    Either ``count`` messages, or as many as ``seconds`` allow. ``rate`` is in messages a second, at even distances and
    whatever becomes of them; 0 lets each ACK draw the next message. What the first ``warm_seconds`` bring is not
    measured.
    """

    seconds: float = 10.0
    count: int = 0
    rate: float = 0.0
    warm_seconds: float = 1.0


class Chat:
    """The senders of one loop, logged in, and the receivers of their streams.

    ``latencies`` takes the seconds from sending to receipt of all that is measured.
    """

    def __init__(self, loop: Loop, target: Target) -> None:
        self.quota = Quota(0)
        self.senders: list[Sender] = []
        self.latencies: array[float] = array("d")
        self._loop = loop
        self._target = target
        self._scheduled = 0

    def drive(self, pace: Pace, progress: Progress) -> tuple[Usage, int]:
        """Send at ``pace`` until all is ACKed and delivered; return what was used, and for how many deliveries.

        Raises LoadError.
        """
        begin = monotonic()
        self.quota.left = pace.count or _UNLIMITED
        if not pace.rate:
            for sender in self.senders:
                sender.post(sender.window, begin)
        if not pace.count:
            self._send(pace, begin, pace.warm_seconds, progress)
            del self.latencies[:]
        meter, delivered_before = Meter(self._target), self._delivered()
        self._send(pace, begin, inf if pace.count else pace.warm_seconds + pace.seconds, progress)
        self.quota.left = 0
        self._await_the_last()
        return meter.stop(self._loop), self._delivered() - delivered_before

    def repeats(self) -> int:
        """Return how many messages came to a receiver more than once, and were dropped."""
        return sum(delivery.repeats for sender in self.senders for delivery in sender.stream.deliveries)

    def _send(self, pace: Pace, begin: float, until: float, progress: Progress) -> None:
        """Let messages go until ``until`` seconds after ``begin``, or the quota is used up."""
        whole = pace.count or pace.warm_seconds + pace.seconds
        timeout = _TURN_SECONDS
        while self.quota.left and (passed := monotonic() - begin) < until:
            progress(pace.count - self.quota.left if pace.count else passed, whole)
            if pace.rate:
                timeout = self._post_what_is_due(pace.rate, begin)
            self._loop.turn(timeout)

    def _post_what_is_due(self, rate: float, begin: float) -> float:
        """Send what should have left by now; return the seconds to the next message."""
        while (due := begin + self._scheduled / rate) <= monotonic() and self.quota.left:
            self.senders[self._scheduled % len(self.senders)].post(1, due)
            self._scheduled += 1
        return max(due - monotonic(), 0.0)

    def _await_the_last(self) -> None:
        """Turn until every stream is settled, or nothing has come for so long that nothing will."""
        streams = [sender.stream for sender in self.senders]
        self._loop.wait_while_rising(
            lambda: self._delivered() + sum(stream.acks for stream in streams),
            lambda: all(stream.settled() for stream in streams),
            STALLED_SECONDS,
        )

    def _delivered(self) -> int:
        return sum(delivery.count for sender in self.senders for delivery in sender.stream.deliveries)
