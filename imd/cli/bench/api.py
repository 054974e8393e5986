"""The load of business servers: notices and messages through the HTTP API, to users who are online."""

import json
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from time import monotonic

from imd.cli.bench.api_link import ApiLink
from imd.cli.bench.chat import STALLED_SECONDS, Pace
from imd.cli.bench.load import Connection, Loop, Target
from imd.cli.bench.outcome import Outcome, Progress, spread
from imd.cli.bench.pairs import BODY, ordered_ids
from imd.cli.bench.server import Meter, Usage, resident_bytes
from imd.wire.bodies import ImMsg, NoticeMsg, NoticeMsgAck
from imd.wire.commands import Command
from imd.wire.packet import Packet, encode

_TURN_SECONDS = 0.05
_TOLD = 5
_LINKS = 8
"""Requests under way at once, where they come at a rate."""


@dataclass(slots=True)
class Account:
    """What was posted and what came of it; times are monotonic seconds.

    ``latencies`` takes the seconds from posting to receipt by the user, ``answers`` those to the API's answer.
    """

    due: dict[str, tuple[int, float]] = field(default_factory=dict)
    came: int = 0
    posted: int = 0
    answered: int = 0
    misplaced: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    answers: "array[float]" = field(default_factory=lambda: array("d"))

    def post(self, what: str, uid: int, at: float) -> None:
        """Enter what is for ``uid``."""
        self.posted += 1
        self.due[what] = uid, at

    def arrive(self, what: str, uid: int) -> None:
        """Enter what has come to ``uid``; twice, or to somebody else, is a breach."""
        wanted, at = self.due.pop(what, (0, 0.0))
        if wanted != uid:
            self.misplaced.append(f"{what} came to {uid}" + (f" and was for {wanted}" if wanted else " once more"))
            return
        self.came += 1
        self.latencies.append(monotonic() - at)

    def answer(self, at: float, status: int, body: bytes) -> None:
        """Enter the answer to a request of ``at``."""
        self.answered += 1
        self.answers.append(monotonic() - at)
        if status != HTTPStatus.OK:
            self.refusals.append(body.decode(errors="replace"))

    def complaints(self) -> Iterator[str]:
        """Yield a sentence for each breach."""
        if self.due:
            yield f"{len(self.due):,} of {self.posted:,} never came"
        yield from self.misplaced[:_TOLD]
        yield from self.refusals[:_TOLD]


class Recipient(Connection):
    """ACKs the notices of a read in one write, and each pushed message."""

    __slots__ = ("_account",)

    def __init__(self, loop: Loop, uid: int, account: Account) -> None:
        super().__init__(loop, uid)
        self._account = account
        self.on_push = self._pushed

    def take(self, packets: Iterator[Packet]) -> None:
        """Enter what came."""
        notice_ids = []
        for packet in packets:
            if packet.command == Command.NOTICE_MSG:
                notice_ids.append(NoticeMsg.FromString(packet.body).notice_id)
            else:
                self.other(packet)
        if notice_ids:
            self.send(encode(Command.NOTICE_MSG_ACK, 0, NoticeMsgAck(notice_ids=notice_ids).SerializeToString()))
            for notice_id in notice_ids:
                self._account.arrive(notice_id, self.uid)

    def _pushed(self, message: ImMsg) -> None:
        self._account.arrive(message.msg_id, self.uid)


@dataclass(frozen=True, slots=True)
class ApiNotices:
    """``users`` are online; each request has ``batch`` notices, one for each of so many users, ``window`` at once."""

    pace: Pace
    users: int = 1_000
    batch: int = 100
    window: int = 4

    @property
    def label(self) -> str:
        """What the work is, with its parameters."""
        return f"notices by HTTP to {self.users:,} online, {self.batch} a request, window {self.window}"

    def run(self, target: Target, progress: Progress) -> Outcome:
        """Post, and count. Raises LoadError."""
        account = Account()
        with Loop(target) as loop:
            loop.log_in(Recipient(loop, target.first_uid + number, account) for number in range(self.users))
            new_id = ordered_ids(loop.rng)

            def post(link: ApiLink, at: float) -> None:
                notices = []
                for _ in range(self.batch):
                    uid, notice_id = target.first_uid + account.posted % self.users, new_id()
                    account.post(notice_id, uid, at)
                    notices.append({"notice_id": notice_id, "notice_type": 7, "uids": [uid], "text": BODY})
                body = json.dumps({"notices": notices}).encode()
                link.post("/v1/notices", body, lambda status, answer: account.answer(at, status, answer))

            links = [ApiLink(loop, target) for _ in range(self.window)]
            used, came = _drive(loop, target, links, account, post, self.pace, progress)
            return Outcome(
                self.label,
                "notice",
                came,
                used,
                resident_bytes(target),
                latency=spread(account.latencies),
                also={"requests": account.answered},
                breaches=tuple(account.complaints()),
            )


@dataclass(frozen=True, slots=True)
class ApiMessages:
    """Messages at ``pace``'s rate on behalf of users, each to one of ``users`` who are online.

    The latency is that of the answer, from when the message should have been posted.
    """

    pace: Pace
    users: int = 20

    @property
    def label(self) -> str:
        """What the work is, with its parameters."""
        return f"messages by HTTP, {self.pace.rate:,g} a second"

    def run(self, target: Target, progress: Progress) -> Outcome:
        """Post, and count. Raises LoadError."""
        account = Account()
        with Loop(target) as loop:
            loop.log_in(Recipient(loop, target.first_uid + 2 * number, account) for number in range(self.users))
            new_id = ordered_ids(loop.rng)

            def post(link: ApiLink, at: float) -> None:
                uid, msg_id = target.first_uid + 2 * (account.posted % self.users), new_id()
                account.post(msg_id, uid, at)
                message = {"msg_id": msg_id, "sender_id": uid + 1, "receiver_id": uid, "msg_body": BODY}
                body = json.dumps(message).encode()
                link.post("/v1/messages", body, lambda status, answer: account.answer(at, status, answer))

            links = [ApiLink(loop, target) for _ in range(_LINKS)]
            used, came = _drive(loop, target, links, account, post, self.pace, progress)
            return Outcome(
                self.label,
                "message",
                came,
                used,
                resident_bytes(target),
                latency=spread(account.answers),
                breaches=tuple(account.complaints()),
            )


def _drive(
    loop: Loop,
    target: Target,
    links: list[ApiLink],
    account: Account,
    post: Callable[[ApiLink, float], None],
    pace: Pace,
    progress: Progress,
) -> tuple[Usage, int]:
    """Post at ``pace`` until all is answered and has come; return what was used, and for how much of it."""
    begin = monotonic()
    scheduled = 0

    def go(until: float) -> None:
        nonlocal scheduled
        while (passed := monotonic() - begin) < until:
            progress(passed, pace.warm_seconds + pace.seconds)
            timeout = _TURN_SECONDS
            for link in links:
                if not link.is_free:
                    continue
                due = begin + scheduled / pace.rate if pace.rate else monotonic()
                if due > monotonic():
                    timeout = due - monotonic()
                    break
                post(link, due)
                scheduled += 1
            loop.turn(max(timeout, 0.0))

    go(pace.warm_seconds)
    del account.latencies[:], account.answers[:]
    meter, before = Meter(target), account.came
    go(pace.warm_seconds + pace.seconds)
    loop.wait_while_rising(
        lambda: account.came + account.answered,
        lambda: not account.due and all(link.is_free for link in links),
        STALLED_SECONDS,
    )
    return meter.stop(loop), account.came - before
