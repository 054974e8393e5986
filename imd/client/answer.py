"""What the client's methods return: a Deferred that asyncio can await too."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, TypeVar, cast

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.python.failure import Failure

ResultT = TypeVar("ResultT")


class Answer(Deferred[ResultT]):
    """A Deferred in all respects, which a coroutine of asyncio can await as well.

    A coroutine that awaits hands this object to whoever runs it. Twisted expects a Deferred there, and asyncio
    something that has the four names below, a future's. That takes Twisted's asyncio reactor, since there is one loop.
    """

    def __iter__(self) -> Generator[Deferred[ResultT], None, ResultT]:
        """Wait for the result."""
        # Of the object, not of the class: asyncio.gather and wait_for then wrap it into a task, as any awaitable.
        self._asyncio_future_blocking = True
        return super().__iter__()

    __await__ = __iter__

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop that runs: asyncio asks for it."""
        return asyncio.get_running_loop()

    def add_done_callback(self, callback: Callable[["asyncio.Future[None]"], Any], *, context: Context) -> None:
        """Let asyncio go on once there is a result."""
        fired: asyncio.Future[None] = self.get_loop().create_future()
        fired.add_done_callback(callback, context=context)

        def go_on(result: Any) -> Any:
            fired.set_result(None)
            return result

        self.addBoth(go_on)

    def cancel(self, msg: object = None) -> None:  # noqa: ARG002 - asyncio gives one
        """Wait no longer; what was asked for may be done all the same."""
        super().cancel()
        if getattr(self, "_asyncio_future_blocking", None) is not None:
            self.addErrback(_cancelled)  # asyncio raises an error of its own


def answer(work: Coroutine[Deferred[Any], Any, ResultT]) -> Answer[ResultT]:
    """Run a coroutine, and return what fires with what it returns or raises."""
    running = Deferred.fromCoroutine(work)
    result: Answer[ResultT] = Answer(lambda _: running.cancel())
    running.chainDeferred(result)
    return result


def driven(work: Awaitable[ResultT]) -> Deferred[ResultT]:
    """Run what the application gave: under asyncio where its loop runs, so that it may await what is asyncio's."""
    if isinstance(work, Deferred):
        return work
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return ensureDeferred(cast("Coroutine[Deferred[Any], Any, ResultT]", work))
    return Deferred.fromFuture(asyncio.ensure_future(work, loop=loop))


def failed(error: Exception) -> Answer[Any]:
    """Return an answer that has failed."""
    result: Answer[Any] = Answer()
    result.errback(Failure(error))
    return result


def _cancelled(failure: Failure) -> None:
    failure.trap(CancelledError)
