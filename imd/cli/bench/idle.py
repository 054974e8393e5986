"""Connections that only stay: their memory and their heartbeats."""

from collections.abc import Iterator
from dataclasses import dataclass

from imd.cli.bench.load import HEARTBEAT_SECONDS, Connection, Loop, Target
from imd.cli.bench.outcome import Outcome, Progress
from imd.cli.bench.server import allow_connections, resident_bytes, usage

_WARM_LOGINS = 200
_SETTLE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Idle:
    """``connections`` log in and each sends a heartbeat every 5 s; ``seconds`` of that are measured."""

    connections: int = 10_000
    seconds: float = 20.0

    @property
    def label(self) -> str:
        """What the work is, with its parameters."""
        return f"idle, {self.connections:,} connections, heartbeats each {HEARTBEAT_SECONDS:g} s"

    def run(self, target: Target, progress: Progress) -> Outcome:
        """Log in, stay, and count the answered heartbeats. Raises LoadError."""
        allow_connections(self.connections)
        whole = self.connections + _SETTLE_SECONDS + self.seconds
        with Loop(target) as loop:
            _warm_up(loop, target.first_uid + self.connections)
            before = resident_bytes(target)
            online: list[Connection] = []

            def connections() -> Iterator[Connection]:
                for number in range(self.connections):
                    progress(number, whole)
                    online.append(Connection(loop, target.first_uid + number))
                    yield online[-1]

            loop.log_in(connections())
            loop.wait(_SETTLE_SECONDS)
            resident = resident_bytes(target)
            start, answered = usage(target), loop.heartbeats_answered
            loop.wait(self.seconds, lambda passed: progress(self.connections + _SETTLE_SECONDS + passed, whole))
            used, answered = usage(target).since(start), loop.heartbeats_answered - answered
            loop.stop_heartbeats(HEARTBEAT_SECONDS)
            return Outcome(
                self.label,
                "heartbeat",
                answered,
                used,
                resident,
                growth=(resident - before) / self.connections,
                breaches=tuple(
                    f"connection of {connection.uid}: {connection.heartbeats_due} heartbeats were not answered"
                    for connection in online
                    if connection.heartbeats_due
                ),
            )


def _warm_up(loop: Loop, first_uid: int) -> None:
    """Let some users come and go, so that what the server sets up only once is not counted."""
    visitors: list[Connection] = []

    def connections() -> Iterator[Connection]:
        for uid in range(first_uid, first_uid + _WARM_LOGINS):
            visitors.append(Connection(loop, uid))
            yield visitors[-1]

    loop.log_in(connections())
    for visitor in visitors:
        visitor.close()
    loop.wait(_SETTLE_SECONDS)
