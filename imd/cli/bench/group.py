"""Group chat: one sender, and everyone else online."""

from dataclasses import dataclass

from imd.cli.bench.asker import create_group
from imd.cli.bench.chat import Chat, Pace, Receiver, Sender
from imd.cli.bench.ledger import Stream, gaps
from imd.cli.bench.load import Loop, Target
from imd.cli.bench.outcome import Outcome, Progress, spread
from imd.cli.bench.pairs import BODY, ordered_ids
from imd.cli.bench.server import resident_bytes
from imd.wire.bodies import ImMsg
from imd.wire.enums import MsgType

_CREATION_SEQ = 1
"""The control message that tells of the new group."""


@dataclass(frozen=True, slots=True)
class Group:
    """One of ``members`` sends, ``window`` messages under way at once; each of the others is a delivery."""

    pace: Pace
    members: int = 100
    window: int = 4

    @property
    def label(self) -> str:
        """What the work is, with its parameters."""
        return f"deliveries in a group, {self.members:,} online, window {self.window}"

    def run(self, target: Target, progress: Progress) -> Outcome:
        """Send, and count. Raises LoadError."""
        owner, *others = range(target.first_uid, target.first_uid + self.members)
        with Loop(target) as loop:
            chat = Chat(loop, target)
            stream = Stream("the group")
            loop.log_in(
                Receiver(loop, uid, stream, f"member {number}", chat.latencies)
                for number, uid in enumerate(others, start=1)
            )
            message = ImMsg(msg_type=MsgType.TEXT, msg_body=BODY, group_id=create_group(loop, owner, others))
            sender = Sender(loop, owner, stream, message, ordered_ids(loop.rng), chat.quota, self.window)
            chat.senders.append(sender)
            loop.log_in([sender])
            used, delivered = chat.drive(self.pace, progress)
            return Outcome(
                self.label,
                "delivery",
                delivered,
                used,
                resident_bytes(target),
                latency=spread(chat.latencies),
                repeats=chat.repeats(),
                breaches=(*stream.complaints(), *gaps(stream.name, [stream], _CREATION_SEQ + 1)),
            )
