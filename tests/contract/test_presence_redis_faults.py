"""Presence in Redis under random logins and faults: in the end each place has one session, and all see it there."""

import itertools
from collections.abc import Iterable
from contextlib import suppress
from random import Random

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from imd.errors import UnavailableError
from imd.ports.presence import Entry, Location

from .conftest import NewNode
from .redis_node import Node, together, until
from .redis_server import RedisServer

PACE = {"lease": 1.5, "renew": 0.1, "timeout": 0.3}
UIDS = range(1, 9)
LAST = UIDS[-1]
KINDS = (11, 20)
CUTS = (["CLIENT", "KILL", "TYPE", "normal"], ["CLIENT", "KILL", "TYPE", "pubsub"])


class Gate:
    """A node with sessions, which does with presence what it is meant for."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.sessions: set[Entry] = set()
        self._numbers = itertools.count()
        self.doubts = 0
        self._settled = 0
        node.presence.on_doubt(self._doubt)

    async def login(self, uid: int, client_type: int) -> None:
        entry = Entry(uid, client_type, f"{self.node.name}-{next(self._numbers)}")
        try:
            replaced = await self.node.login(uid, entry.session_id, client_type)
        except UnavailableError:
            return
        self.sessions.add(entry)
        if replaced is not None and replaced.node == self.node.name:
            await self.kick([Entry(uid, client_type, replaced.session_id)])

    async def logout(self, entry: Entry) -> None:
        if entry in self.sessions:
            self.sessions.discard(entry)
            await self.node.logout(entry.uid, entry.session_id, entry.client_type)

    async def kick(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            await self.logout(entry)

    async def check(self) -> None:
        with suppress(UnavailableError):
            await self.kick(await self.node.presence.check())

    def is_settled(self) -> bool:
        return self.node.presence.is_connected and self._settled == self.doubts

    def _doubt(self, _reason: str) -> None:
        self.doubts += 1
        Deferred.fromCoroutine(self._settle())

    async def _settle(self) -> None:
        doubts = self.doubts
        try:
            await self.kick(await self.node.presence.register(list(self.sessions)))
        except UnavailableError:
            return
        self._settled = max(self._settled, doubts)


@pytest.mark.parametrize("seed", range(4))
@ensureDeferred
async def test_after_all_faults_everybody_is_where_their_session_is(
    new_node: NewNode, redis: RedisServer, seed: int
) -> None:
    random = Random(seed)
    gates = [Gate(new_node(name, **PACE)) for name in ("imd1", "imd2", "imd3")]
    for gate in gates:
        await gate.node.start()

    running: list[Deferred[None]] = []

    def step() -> None:
        gate = random.choice(gates)
        if random.random() < 0.6 or not gate.sessions:
            work = gate.login(random.choice(UIDS), random.choice(KINDS))
        else:
            work = gate.logout(random.choice(sorted(gate.sessions)))
        running.append(Deferred.fromCoroutine(work))

    def fault() -> None:
        redis.resume()  # or nobody would answer
        kind = random.randrange(6)
        if kind == 0:
            redis.pause()
        elif kind == 1:
            redis.kill()
            redis.start()
        else:
            redis.ask(*[["FLUSHALL"], ["SCRIPT", "FLUSH"], *CUTS][kind - 2])

    for _ in range(60):
        for _ in range(random.randrange(12)):
            step()
        if random.random() < 0.15:
            fault()
        await deferLater(reactor, random.choice((0, 0.001, 0.05)))
        if random.random() < 0.3:
            redis.resume()
            await random.choice(gates).check()
    redis.resume()

    for work in running:
        await work
    while not await all_agree(gates):
        pass  # a link was lost once more


async def all_agree(gates: list[Gate]) -> bool:
    """Assert that presence is as the gates' sessions are; return false where that can't be said."""
    await until(lambda: all(gate.is_settled() for gate in gates))
    for gate in gates:
        await gate.login(LAST, 11)  # which finds out whether all was flushed a moment ago
    await until(lambda: all(gate.is_settled() for gate in gates))
    doubts = [gate.doubts for gate in gates]
    for gate in gates:
        await gate.check()
    sessions = [(gate, entry) for gate in gates for entry in gate.sessions]
    places: dict[int, dict[int, Location]] = {uid: {} for uid in UIDS}
    for gate, entry in sessions:
        places[entry.uid][entry.client_type] = gate.node.at(entry.session_id)
    found = await together(*(gate.node.sees(uid) for gate in gates for uid in UIDS))
    if doubts != [gate.doubts for gate in gates] or not all(gate.is_settled() for gate in gates):
        return False
    assert len(sessions) == sum(map(len, places.values())), "two sessions have one place"
    assert found == list(places.values()) * len(gates)
    return True
