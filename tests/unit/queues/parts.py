"""What the tests of relays stand on: a store and a queue that do what the test says."""

from collections.abc import Collection, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from imd.errors import UnavailableError
from imd.ports.upstream import IUpstreamQueue, IUpstreamStore, Queued, Settled
from imd.queues.relay import GAP, Relay


@implementer(IUpstreamStore)
class Store:
    """Keeps reports in memory; while ``is_away`` it does nothing. While ``is_slow``, reads wait for ``answer``."""

    def __init__(self) -> None:
        self.rows: dict[int, Queued] = {}
        self.dead: list[int] = []
        self.settled: list[Settled] = []
        self.reads: list[tuple[int, tuple[int, ...]]] = []
        self.leases: dict[str, str] = {}
        self.is_away = False
        self.is_slow = False
        self._pages: list[tuple[Deferred[None], list[Queued]]] = []
        self._last = 0

    def add(self, uid: int, attempts: int = 0) -> int:
        """Keep one more report."""
        self._last += 1
        self.rows[self._last] = Queued(self._last, uid, f"m{self._last}", "", b"{}", 0, attempts)
        return self._last

    def answer(self) -> None:
        """Let the reads that wait have what was there when they were asked for."""
        pages, self._pages = self._pages, []
        for waiting, _ in pages:
            waiting.callback(None)

    async def queued(
        self, destination: str, after: int, limit: int, size: int, without: Collection[int]
    ) -> Sequence[Queued]:
        self._check()
        self.reads.append((after, tuple(without)))
        found = [row for id_, row in sorted(self.rows.items()) if id_ > after and id_ not in self.dead]
        page = [row for row in found if row.uid not in without][:limit]
        if self.is_slow:
            waiting: Deferred[None] = Deferred()
            self._pages.append((waiting, page))
            await waiting
        return page

    async def settle(self, destination: str, settled: Settled) -> None:
        self._check()
        self.settled.append(settled)
        for id_ in settled.taken:
            self.rows.pop(id_, None)
        for id_, attempts in settled.refused:
            self.rows[id_] = self.rows[id_]._replace(attempts=attempts)
        self.dead += settled.dead

    async def lease(self, destinations: Collection[str], node: str, seconds: float) -> Collection[str]:
        self._check()
        return [name for name in destinations if self.leases.setdefault(name, node) == node]

    async def release(self, destinations: Collection[str], node: str) -> None:
        self._check()
        for name in destinations:
            if self.leases.get(name) == node:
                del self.leases[name]

    def _check(self) -> None:
        if self.is_away:
            raise UnavailableError("away")


@implementer(IUpstreamQueue)
class Queue:
    """Keeps what is put: at once, or once the test says so. ``fails`` holds the errors of what it doesn't take."""

    def __init__(self, batch: int = 1, width: int = 4) -> None:
        self.batch = batch
        self.width = width
        self.is_slow = False
        self.is_started = False
        self.error: Exception | None = None
        self.fails: dict[int, Exception] = {}
        self.under_way: list[tuple[list[int], Deferred[None]]] = []
        self.taken: list[int] = []
        self.tried: list[list[int]] = []

    def start(self) -> None:
        self.is_started = True

    async def stop(self) -> None:
        self.is_started = False

    def put(self, reports: Sequence[Queued]) -> "Deferred[None]":
        ids = [report.id for report in reports]
        self.tried.append(ids)
        assert len(ids) <= self.batch
        if self.is_slow:
            self.under_way.append((ids, Deferred()))
            return self.under_way[-1][1]
        error = self.error or self.fails.get(ids[0])
        if error is not None:
            return fail(error)
        self.taken += ids
        return succeed(None)

    def confirm(self, *ids: int) -> None:
        """Take what is under way with these ids."""
        self._end(list(ids), None)

    def refuse(self, error: Exception, *ids: int) -> None:
        """Fail what is under way with these ids."""
        self._end(list(ids), error)

    def _end(self, ids: list[int], error: Exception | None) -> None:
        (found,) = [put for put in self.under_way if put[0] == ids]
        self.under_way.remove(found)
        if error is None:
            self.taken += ids
            found[1].callback(None)
        else:
            found[1].errback(error)


class RelayTestCase(SynchronousTestCase):
    attempts = 3

    def setUp(self) -> None:
        self.clock = Clock()
        self.store = Store()
        self.queue = Queue()
        self.relay = self.new_relay()

    def new_relay(self) -> Relay:
        return Relay(self.clock, self.store, self.queue, "orders", self.attempts)

    def use(self, **settings: Any) -> None:
        """Have another queue."""
        self.queue = Queue(**settings)
        self.relay = self.new_relay()

    def lead(self, seconds: float = 1e6) -> None:
        self.relay.lead(self.clock.seconds() + seconds)

    def wake(self) -> None:
        """Let it look, with whatever pause there is between two looks."""
        self.relay.wake()
        self.clock.pump([GAP] * 3)
