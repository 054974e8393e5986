"""Two nodes of the load's own, with the PostgreSQL and the Redis that they share."""

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import monotonic, sleep

from imd.cli.bench import programs
from imd.cli.bench.asker import Asker
from imd.cli.bench.daemon import OwnDaemon
from imd.cli.bench.load import Loop, Node, Target
from imd.cli.bench.own_postgresql import OwnPostgresql
from imd.cli.bench.own_redis import OwnRedis
from imd.cli.bench.pairs import ordered_ids
from imd.cli.bench.target import first_uid
from imd.cli.bench.wire import LoadError
from imd.config import Config
from imd.storage import open as storage
from imd.wire.bodies import ImMsg, ImMsgAck
from imd.wire.commands import Command
from imd.wire.enums import MsgType

_NODES = ("n1", "n2")
_REACH_SECONDS = 30.0
_RETRY_SECONDS = 0.1
_SETTINGS = {"shared_buffers": "256MB", "max_wal_size": "4GB"}
"""Of PostgreSQL, such as are given to a small server; what makes commits durable stays as it is by default."""

_TOLD = ("fsync", "synchronous_commit", "full_page_writes", "wal_level", "shared_buffers", "max_wal_size", "autovacuum")


class OwnCluster:
    """Two nodes; as a context they are started with what they share, and gone at the end with all they held.

    ``config`` names the PostgreSQL, whose schema has to be there, and the Redis; without it they are its own.
    ``below(n)`` draws a number under n. Raises LoadError where something is not there or doesn't start.
    """

    def __init__(self, config: Config | None, below: Callable[[int], int]) -> None:
        self._config = config
        self._below = below
        self._secret = os.urandom(32).hex()
        self._nodes: list[OwnDaemon] = []
        self._beside: tuple[tuple[str, int], ...] = ()
        self._told: list[str] = []
        self._stack = ExitStack()

    def __enter__(self) -> "OwnCluster":
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    def target(self) -> Target:
        """Return the nodes as a target, with uids of its own."""
        first, *others = [Node(node.host, node.port, node.pid) for node in self._nodes]
        return Target(
            first.host,
            first.port,
            first.pid,
            self._secret.encode(),
            first_uid(self._below),
            self._below(1 << 32),
            tuple(others),
            self._beside,
        )

    def told(self) -> list[str]:
        """Return lines that say what was started: programs, versions, addresses, where data lies."""
        return self._told

    def _start(self, stack: ExitStack) -> None:
        folder = Path(tempfile.mkdtemp(prefix="imd-cluster-"))
        stack.callback(partial(shutil.rmtree, folder))
        shared = self._own_servers(stack, folder) if self._config is None else self._configured(self._config)
        secret = folder / "token.secret"
        secret.touch(mode=0o600)
        secret.write_text(self._secret)
        for name in _NODES:
            variables = {"IMD_NODE": name, "IMD_SSO_SECRET_FILE": str(secret), **shared}
            node = OwnDaemon(folder / name, variables)
            stack.callback(node.kill)
            node.start()
            self._nodes.append(node)
            self._told.append(f"imd: node {name} at {node.host}:{node.port}, pid {node.pid}")
        self._told.append(f"  data in {folder}")
        self._await_each_other()

    def _own_servers(self, stack: ExitStack, folder: Path) -> dict[str, str]:
        postgresql = stack.enter_context(OwnPostgresql(programs.postgresql(), _SETTINGS))
        redis = stack.enter_context(OwnRedis(programs.redis(), folder))
        postgresql.ask("CREATE DATABASE imd")
        storage.upgrade(postgresql.url("imd"), "")
        self._beside = (("postgresql", postgresql.pid), ("redis", redis.pid))
        shown = [f"{name} {postgresql.ask(f'SHOW {name}')[0][0]}" for name in _TOLD]
        self._told += [
            f"PostgreSQL {postgresql.version}: {postgresql.programs}, pid {postgresql.pid}",
            f"  socket and data in {postgresql.home}",
            f"  {', '.join(shown)}",
            f"Redis {redis.version}: {redis.program}, pid {redis.pid}",
            f"  at {redis.url}, nothing on disk",
        ]
        return {"IMD_STORAGE_URL": postgresql.url("imd"), "IMD_PRESENCE_URL": f"{redis.url}/0"}

    def _configured(self, config: Config) -> dict[str, str]:
        if config.is_on_sqlite or config.presence.url == "memory:":
            raise LoadError("Two nodes share a PostgreSQL and a Redis: name both by [storage] url and [presence] url.")
        self._told.append("PostgreSQL and Redis: those of the configuration, whose CPU is not measured")
        return {
            "IMD_STORAGE_URL": config.storage.url,
            "IMD_STORAGE_PASSWORD_FILE": config.storage.password_file,
            "IMD_PRESENCE_URL": config.presence.url,
            "IMD_PRESENCE_PASSWORD_FILE": config.presence.password_file,
        }

    def _await_each_other(self) -> None:
        """Return once users can log in on both nodes, and what is said on either is heard on the other."""
        end = monotonic() + _REACH_SECONDS
        while True:
            try:
                with Loop(self.target()) as loop:
                    _await_each_other(loop, first_uid(self._below), end)
                return
            except LoadError as error:  # a node that doesn't know Redis yet refuses logins
                if monotonic() > end:
                    raise LoadError(f"The nodes don't reach each other: {error}") from error
            sleep(_RETRY_SECONDS)


def _await_each_other(loop: Loop, uid: int, end: float) -> None:
    """Let a user of each node send to the other one until both have heard of it. Raises LoadError."""
    heard: set[int] = set()
    askers = [Asker(loop, uid), Asker(loop, uid + 1)]
    for asker in askers:
        asker.on_push = partial(_note, heard, asker.uid)
    loop.log_in(askers)
    new_id = ordered_ids(loop.rng)
    while len(heard) < len(askers):
        if monotonic() > end:
            raise LoadError("what is said on one is not heard on the other.")
        for asker, other in zip(askers, reversed(askers), strict=True):
            passing = ImMsg(msg_id=new_id(), msg_type=MsgType.PASSTHROUGH, receiver_id=other.uid)
            asker.ask(Command.IM_SEND_MSG, passing, ImMsgAck)
        loop.wait(_RETRY_SECONDS)


def _note(heard: set[int], uid: int, _message: ImMsg) -> None:
    heard.add(uid)
