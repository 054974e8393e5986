"""The local store's thread: what gathers while one commit runs goes into the next one."""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from imd.batching import Batching, IReactor
from imd.client.database import Database
from imd.client.errors import BusyError, StoreError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Intake(NamedTuple, Generic[Item, Result]):
    """One kind of write: a whole batch of it is one call.

    ``write`` runs on the store's thread; ``done`` gets the items and what it returned once that is committed,
    ``failed`` the items and why they are not in.
    """

    name: str
    write: Callable[[list[Item]], Result]
    done: Callable[[list[Item], Result], None]
    failed: Callable[[list[Item], Exception], None]


class _Call(NamedTuple):
    """Anything else: one function that is run on the database."""

    run: Callable[[Database], Any]
    answer: Deferred[Any]


_CALLS = "calls"
_Batch = list[tuple[Intake[Any, Any], Any]]
_Written = list[tuple[Intake[Any, Any], list[Any], Any]]


class Store:
    """A Database on a thread of its own; ``batching`` makes the loop."""

    _log = Logger()

    def __init__(
        self, reactor: IReactor, database: Database, gap: float, max_calls: int, batching: Callable[..., Any] = Batching
    ) -> None:
        self.database = database
        self._max_calls = max_calls
        self._calls_waiting = 0
        self._calls: Intake[_Call, list[Any]] = Intake(_CALLS, self._run_calls, self._answer_calls, self._fail_calls)
        self._batching: Batching[tuple[Intake[Any, Any], Any], _Written] = batching(
            reactor, "imd-store", self._work, self._done, self._failed, gap
        )
        self._is_open = False

    @property
    def is_open(self) -> bool:
        """Whether it takes in anything."""
        return self._is_open

    def open(self) -> None:
        """Open the database. Raises StoreError."""
        self.database.open()
        self._batching.start()
        self._is_open = True

    async def close(self) -> None:
        """Write what waits, and close the database."""
        if self._is_open:
            self._is_open = False
            await self._batching.stop()
            self.database.close()

    def put(self, intake: Intake[Item, Any], item: Item) -> None:
        """Let ``item`` be written with the next batch."""
        if self._is_open:
            self._batching.put((intake, item))
        else:
            intake.failed([item], StoreError("the local store is closed"))

    def call(self, run: Callable[[Database], Result]) -> "Deferred[Result]":
        """Run a function in the next batch's transaction, after what was put before it.

        Fires with what it returns once that is committed; fails as it does, undone, or with BusyError or StoreError.
        """
        if not self._is_open:
            return fail(StoreError("the local store is closed"))
        if self._calls_waiting >= self._max_calls:
            return fail(BusyError(f"{self._max_calls} reads and writes of the local store wait already"))
        answer: Deferred[Result] = Deferred()
        self._calls_waiting += 1
        self._batching.put((self._calls, _Call(run, answer)))
        return answer

    # On the thread.

    def _work(self, batch: _Batch) -> _Written:
        kinds: dict[str, tuple[Intake[Any, Any], list[Any]]] = {}
        for intake, item in batch:
            kind = kinds.get(intake.name)
            if kind is None:
                kinds[intake.name] = intake, [item]
            else:
                kind[1].append(item)
        if (calls := kinds.pop(_CALLS, None)) is not None:
            kinds[_CALLS] = calls  # last, so that they see all that was put before them
        with self.database.transaction():
            return [(intake, items, intake.write(items)) for intake, items in kinds.values()]

    def _run_calls(self, calls: list[_Call]) -> list[Any]:
        results: list[Any] = []
        for call in calls:
            try:
                with self.database.savepoint():
                    results.append(call.run(self.database))
            except Exception:
                results.append(Failure())
        return results

    # In the reactor.

    def _done(self, _batch: _Batch, written: _Written) -> None:
        for intake, items, result in written:
            try:
                intake.done(items, result)
            except Exception:
                self._log.failure("what was stored could not be told")

    def _failed(self, batch: _Batch, failure: Failure) -> None:
        self._log.error("the local store failed: {reason}", reason=failure.getErrorMessage())
        error = StoreError(f"the local store failed: {failure.getErrorMessage()}")
        for intake, item in batch:
            intake.failed([item], error)

    def _answer_calls(self, calls: list[_Call], results: list[Any]) -> None:
        self._calls_waiting -= len(calls)
        for call, result in zip(calls, results, strict=True):
            call.answer.callback(result)

    def _fail_calls(self, calls: list[_Call], error: Exception) -> None:
        self._calls_waiting -= len(calls)
        for call in calls:
            call.answer.errback(Failure(error))
