"""Answers: Deferreds to Twisted, and awaitable by asyncio."""

import asyncio
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from imd.client.answer import Answer, answer, driven


async def awaited(waiting: Any) -> Any:
    return await waiting


class TwistedTests(SynchronousTestCase):
    def test_a_coroutine_of_twisteds_awaits_it(self) -> None:
        waiting: Answer[int] = Answer()
        result = Deferred.fromCoroutine(awaited(waiting))
        self.assertNoResult(result)
        waiting.callback(5)
        assert self.successResultOf(result) == 5

    def test_what_it_fails_with_is_raised(self) -> None:
        waiting: Answer[int] = Answer()
        result = Deferred.fromCoroutine(awaited(waiting))
        waiting.errback(ValueError("no"))
        self.failureResultOf(result, ValueError)

    def test_a_coroutine_becomes_one(self) -> None:
        waiting: Deferred[int] = Deferred()
        result = answer(awaited(waiting))
        waiting.callback(6)
        assert self.successResultOf(result) == 6

    def test_cancelling_it_cancels_what_it_waits_for(self) -> None:
        cancelled: list[object] = []
        result = answer(awaited(Deferred(cancelled.append)))
        result.addErrback(lambda _: None)
        result.cancel()
        assert len(cancelled) == 1

    def test_without_asyncio_what_is_driven_is_twisteds(self) -> None:
        waiting: Deferred[int] = Deferred()
        result = driven(awaited(waiting))
        waiting.callback(7)
        assert self.successResultOf(result) == 7


class AsyncioTests(SynchronousTestCase):
    def run_(self, work: Any) -> Any:
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(work)
        finally:
            loop.close()

    def later(self, *, error: Exception | None = None) -> Answer[int]:
        """Return an answer that fires a moment later."""
        waiting: Answer[int] = Answer()
        fire = (lambda: waiting.callback(5)) if error is None else (lambda: waiting.errback(error))
        asyncio.get_running_loop().call_later(0, fire)
        return waiting

    def test_a_coroutine_of_asyncios_awaits_it(self) -> None:
        async def work() -> int:
            return await self.later()

        assert self.run_(work()) == 5

    def test_so_it_does_where_it_has_fired_already(self) -> None:
        async def work() -> int:
            waiting: Answer[int] = Answer()
            waiting.callback(6)
            return await waiting

        assert self.run_(work()) == 6

    def test_what_it_fails_with_is_raised(self) -> None:
        async def work() -> int:
            return await self.later(error=ValueError("no"))

        with self.assertRaises(ValueError):
            self.run_(work())

    def test_asyncio_can_gather_and_wait_for_it(self) -> None:
        async def work() -> list[int]:
            return [*await asyncio.gather(self.later(), self.later()), await asyncio.wait_for(self.later(), 10)]

        assert self.run_(work()) == [5, 5, 5]

    def test_who_waits_too_long_goes_on_without_it(self) -> None:
        async def work() -> None:
            await asyncio.wait_for(Answer(), 0.01)

        with self.assertRaises(TimeoutError):
            self.run_(work())

    def test_twisteds_coroutines_still_await_it_within_a_task(self) -> None:
        async def work() -> int:
            waiting = self.later()
            result = answer(awaited(waiting))
            return await result

        assert self.run_(work()) == 5

    def test_what_is_driven_may_await_what_is_asyncios(self) -> None:
        async def asyncios() -> int:
            await asyncio.sleep(0)
            return await self.later()

        async def work() -> int:
            waiting: Answer[int] = Answer()
            driven(asyncios()).chainDeferred(waiting)
            return await waiting

        assert self.run_(work()) == 5
