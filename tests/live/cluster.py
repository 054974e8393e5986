"""Two nodes over one PostgreSQL and one Redis."""

import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from pytest_twisted import blockon
from twisted.internet.defer import Deferred

from imd.client.errors import ClientError, ResultError
from imd.storage.open import upgrade
from imd.wire.bodies import ImMsg
from imd.wire.enums import MsgType
from tests.contract.postgres_server import PostgresServer
from tests.contract.redis_server import RedisServer
from tests.contract.redis_way import Way

from .daemon import STARTS_WITHIN, Daemon, free_port
from .device import MAC, Device, eventually, new_id

PROBES = (1, 2)
"""Users who only look whether the nodes reach each other."""


class Cluster:
    """The nodes ``one`` and ``two``, their database and their Redis; ``variables`` and ``config`` are of both nodes.

    Each node has a way to Redis of its own in ``ways``, which can be cut.

    Without ``start`` the nodes are the test's own: others, with settings that are not the same.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str], config: str = "", *, start: bool = True) -> None:
        self._config = config
        self.postgres = PostgresServer()
        self.redis = RedisServer(folder)
        secret = folder / "secret"
        secret.write_text(os.urandom(32).hex())
        secret.chmod(0o600)
        self._folder = folder
        self._starts = start
        self._variables = {
            "IMD_STORAGE_URL": self.postgres.url(),
            "IMD_PRESENCE_URL": f"{self.redis.url}/1",
            "IMD_PRESENCE_GRACE_SECONDS": "1",
            "IMD_SSO_SECRET_FILE": str(secret),
            **variables,
        }
        self.ways = {name: Way(self.redis, free_port()) for name in ("n1", "n2")}
        self.one, self.two = self.nodes = [
            self.node(name, IMD_PRESENCE_URL=f"{way.url}/1") for name, way in self.ways.items()
        ]

    def __enter__(self) -> "Cluster":
        self.postgres.__enter__()
        self.redis.__enter__()
        upgrade(self.postgres.url(), "")
        for way in self.ways.values():
            _wait_for(way.open())
        started = self.nodes if self._starts else ()
        for node in started:
            node.launch()
        for node in started:
            node.await_notice("READY=1", STARTS_WITHIN)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for node in self.nodes:
                node.close()
            for way in self.ways.values():
                _wait_for(way.close())
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

    def heal(self) -> None:
        """Let everything run again that a test which failed has left paused, cut or dead."""
        for server in (self.postgres, self.redis):
            server.resume()
            if not server.is_running:
                server.start()
        for way in self.ways.values():
            if not way.is_open:
                _wait_for(way.open())
        for node in self.nodes:
            if node.is_running:
                node.resume()
            else:
                node.start()

    def has_nothing_for(self, *uids: int) -> Callable[[], Awaitable[bool]]:
        """Return what tells whether everything has reached these users."""
        listed = ", ".join(map(str, uids))

        async def is_so() -> bool:
            return self.postgres.ask(f"SELECT count(*) FROM x_inbox WHERE uid IN ({listed})") == [(0,)]

        return is_so


def _wait_for(work: Coroutine[Any, Any, None]) -> None:
    blockon(Deferred.fromCoroutine(work))


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
        try:
            await self._probe.request(passing)
        except ResultError:  # the store is away still
            return False
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
