"""The readers: queries on threads of their own, so that no read delays a commit."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from imd.batching import IReactor
from imd.errors import UnavailableError
from imd.storage.database import Database, Fault
from imd.storage.outage import Outage

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")

MAX_READING = 10_000
"""Reads that may wait for a reader."""


class Readers:
    """Runs queries on ``count`` threads."""

    _log = Logger()

    def __init__(self, reactor: IReactor, database: Database, outage: Outage, count: int) -> None:
        self._reactor = reactor
        self._database = database
        self._outage = outage
        self._threads = ThreadPoolExecutor(count, "imd-read")
        self._reading = 0
        self._is_stopping = False

    def stop(self) -> None:
        """Finish what is being read, and end the threads."""
        self._is_stopping = True
        self._threads.shutdown()

    async def read(
        self,
        query: Callable[Concatenate[Connection, Parameters], Value],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Value:
        """Return what ``query`` returns or raises. Raises UnavailableError where too many wait, or the store fails."""
        self._outage.check()
        if self._is_stopping:
            raise UnavailableError("this node is being stopped; ask another one")
        if self._reading >= MAX_READING:
            raise UnavailableError("too many reads are waiting; ask again later")
        answer: Deferred[Value] = Deferred()

        def run() -> None:
            try:
                with self._database.reading() as connection:
                    value = query(connection, *args, **kwargs)
            except BaseException as error:
                self._reactor.callFromThread(self._failed, answer, Failure(), self._database.fault(error))
            else:
                self._reactor.callFromThread(answer.callback, value)

        self._reading += 1
        try:
            self._threads.submit(run)
            return await answer
        finally:
            self._reading -= 1

    def _failed(self, answer: Deferred[Value], failure: Failure, fault: Fault) -> None:
        if fault is Fault.ROW:
            answer.errback(failure)
            return
        if fault is Fault.LOST:
            self._outage.begin()
        self._log.error("the store could not be read; who asked is told: {reason}", reason=failure.getErrorMessage())
        answer.errback(UnavailableError("the store failed; ask again later"))
