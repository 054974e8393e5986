"""Nodes of which only the way to Redis matters: each keeps its messages by itself."""

from pathlib import Path

from imd.client.errors import ClientError
from tests.contract.redis_server import RedisServer

from .conftest import LogIn
from .daemon import STARTS_WITHIN, Daemon
from .device import Device, eventually

LEASE = 1.0
"""Seconds."""


class RedisNodes:
    """A Redis, and daemons that share it; they are closed at the end."""

    def __init__(self, folder: Path) -> None:
        self.redis = RedisServer(folder)
        self.variables = {"IMD_PRESENCE_URL": f"{self.redis.url}/1", "IMD_PRESENCE_LEASE_SECONDS": str(LEASE)}
        self._folder = folder
        self._nodes: list[Daemon] = []

    def __enter__(self) -> "RedisNodes":
        self.redis.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for node in self._nodes:
                node.close()
        finally:
            self.redis.__exit__()

    def start(self, *names: str) -> list[Daemon]:
        """Start nodes of these names, and return them once they accept connections."""
        started = []
        for name in names:
            folder = self._folder / f"{len(self._nodes)}"
            started.append(Daemon(folder, {**self.variables, "IMD_NODE": name}))
            self._nodes.append(started[-1])
            started[-1].launch()
        for node in started:
            node.await_notice("READY=1", STARTS_WITHIN)
        return started


async def let_in(log_in: LogIn, *args: object) -> Device:
    """Log a device in as soon as presence can be used."""
    found: list[Device] = []

    async def is_in() -> bool:
        try:
            found.append(await log_in(*args))
        except ClientError:
            return False
        return True

    await eventually(is_in)
    return found[0]
