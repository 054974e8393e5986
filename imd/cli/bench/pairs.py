"""1:1 chat: pairs of users, one sending to the other, who reads."""

import uuid
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from time import time_ns

from imd.cli.bench.chat import Chat, Pace
from imd.cli.bench.ledger import Stream, gaps
from imd.cli.bench.load import Connection, Loop, Target
from imd.cli.bench.outcome import Outcome, Progress, spread
from imd.cli.bench.receipts import InformedSender, Reader
from imd.cli.bench.server import resident_bytes
from imd.cli.bench.watermarks import Watermarks
from imd.client.ids import uuid7
from imd.wire.bodies import ImMsg
from imd.wire.enums import MsgType
from imd.wire.single import single_group_id

BODY = "Forty letters are an ordinary chat line."
_RECEIPT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Pairs:
    """``window`` messages of each pair are under way at once, unless ``pace`` has a rate."""

    pace: Pace
    pairs: int = 20
    window: int = 16
    uuid4: bool = False

    @property
    def label(self) -> str:
        """What the work is, with its parameters."""
        drive = f"{self.pace.rate:,g} a second" if self.pace.rate else f"window {self.window}"
        return f"1:1, {self.pairs:,} pairs, {drive}, UUIDv{4 if self.uuid4 else 7}"

    def run(self, target: Target, progress: Progress) -> Outcome:
        """Send, and count. Raises LoadError."""
        with Loop(target) as loop:
            chat = Chat(loop, target)
            new_id = random_ids(loop.rng) if self.uuid4 else ordered_ids(loop.rng)
            window = 0 if self.pace.rate else self.window
            pairs = [Pair(number, target.first_uid + 2 * number, chat.latencies) for number in range(self.pairs)]
            loop.log_in(connection for pair in pairs for connection in pair.connections(chat, loop, new_id, window))
            used, delivered = chat.drive(self.pace, progress)
            await_receipts(loop, pairs)
            return Outcome(
                self.label,
                "message",
                delivered,
                used,
                resident_bytes(target),
                latency=spread(chat.latencies),
                repeats=chat.repeats(),
                also=counted(pairs),
                breaches=tuple(sentence for pair in pairs for sentence in pair.complaints()),
            )


class Pair:
    """One user, ``uid``, who sends, and the next, who receives and reads.

    ``latencies`` takes the seconds from sending to receipt.
    """

    def __init__(self, number: int, uid: int, latencies: "array[float]") -> None:
        self.stream = Stream(f"pair {number}")
        self.watermarks = Watermarks(self.stream.name, single_group_id(uid, uid + 1), uid + 1)
        self.latencies = latencies
        self._uid = uid

    def connections(self, chat: Chat, loop: Loop, new_id: Callable[[], str], window: int) -> Iterator[Connection]:
        """Yield the receiver and the sender, who joins ``chat``, as they log in."""
        uid, receiver = self._uid, self._uid + 1
        yield Reader(loop, receiver, self.stream, "its receiver", self.latencies, self.watermarks)
        message = ImMsg(msg_type=MsgType.TEXT, msg_body=BODY, receiver_id=receiver)
        sender = InformedSender(loop, uid, self.stream, message, new_id, chat.quota, window, self.watermarks)
        chat.senders.append(sender)
        yield sender

    def settled(self) -> bool:
        """Tell whether the sender knows that all is read."""
        return self.watermarks.settled(self._last())

    def complaints(self) -> Iterator[str]:
        """Yield a sentence for each breach."""
        yield from self.stream.complaints()
        yield from gaps(self.stream.name, [self.stream], 1)
        yield from self.watermarks.complaints(self._last())

    def _last(self) -> int:
        return next((seq for seq in reversed(self.stream.seqs) if seq), 0)


def await_receipts(loop: Loop, pairs: Sequence[Pair]) -> None:
    """Turn until every sender knows that all is read, or nothing of that has come for _RECEIPT_SECONDS."""
    loop.wait_while_rising(
        lambda: sum(pair.watermarks.receipts for pair in pairs),
        lambda: all(pair.settled() for pair in pairs),
        _RECEIPT_SECONDS,
    )


def counted(pairs: Sequence[Pair]) -> dict[str, int]:
    """Return how many receipts and read marks there were."""
    return {
        "receipts": sum(pair.watermarks.receipts for pair in pairs),
        "read marks": sum(pair.watermarks.marks for pair in pairs),
    }


def ordered_ids(rng: Random) -> Callable[[], str]:
    """Return a maker of UUIDv7 ids."""
    return lambda: uuid7(time_ns() // 1_000_000, rng.randbytes)


def random_ids(rng: Random) -> Callable[[], str]:
    """Return a maker of UUIDv4 ids."""
    return lambda: str(uuid.UUID(bytes=rng.randbytes(16), version=4))
