"""A broadcast to everyone online, and the chat that goes on beside it."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic

from imd.cli.bench.chat import STALLED_SECONDS, Chat, Pace, Quota, Sender
from imd.cli.bench.ledger import Delivery, Stream
from imd.cli.bench.load import Connection, Loop, Target
from imd.cli.bench.outcome import Outcome, Progress, spread
from imd.cli.bench.pairs import BODY, Pair, await_receipts, counted, ordered_ids
from imd.cli.bench.server import allow_connections, resident_bytes
from imd.wire.bodies import ImMsg
from imd.wire.enums import SYSTEM_GROUP, GroupType, MsgType


class Admin(Sender):
    """Sends the broadcasts."""

    __slots__ = ()

    is_admin = True


class Broadcasts:
    """The broadcasts of one admin, and what each user heard of them."""

    def __init__(self) -> None:
        self.stream = Stream("the broadcasts")
        self.heard = 0
        """How many came to a user, all users together."""
        self._latest: dict[int, float] = {}

    def follow(self, connection: Connection) -> Connection:
        """Enter what is pushed to this user, who is online from before the first broadcast."""
        connection.on_push = partial(self._pushed, Delivery(self.stream, f"user {connection.uid}"))
        return connection

    def settled(self) -> bool:
        """Tell whether every broadcast was ACKed and has come to every user, but for what was refused."""
        stream = self.stream
        accepted = len(stream.ids) - len(stream.refusals)
        return stream.acks == accepted and self.heard >= accepted * len(stream.deliveries)

    def spans(self) -> list[tuple[float, float]]:
        """Return when each broadcast was sent and when it came to its last user, in monotonic seconds."""
        return [(self.stream.times[index], latest) for index, latest in sorted(self._latest.items())]

    def complaints(self) -> Iterator[str]:
        """Yield a sentence for each breach; a broadcast that comes twice is one."""
        yield from self.stream.complaints()
        if repeats := sum(delivery.repeats for delivery in self.stream.deliveries):
            yield f"{self.stream.name}: {repeats:,} came once more to a user who had ACKed them"

    def _pushed(self, delivery: Delivery, message: ImMsg) -> None:
        if message.group_id == SYSTEM_GROUP and message.msg_type != MsgType.CONTROL:
            index = delivery.delivered(message.msg_id, message.seq_id)
            if index >= 0:
                self.heard += 1
                self._latest[index] = monotonic()


@dataclass(frozen=True, slots=True)
class Broadcast:
    """``users`` stay online, an admin sends a broadcast every ``every`` seconds, ``pairs`` chat at ``pace``."""

    pace: Pace
    users: int = 10_000
    every: float = 3.0
    pairs: int = 20

    @property
    def label(self) -> str:
        """What the work is, with its parameters."""
        return (
            f"broadcast to {self.users:,} online each {self.every:g} s,"
            f" beside 1:1, {self.pairs:,} pairs, {self.pace.rate:,g} a second"
        )

    def run(self, target: Target, progress: Progress) -> Outcome:
        """Let all log in, chat and broadcast, and count. Raises LoadError."""
        admin_uid, first_pair = target.first_uid, target.first_uid + 1
        first_user = first_pair + 2 * self.pairs
        allow_connections(first_user + self.users - target.first_uid)
        whole = self.users + self.pace.warm_seconds + self.pace.seconds
        broadcasts = Broadcasts()
        with Loop(target) as loop:
            chat = Chat(loop, target)
            new_id = ordered_ids(loop.rng)
            pairs = [Pair(number, first_pair + 2 * number, array("d")) for number in range(self.pairs)]

            def connections() -> Iterator[Connection]:
                for pair in pairs:
                    yield from pair.connections(chat, loop, new_id, window=0)
                for number in range(self.users):
                    progress(number, whole)
                    yield Connection(loop, first_user + number)

            loop.log_in(map(broadcasts.follow, connections()))
            message = ImMsg(msg_type=MsgType.TEXT, msg_body=BODY, group_id=SYSTEM_GROUP, group_type=GroupType.SYSTEM)
            admin = Admin(loop, admin_uid, broadcasts.stream, message, new_id, Quota(self._times()), window=0)
            loop.log_in([admin])
            self._schedule(loop, admin)
            used, delivered = chat.drive(self.pace, lambda done, _whole: progress(self.users + done, whole))
            deliveries = delivered + broadcasts.heard
            await_receipts(loop, pairs)
            loop.wait_while_rising(lambda: broadcasts.heard, broadcasts.settled, STALLED_SECONDS)
            spans = broadcasts.spans()
            return Outcome(
                self.label,
                "delivery",
                deliveries,
                used,
                resident_bytes(target),
                latency=spread(during(spans, ((pair.stream.times, pair.latencies) for pair in pairs))),
                repeats=chat.repeats(),
                also={"broadcasts": len(spans), **counted(pairs)},
                reach=max((end - start for start, end in spans), default=None),
                breaches=(
                    *(sentence for pair in pairs for sentence in pair.complaints()),
                    *broadcasts.complaints(),
                ),
            )

    def _times(self) -> int:
        """How many broadcasts have time while the chat goes on."""
        return max(int(self.pace.seconds // self.every), 1)

    def _schedule(self, loop: Loop, admin: Admin) -> None:
        begin = monotonic() + self.pace.warm_seconds
        for number in range(self._times()):
            due = begin + number * self.every
            loop.at(due, partial(admin.post, 1, due))


def during(
    spans: Sequence[tuple[float, float]], chats: Iterable[tuple[Sequence[float], Sequence[float]]]
) -> "array[float]":
    """Return the latencies of the messages that were under way in one of ``spans``.

    Of each chat are given when its messages were sent, and their latencies, in the same order; all in seconds.
    """
    return array(
        "d",
        (
            latency
            for times, latencies in chats
            for sent, latency in zip(times, latencies, strict=False)
            if any(sent <= end and sent + latency >= start for start, end in spans)
        ),
    )
