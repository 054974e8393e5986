"""The account of every message: sent = ACKed = delivered once to each receiver, in order of seq and of sending."""

from collections.abc import Iterable, Iterator
from itertools import pairwise


class Stream:
    """What one sender sends into one conversation, and the seqs it got. ``name`` tells it apart in a complaint."""

    __slots__ = ("_answered", "_places", "acks", "breaches", "deliveries", "ids", "name", "refusals", "seqs", "times")

    def __init__(self, name: str) -> None:
        self.name = name
        self.ids: list[str] = []
        self.times: list[float] = []
        """When each message was sent, or should have been: seconds of one monotonic clock."""
        self.seqs: list[int] = []
        """The seq of each message as first told, by its ACK or by a delivery; 0 before that."""
        self.acks = 0
        self.refusals: set[int] = set()
        self.deliveries: list[Delivery] = []
        self.breaches: list[str] = []
        self._answered = bytearray()
        self._places: dict[str, int] = {}

    def sent(self, msg_id: str, at: float) -> int:
        """Enter a message about to be sent, and return its index, counted from 0."""
        index = len(self.ids)
        self.ids.append(msg_id)
        self.times.append(at)
        self.seqs.append(0)
        self._answered.append(0)
        return index

    def acked(self, index: int, msg_id: str, seq: int) -> None:
        """Enter the ACK of the message sent as ``index``."""
        if index >= len(self.ids) or self.ids[index] != msg_id or self._answered[index]:
            self._stray_ack(index, msg_id)
            return
        self._answered[index] = 1
        self.acks += 1
        self.agree(index, seq, "ACKed")

    def refused(self, index: int, reason: str) -> None:
        """Enter the ACK that refused the message sent as ``index``."""
        if index >= len(self.ids) or self._answered[index]:
            self.breaches.append(f"{self.name}: a refusal answers traceId {index}, which awaits no answer: {reason}")
            return
        self._answered[index] = 1
        self.refusals.add(index)
        self.breaches.append(f"{self.name}: message {self.ids[index]} was refused: {reason}")

    def unacked(self) -> Iterator[int]:
        """Yield the indexes of the messages that were neither ACKed nor refused, as they were sent."""
        return (index for index, answered in enumerate(self._answered) if not answered)

    def index_of(self, msg_id: str) -> int:
        """Return the index of a message that was sent, or -1."""
        for index in range(len(self._places), len(self.ids)):
            self._places[self.ids[index]] = index
        return self._places.get(msg_id, -1)

    def agree(self, index: int, seq: int, how: str) -> None:
        """Hold ``seq`` against what was told of the message before."""
        known = self.seqs[index]
        if known == 0:
            self.seqs[index] = seq
        elif known != seq:
            self.breaches.append(
                f"{self.name}: message {self.ids[index]} was {how} as seq {seq}, and before as {known}"
            )

    def settled(self) -> bool:
        """Tell whether every message was ACKed and has reached every receiver, but for what was refused."""
        accepted = len(self.ids) - len(self.refusals)
        return self.acks == accepted and all(delivery.count >= accepted for delivery in self.deliveries)

    def complaints(self) -> Iterator[str]:
        """Yield a sentence for each breach, those that only the end shows included."""
        yield from self.breaches
        for index in self.unacked():
            yield f"{self.name}: message {self.ids[index]} was sent and never ACKed"
        told = [(seq, msg_id) for seq, msg_id in zip(self.seqs, self.ids, strict=True) if seq]
        for (seq, msg_id), (next_seq, next_id) in pairwise(told):
            if next_seq <= seq:
                yield f"{self.name}: message {next_id} was sent after {msg_id} but got seq {next_seq} after {seq}"
        for delivery in self.deliveries:
            yield from delivery.complaints()

    def _stray_ack(self, index: int, msg_id: str) -> None:
        if index < len(self.ids) and self.ids[index] == msg_id:
            self.breaches.append(f"{self.name}: message {msg_id} was answered twice")
        else:
            self.breaches.append(f"{self.name}: an ACK names message {msg_id}, which was not sent with its traceId")


class Delivery:
    """What of a stream reached one receiver. ``repeats`` counts what came again and was dropped."""

    __slots__ = ("_missing", "_next", "_receiver", "_stream", "breaches", "count", "repeats")

    def __init__(self, stream: Stream, receiver: str) -> None:
        self.count = 0
        self.repeats = 0
        self.breaches: list[str] = []
        self._stream = stream
        self._receiver = receiver
        self._next = 0
        self._missing: set[int] = set()
        stream.deliveries.append(self)

    def delivered(self, msg_id: str, seq: int) -> int:
        """Enter a message that came, and return its index in the stream; -1 for a repeat or one never sent."""
        stream = self._stream
        index = self._next
        if index < len(stream.ids) and stream.ids[index] == msg_id:
            self._next = index + 1
        else:
            index = self._out_of_turn(msg_id)
            if index < 0:
                return index
        self.count += 1
        if stream.seqs[index] != seq:
            stream.agree(index, seq, f"delivered to {self._receiver}")
        return index

    def complaints(self) -> Iterator[str]:
        """Yield a sentence for each breach."""
        yield from self.breaches
        stream = self._stream
        for index in (*sorted(self._missing), *range(self._next, len(stream.ids))):
            if index in stream.refusals:
                continue
            seq = f"ACKed with seq {stream.seqs[index]}" if stream.seqs[index] else "sent"
            yield f"{stream.name}: message {stream.ids[index]} was {seq} and not delivered to {self._receiver}"

    def _out_of_turn(self, msg_id: str) -> int:
        name = self._stream.name
        index = self._stream.index_of(msg_id)
        if index < 0:
            self.breaches.append(f"{name}: message {msg_id} was delivered to {self._receiver} and never sent")
            return -1
        if index >= self._next:
            self._missing.update(range(self._next, index))
            self._next = index + 1
            return index
        if index in self._missing:
            self._missing.remove(index)
            self.breaches.append(f"{name}: message {msg_id} was delivered to {self._receiver} after a later one")
            return index
        self.repeats += 1
        return -1


def gaps(name: str, streams: Iterable[Stream], first: int) -> Iterator[str]:
    """Yield a sentence for each gap and each double in the seqs, from ``first`` on, of one conversation's streams."""
    seqs = sorted(seq for stream in streams for seq in stream.seqs if seq)
    if seqs and seqs[0] != first:
        yield f"{name}: the first message got seq {seqs[0]}, where {first} was expected"
    for seq, following in pairwise(seqs):
        if following == seq:
            yield f"{name}: two messages got seq {seq}"
        elif following != seq + 1:
            yield f"{name}: no message got seq {seq + 1}, but one got {following}"
