"""`imctl nodes`: the nodes that share a Redis, as it knows them."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.task import react

from imd.cli.options import configured
from imd.config import Config
from imd.errors import ConfigError, StartError, UnavailableError
from imd.presence.about import decode_about
from imd.presence.cluster import ABOUT, PREFIX
from imd.presence.leases import name
from imd.presence.link import RedisLink
from imd.presence.settings import redis_of
from imd.redis.address import RedisAddress

WITHIN = 5.0
"""Seconds in which Redis has to answer."""

_AWAY = 75

Ask = Callable[..., "Deferred[Any]"]
"""Sends a command to Redis."""


@dataclass(frozen=True, slots=True)
class Node:
    """One run of a node: how many users are online on it, by how many sessions, and its lease.

    ``lag`` and ``lease_left`` are seconds, since the lease was last renewed and until it ends: both are None for a node
    that has left. ``version`` is empty and ``sessions`` None where the node has not told it, or not for a while.
    """

    node: str
    run: str
    users: int
    sessions: int | None
    version: str
    lag: float | None
    lease_left: float | None

    @property
    def state(self) -> str:
        """What to make of the lease."""
        if self.lease_left is None:
            return "has left"
        return "runs" if self.lease_left > 0 else "dead"


@click.command()
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@configured
def nodes(config: Config, is_json: bool) -> None:
    """List the nodes: the users online on each, their sessions, its version, and how it keeps its lease.

    SESSIONS is as of a few seconds ago. LAG is how long ago a node has renewed its lease, which it does three times in
    [presence] lease_seconds.
    """
    address = redis_of(config.presence)
    if address is None:
        raise ConfigError(
            "There is one node only: [presence] url is memory:. Name the nodes' Redis there, or in IMD_PRESENCE_URL."
        )
    found = _found(address, config.presence.lease_seconds)
    if is_json:
        click.echo(json.dumps([asdict(node) | {"state": node.state} for node in found]))
    elif found:
        Console().print(_table(found))
    else:
        click.echo(f"No node has come to Redis at {address}.")


async def look(ask: Ask, lease: float) -> list[Node]:
    """Return what Redis knows of the nodes, whose leases are ``lease`` seconds, in the order of their names."""
    leases = await ask("HGETALL", f"{PREFIX}:nodes")
    seconds, micros = await ask("TIME")
    now = int(seconds) + int(micros) / 1_000_000
    found = []
    for incarnation, value in zip(leases[::2], leases[1::2], strict=True):
        users = await ask("SCARD", f"{PREFIX}:node:{incarnation.decode()}")
        about = decode_about(await ask("GET", f"{ABOUT}{incarnation.decode()}"))
        ends = int(value.split(b" ")[1]) / 1000
        left = round(ends - now, 3) if ends else None
        found.append(
            Node(
                node=name(incarnation),
                run=incarnation.decode().rpartition(":")[2],
                users=int(users),
                sessions=about.sessions,
                version=about.version,
                lag=None if left is None else round(lease - left, 3),
                lease_left=left,
            )
        )
    return sorted(found, key=lambda node: (node.node, node.run))


def _found(address: RedisAddress, lease: float) -> list[Node]:
    found: list[list[Node]] = []

    async def main(reactor: Any) -> None:
        link = RedisLink(reactor, address.endpoint(reactor, WITHIN), address, timeout=WITHIN)
        connected: Deferred[None] = Deferred()
        link.watch(lambda: None if connected.called else connected.callback(None))
        link.start()
        with suppress(DeferredTimeoutError, UnavailableError):
            await connected.addTimeout(WITHIN, reactor)
            found.append(await look(link.call, lease))
        await link.stop()

    with suppress(SystemExit):  # which is how it returns
        react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
    if not found:
        raise StartError(f"Redis at {address} can't be reached, or does not let us in", _AWAY)
    return found[0]


def _table(found: Sequence[Node]) -> Table:
    table = Table(box=None)
    for heading in ("node", "run", "state", "version"):
        table.add_column(heading)
    for heading in ("users", "sessions", "lag", "lease left"):
        table.add_column(heading, justify="right")
    for node in found:
        lag, left = (f"{value:.1f} s" if value is not None else "" for value in (node.lag, node.lease_left))
        sessions = "unknown" if node.sessions is None else f"{node.sessions:,}"
        table.add_row(
            node.node, node.run, node.state, node.version or "unknown", f"{node.users:,}", sessions, lag, left
        )
    return table
