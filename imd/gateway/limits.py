"""What bounds a connection: one frozen set of limits, the token bucket of a session, and counts of who went over."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The gateway's limits; seconds, bytes, and counts."""

    login_seconds: float = 10.0
    idle_seconds: float = 15.0
    max_body: int = 1024 * 1024
    max_unsent: int = 1024 * 1024
    max_unacked: int = 20_000
    max_connections: int = 200_000
    connections_per_address: int = 1000
    packets_per_second: float = 5000.0
    bytes_per_second: float = 16.0 * 1024 * 1024


@dataclass(slots=True)
class Counters:
    """What went wrong, since the start."""

    malformed: int = 0
    rate_limited: int = 0
    slow: int = 0
    refused: int = 0


class TokenBucket:
    """Fills at ``rate`` a second up to ``burst``; what finds it empty has to wait."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._at = now

    def take(self, amount: float, now: float) -> bool:
        """Take ``amount`` and say so, or take nothing."""
        level = self._level - amount
        if level < 0:
            level = min(self._burst, self._level + (now - self._at) * self._rate) - amount
            self._at = now
            if level < 0:
                self._level = level + amount
                return False
        self._level = level
        return True
