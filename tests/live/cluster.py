"""Two nodes over one PostgreSQL and one Redis."""

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from imd.client.errors import ClientError
from imd.storage.open import upgrade
from imd.wire.bodies import ImMsg
from imd.wire.enums import MsgType
from tests.contract.postgres_server import PostgresServer
from tests.contract.redis_server import RedisServer

from .daemon import Daemon
from .device import MAC, Device, eventually, new_id

PROBES = (1, 2)
"""Users who only look whether the nodes reach each other."""


class Cluster:
    """The nodes ``one`` and ``two``, their database and their Redis; ``variables`` and ``config`` are of both nodes."""

    def __init__(self, folder: Path, variables: Mapping[str, str], config: str = "") -> None:
        self._config = config
        self.postgres = PostgresServer()
        self.redis = RedisServer(folder)
        secret = folder / "secret"
        secret.write_text(os.urandom(32).hex())
        secret.chmod(0o600)
        self._folder = folder
        self._variables = {
            "IMD_STORAGE_URL": self.postgres.url(),
            "IMD_PRESENCE_URL": f"{self.redis.url}/1",
            "IMD_PRESENCE_GRACE_SECONDS": "1",
            "IMD_SSO_SECRET_FILE": str(secret),
            **variables,
        }
        self.one, self.two = self.nodes = [self.node("n1"), self.node("n2")]

    def __enter__(self) -> "Cluster":
        self.postgres.__enter__()
        self.redis.__enter__()
        upgrade(self.postgres.url(), "")
        for node in self.nodes:
            node.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for node in self.nodes:
                node.close()
        finally:
            self.redis.__exit__()
            self.postgres.__exit__()

    def node(self, name: str, **variables: str) -> Daemon:
        """Return another node of this name, not started, with these settings beside the common ones."""
        settings = {**self._variables, "IMD_NODE": name, **variables}
        return Daemon(self._folder / name, settings, config=self._config)

    async def joined(self) -> "Cluster":
        """Return once users can log in on both nodes, and what is said on either is heard on the other."""
        await reach_each_other(self.one, self.two)
        return self

    def has_nothing_for(self, *uids: int) -> Callable[[], Awaitable[bool]]:
        """Return what tells whether everything has reached these users."""
        listed = ", ".join(map(str, uids))

        async def is_so() -> bool:
            return self.postgres.ask(f"SELECT count(*) FROM x_inbox WHERE uid IN ({listed})") == [(0,)]

        return is_so


async def reach_each_other(*nodes: Daemon) -> None:
    """Return once users can log in on these two nodes, and what is said on either is heard on the other."""
    probes = [await _probe(node, uid) for node, uid in zip(nodes, PROBES, strict=True)]
    for probe, other in zip(probes, reversed(probes), strict=True):
        await eventually(_Reach(probe, other).is_there)
    for probe in probes:
        await probe.leave()


class _Reach:
    """Whether a passthrough of one device reaches another."""

    def __init__(self, probe: Device, other: Device) -> None:
        self._probe = probe
        self._other = other

    async def is_there(self) -> bool:
        passing = ImMsg(msg_id=new_id(), msg_type=MsgType.PASSTHROUGH, receiver_id=self._other.uid)
        await self._probe.request(passing)
        return not await self._other.heard_all()


async def _probe(node: Daemon, uid: int) -> Device:
    found: list[Device] = []

    async def logs_in() -> bool:
        device = Device(uid, MAC)
        try:
            await device.login(node)
        except ClientError:
            device.connection.drop("another one tries")
            return False
        found.append(device)
        return True

    await eventually(logs_in)
    return found[0]
