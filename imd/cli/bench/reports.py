"""What clients report to the business: until the ACK, and on to a stream of Redis."""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic

from imd.cli.bench.business import AWAY, STREAM, Stream
from imd.cli.bench.load import Connection, Loop, Target, complaint
from imd.cli.bench.outcome import Outcome, Progress, spread
from imd.cli.bench.pairs import ordered_ids
from imd.cli.bench.server import Meter, resident_bytes
from imd.cli.bench.wire import LoadError
from imd.wire.bodies import Upstream
from imd.wire.commands import Command
from imd.wire.packet import ACK, Packet, encode

PAYLOAD = b'{"item": 17, "quantity": 2, "price": "9.90"}'
_WARM_SECONDS = 1.0
_TURN_SECONDS = 0.05
_STALLED_SECONDS = 25.0
_ID_FIELD, _ID_SIZE = b"\x12\x24", 36


class Reporter(Connection):
    """Keeps ``window`` reports on their way while ``is_on``; each ACK lets the next one go.

    ``ids`` are those of all it has sent, ``acks`` counts, and ``latencies`` takes the seconds from sending to the ACK.
    """

    __slots__ = ("_after", "_before_id", "_before_trace", "_new_id", "_times", "acks", "ids", "is_on", "latencies")

    def __init__(
        self, loop: Loop, uid: int, destination: str, new_id: Callable[[], str], latencies: "array[float]"
    ) -> None:
        super().__init__(loop, uid)
        self.ids: list[str] = []
        self.acks = 0
        self.is_on = True
        self.latencies = latencies
        self._times: list[float] = []
        self._new_id = new_id
        rest = Upstream(destination=destination, payload=PAYLOAD, content_type="application/json").SerializeToString()
        packet = encode(Command.UPSTREAM, 0, _ID_FIELD + bytes(_ID_SIZE) + rest)
        self._before_trace, self._before_id, self._after = packet[:8], packet[12:18], rest

    def post(self, count: int) -> None:
        """Send so many reports in one write."""
        now = monotonic()
        packets: list[bytes] = []
        for _ in range(count):
            message_id = self._new_id()
            trace_id = len(self.ids).to_bytes(4)
            self.ids.append(message_id)
            self._times.append(now)
            packets += (self._before_trace, trace_id, self._before_id, message_id.encode(), self._after)
        self.send(b"".join(packets))

    def take(self, packets: Iterator[Packet]) -> None:
        """Count the ACKs of one read, and let as many reports follow. Raises LoadError where one is refused."""
        now, answered = monotonic(), 0
        for packet in packets:
            if packet.command != Command.UPSTREAM or not packet.flags & ACK:
                self.other(packet)
                continue
            if packet.result:
                raise LoadError(f"A report of {self.uid} was refused: {complaint(packet)}")
            answered += 1
            self.latencies.append(now - self._times[packet.trace_id])
        self.acks += answered
        if answered and self.is_on:
            self.post(answered)


@dataclass(frozen=True, slots=True)
class Reports:
    """``users`` report, each with ``window`` under way at once, for ``seconds``.

    Without ``is_carried_on`` they go to where nobody is, so that only the way to the ACK is measured; with it to the
    stream of the Redis at ``redis_port``, until all are there.
    """

    seconds: float = 10.0
    is_carried_on: bool = False
    users: int = 20
    window: int = 16
    redis_port: int = field(default=0, compare=False)

    @property
    def label(self) -> str:
        """What the work is, with its parameters."""
        end = "on to Redis Streams" if self.is_carried_on else "until the ACK"
        return f"reports, {self.users:,} users, window {self.window}, {end}"

    def run(self, target: Target, progress: Progress) -> Outcome:
        """Report, and count. Raises LoadError."""
        latencies: array[float] = array("d")
        stream = Stream(self.redis_port) if self.is_carried_on else None
        with Loop(target) as loop:
            new_id = ordered_ids(loop.rng)
            destination = STREAM if self.is_carried_on else AWAY
            uids = range(target.first_uid, target.first_uid + self.users)
            reporters = [Reporter(loop, uid, destination, new_id, latencies) for uid in uids]
            loop.log_in(reporters)
            for reporter in reporters:
                reporter.post(self.window)
            whole = _WARM_SECONDS + self.seconds
            loop.wait(_WARM_SECONDS, lambda passed: progress(passed, whole))
            del latencies[:]
            before = len(stream) if stream else 0
            meter = Meter(target)
            loop.wait(self.seconds, lambda passed: progress(_WARM_SECONDS + passed, whole))
            for reporter in reporters:
                reporter.is_on = False
            loop.wait_while_rising(
                lambda: sum(reporter.acks for reporter in reporters),
                lambda: all(reporter.acks == len(reporter.ids) for reporter in reporters),
                _STALLED_SECONDS,
            )
            count = len(latencies)
            if stream:
                sent = sum(len(reporter.ids) for reporter in reporters)
                loop.wait_while_rising(lambda: len(stream), lambda: len(stream) >= sent, _STALLED_SECONDS)
                count = len(stream) - before
            used = meter.stop(loop)
            return Outcome(
                self.label,
                "report",
                count,
                used,
                resident_bytes(target),
                latency=spread(latencies),
                breaches=tuple(_breaches(reporters, stream)),
            )


def _breaches(reporters: list[Reporter], stream: Stream | None) -> Iterator[str]:
    """Yield a sentence for each report without an ACK, and, of those in ``stream``, each lost, doubled or misplaced."""
    arrived: dict[int, list[str]] = {reporter.uid: [] for reporter in reporters}
    for uid, message_id in stream.take() if stream else ():
        arrived[uid].append(message_id)
    for reporter in reporters:
        if reporter.acks != len(reporter.ids):
            yield f"uid {reporter.uid}: {len(reporter.ids) - reporter.acks} reports without an ACK"
        if stream and arrived[reporter.uid] != reporter.ids:
            found = arrived[reporter.uid]
            yield (
                f"uid {reporter.uid}: of {len(reporter.ids):,} reports {len(set(found)):,} arrived, in {len(found):,}"
                f" entries{'' if sorted(found) == sorted(reporter.ids) else ', not those that were sent'}"
                f"{'' if found == sorted(found) else ', out of order'}"
            )
