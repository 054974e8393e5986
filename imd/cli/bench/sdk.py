"""The client SDK itself: two clients in one process, with their stores on disk, who write to each other."""

import gc
import tempfile
from array import array
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from imd.cli.bench.load import Target
from imd.cli.bench.outcome import Outcome, Progress, spread
from imd.cli.bench.server import resident_bytes, usage
from imd.cli.bench.wire import LoadError
from imd.client import Client
from imd.client.values import Message
from imd.sso.jwt import issue
from imd.wire.enums import MsgType, Status

_TOKEN_SECONDS = 3600
_TURN_SECONDS = 0.1
_DRAIN_SECONDS = 30.0
_WARM_UP_SECONDS = 1.0
_TEXT = "x" * 32


class _Talker:
    """A client that keeps one message under way in each of its groups, until it is told to end."""

    def __init__(self, target: Target, uid: int, folder: Path, latencies: "array[float]") -> None:
        self.uid = uid
        self.sent: dict[str, int] = defaultdict(int)
        self.heard: dict[str, int] = defaultdict(int)
        self.breaches: list[str] = []
        self.is_ending = False
        self._latencies = latencies
        self._seqs: dict[str, int] = {}
        node = target.nodes[uid % len(target.nodes)]
        self.client = Client(
            f"tcp:{node.host}:{node.port}",
            uid,
            lambda: issue(target.secret, uid, time(), _TOKEN_SECONDS),
            folder / f"{uid}.sqlite",
        )
        self.client.on_message(self._hear)
        self.client.on_status(self._status)

    def send(self, group_id: str) -> None:
        """Say the next thing in a group."""
        number = self.sent[group_id] = self.sent[group_id] + 1
        self.client.send_text(group_id=group_id, text=f"{number} {monotonic()} {_TEXT}")

    def _status(self, message: Message) -> None:
        if message.status != Status.SUCCESS:
            self.breaches.append(f"{self.uid} could not send a message: result {message.result}")
        elif not self.is_ending:
            self.send(message.group_id)

    def _hear(self, message: Message) -> None:
        group_id = message.group_id
        if message.seq_id <= self._seqs.get(group_id, 0):
            self.breaches.append(f"{self.uid} was shown seq {message.seq_id} of {group_id} late or again")
        self._seqs[group_id] = message.seq_id
        if message.msg_type == MsgType.TEXT:
            number, sent_at, _ = message.msg_body.split()
            self._latencies.append(monotonic() - float(sent_at))
            if int(number) != self.heard[group_id] + 1:
                self.breaches.append(f"{self.uid} was shown {number} after {self.heard[group_id]} in {group_id}")
            self.heard[group_id] = int(number)


@dataclass(frozen=True, slots=True)
class Sdk:
    """Each of two clients keeps one message under way in each of ``groups`` groups, which both are in."""

    groups: int = 100
    seconds: float = 10.0

    @property
    def label(self) -> str:
        """What the work is, with its parameters."""
        return f"client SDK, two clients and {self.groups} groups in one process, stores on disk"

    def run(self, target: Target, progress: Progress) -> Outcome:
        """Exchange, and count what was sent, ACKed and shown. Raises LoadError."""
        from twisted.internet import reactor as _reactor  # noqa: PLC0415 - only the process of this work has one

        reactor: Any = _reactor
        gc.enable()  # as it is in an application
        outcomes: list[Outcome | BaseException] = []

        def end(outcome: Any) -> None:
            outcomes.append(getattr(outcome, "value", outcome))
            reactor.stop()

        with tempfile.TemporaryDirectory(prefix="imd-sdk-") as folder:
            running = Deferred.fromCoroutine(self._exchange(reactor, target, Path(folder), progress))
            reactor.callWhenRunning(running.addBoth, end)
            reactor.run(installSignalHandlers=False)
        [outcome] = outcomes
        if isinstance(outcome, Outcome):
            return outcome
        raise LoadError(f"The SDK failed: {outcome!r}")

    async def _exchange(self, reactor: Any, target: Target, folder: Path, progress: Progress) -> Outcome:
        latencies: array[float] = array("d")
        talkers = [_Talker(target, target.first_uid + number, folder, latencies) for number in range(2)]
        one, two = talkers
        for talker in talkers:
            await talker.client.start()
        for number in range(self.groups):
            group = await one.client.groups.create(f"bench {number}", [two.uid])
            for talker in talkers:
                talker.send(group.group_id)
        await deferLater(reactor, _WARM_UP_SECONDS)
        del latencies[:]
        heard = self._heard(talkers)
        start = usage(target)
        while (passed := monotonic() - start.wall) < self.seconds:
            progress(passed, self.seconds)
            await deferLater(reactor, _TURN_SECONDS)
        used = usage(target).since(start)
        count = self._heard(talkers) - heard
        measured = spread(latencies)
        for talker in talkers:
            talker.is_ending = True
        deadline = monotonic() + _DRAIN_SECONDS
        while one.sent != two.heard or two.sent != one.heard:
            if monotonic() > deadline:
                raise LoadError(f"What was sent last was not shown in {_DRAIN_SECONDS:g} seconds.")
            await deferLater(reactor, _TURN_SECONDS)
        for talker in talkers:
            await talker.client.stop()
        return Outcome(
            self.label,
            "message",
            count,
            used,
            resident_bytes(target),
            latency=measured,
            breaches=(*one.breaches, *two.breaches),
        )

    @staticmethod
    def _heard(talkers: list[_Talker]) -> int:
        return sum(sum(talker.heard.values()) for talker in talkers)
