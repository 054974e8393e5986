"""1:1 chat: pairs of users, one sending to the other."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from time import time_ns

from imd.cli.bench.chat import Chat, Pace, Receiver, Sender
from imd.cli.bench.ledger import Stream, gaps
from imd.cli.bench.load import Connection, Loop, Target
from imd.cli.bench.outcome import Outcome, Progress, spread
from imd.cli.bench.server import resident_bytes
from imd.client.ids import uuid7
from imd.wire.bodies import ImMsg
from imd.wire.enums import MsgType

BODY = "Forty letters are an ordinary chat line."


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
            chat = Chat(loop, target.pid)
            new_id = random_ids(loop.rng) if self.uuid4 else ordered_ids(loop.rng)
            window = 0 if self.pace.rate else self.window

            def connections() -> Iterator[Connection]:
                for number in range(self.pairs):
                    uid = target.first_uid + 2 * number
                    stream = Stream(f"pair {number}")
                    yield Receiver(loop, uid + 1, stream, "its receiver", chat.latencies)
                    message = ImMsg(msg_type=MsgType.TEXT, msg_body=BODY, receiver_id=uid + 1)
                    sender = Sender(loop, uid, stream, message, new_id, chat.quota, window)
                    chat.senders.append(sender)
                    yield sender

            loop.log_in(connections())
            used, delivered = chat.drive(self.pace, progress)
            streams = [sender.stream for sender in chat.senders]
            breaches = [sentence for stream in streams for sentence in stream.complaints()]
            breaches += [sentence for stream in streams for sentence in gaps(stream.name, [stream], 1)]
            return Outcome(
                self.label,
                "message",
                delivered,
                used,
                resident_bytes(target.pid),
                latency=spread(chat.latencies),
                repeats=chat.repeats(),
                breaches=tuple(breaches),
            )


def ordered_ids(rng: Random) -> Callable[[], str]:
    """Return a maker of UUIDv7 ids."""
    return lambda: uuid7(time_ns() // 1_000_000, rng.randbytes)


def random_ids(rng: Random) -> Callable[[], str]:
    """Return a maker of UUIDv4 ids."""
    return lambda: str(uuid.UUID(bytes=rng.randbytes(16), version=4))
