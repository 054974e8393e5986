"""The readers: queries on threads of their own, so that no read delays a commit."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from imd.batching import IReactor
from imd.errors import UnavailableError

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")

MAX_READING = 10_000
"""Reads that may wait for a reader."""


class Readers:
    """Runs queries on ``count`` threads."""

    _log = Logger()

    def __init__(self, reactor: IReactor, engine: Engine, count: int) -> None:
        self._reactor = reactor
        self._engine = engine
        self._threads = ThreadPoolExecutor(count, "imd-read")
        self._reading = 0

    def stop(self) -> None:
        """Finish what is being read, and end the threads."""
        self._threads.shutdown()

    async def read(
        self,
        query: Callable[Concatenate[Connection, Parameters], Value],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Value:
        """Return what ``query`` returns or raises. Raises UnavailableError where too many wait, or the store fails."""
        if self._reading >= MAX_READING:
            raise UnavailableError("too many reads are waiting; ask again later")
        answer: Deferred[Value] = Deferred()

        def run() -> None:
            try:
                with self._engine.connect() as connection:
                    value = query(connection, *args, **kwargs)
            except OperationalError:
                self._log.failure("the store could not be read; who asked is told")
                refusal = UnavailableError("the store failed; ask again later")
                self._reactor.callFromThread(answer.errback, refusal)
            except BaseException:
                self._reactor.callFromThread(answer.errback, Failure())
            else:
                self._reactor.callFromThread(answer.callback, value)

        self._reading += 1
        try:
            self._threads.submit(run)
            return await answer
        finally:
            self._reading -= 1
