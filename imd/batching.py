"""The batching loop: what gathers while one batch runs is the next batch.

Idle, a batch is one item at once; under load it grows by itself. Shared by the server's group commit and the client's
local store.
"""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.python.failure import Failure

Item = TypeVar("Item")
Result = TypeVar("Result")


class IReactor(IReactorTime, IReactorFromThreads):
    """What the loop needs of a reactor."""


class Batching(Generic[Item, Result]):
    """Runs ``work`` over batches of items on one thread of its own, ``done`` with its result in the reactor.

    ``gap`` (seconds) is the least time between the starts of two batches while loaded, which is after a batch of more
    than one: then the store pays for fewer commits.
    ``failed`` gets the batch and the Failure where ``work`` raises. Every method belongs to the reactor's thread.
    """

    def __init__(
        self,
        reactor: IReactor,
        name: str,
        work: Callable[[list[Item]], Result],
        done: Callable[[list[Item], Result], None],
        failed: Callable[[list[Item], Failure], None],
        gap: float = 0.0,
    ) -> None:
        self._reactor = reactor
        self._name = name
        self._work = work
        self._done = done
        self._failed = failed
        self._gap = gap
        self._waiting: list[Item] = []
        self._is_running = False
        self._is_due = False
        self._not_before = 0.0
        self._batches: SimpleQueue[list[Item] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._stopped: Deferred[None] | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """The number of items that wait for the batch after the one that runs."""
        return len(self._waiting)

    def put(self, item: Item) -> None:
        """Put an item into the next batch; items keep their order."""
        self._waiting.append(item)
        if not self._is_due:
            self._schedule()

    def stop(self) -> Deferred[None]:
        """Run what waits, end the thread, and fire."""
        self._stopped = Deferred()
        self._not_before = 0.0
        self._next()
        return self._stopped

    def _schedule(self) -> None:
        # After this turn of the reactor, so that all it reads goes into one batch.
        if not self._is_running:
            self._is_due = True
            pause = self._not_before - self._reactor.seconds()
            # Never longer than the gap, should the clock have been set back.
            self._reactor.callLater(min(max(0.0, pause), self._gap), self._next)

    def _next(self) -> None:
        self._is_due = False
        if self._is_running:
            return
        if self._waiting:
            batch, self._waiting = self._waiting, []
            self._is_running = True
            if len(batch) > 1:
                self._not_before = self._reactor.seconds() + self._gap
            self._batches.put(batch)
        elif self._stopped is not None and self._thread is not None:
            self._batches.put(None)
            self._thread.join()
            self._thread = None
            self._stopped.callback(None)

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            try:
                result = self._work(batch)
            except BaseException:
                self._reactor.callFromThread(self._finish, self._failed, batch, Failure())
            else:
                self._reactor.callFromThread(self._finish, self._done, batch, result)

    def _finish(self, tell: Callable[..., None], batch: list[Item], outcome: object) -> None:
        self._is_running = False
        # The next batch starts before this one is told of, so that the disk doesn't wait for the network.
        if self._waiting and not self._is_due:
            if self._reactor.seconds() >= self._not_before:
                self._next()
            else:
                self._schedule()
        try:
            tell(batch, outcome)
        finally:
            if self._stopped is not None:
                self._next()
