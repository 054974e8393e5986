"""The local store's thread: one commit for all that gathered, and each who asked told what became of it."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from imd.client.database import Database
from imd.client.errors import BusyError, StoreError
from imd.client.store import Intake, Store

from ..test_batching import Reactor


class StoreTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.database = Database(None, 7)
        self.store = Store(self.reactor, self.database, 0.0, max_calls=5)
        self.store.open()
        self.commits = 0
        begin = self.database.transaction

        def transaction() -> Any:
            self.commits += 1
            return begin()

        self.database.transaction = transaction  # type: ignore[method-assign]
        self.told: list[Any] = []
        self.numbers: Intake[int, int] = Intake("numbers", sum, self.done, self.failed)
        self.addCleanup(self.close)

    def done(self, items: list[int], result: int) -> None:
        self.told.append((items, result))

    def failed(self, items: list[int], error: Exception) -> None:
        self.told.append((items, type(error)))

    def close(self) -> None:
        closed = Deferred.fromCoroutine(self.store.close())
        while not closed.called:
            self.reactor.hear()

    def test_what_gathers_in_one_turn_is_one_commit_and_one_call_of_each_kind(self) -> None:
        calls = [self.store.call(lambda _, n=n: n) for n in range(2)]
        for number in (1, 2, 3):
            self.store.put(self.numbers, number)
        self.reactor.turn()
        self.reactor.hear()
        assert self.told == [([1, 2, 3], 6)]
        assert [self.successResultOf(call) for call in calls] == [0, 1]
        assert self.commits == 1

    def test_a_call_sees_what_was_put_before_it(self) -> None:
        def insert(items: list[int]) -> None:
            self.database.run("UPDATE x_account SET since = ?", items[-1])

        self.store.put(Intake("since", insert, lambda *_: None, self.failed), 5)
        seen = self.store.call(lambda database: database.run("SELECT since FROM x_account"))
        self.reactor.turn()
        self.reactor.hear()
        assert self.successResultOf(seen) == [(5,)]

    def test_a_call_that_fails_does_so_alone(self) -> None:
        failing = self.store.call(lambda database: database.run("nonsense"))
        other = self.store.call(lambda _: 1)
        self.store.put(self.numbers, 1)
        self.reactor.turn()
        self.reactor.hear()
        self.failureResultOf(failing)
        assert self.successResultOf(other) == 1
        assert self.told == [([1], 1)]

    def test_a_commit_that_fails_is_told_to_everyone_in_it(self) -> None:
        def fail(_: object) -> None:
            raise OSError("the disk is full")

        self.store.put(Intake("failing", fail, lambda *_: None, self.failed), 9)
        call = self.store.call(lambda _: 1)
        self.reactor.turn()
        self.reactor.hear()
        assert "the disk is full" in str(self.failureResultOf(call, StoreError).value)
        assert self.told == [([9], StoreError)]

    def test_no_more_than_so_many_calls_wait(self) -> None:
        calls = [self.store.call(lambda _: 1) for _ in range(6)]
        self.failureResultOf(calls[5], BusyError)
        self.reactor.turn()
        self.reactor.hear()
        self.successResultOf(calls[4])
        self.assertNoResult(self.store.call(lambda _: 1))

    def test_a_closed_store_takes_nothing(self) -> None:
        self.close()
        self.failureResultOf(self.store.call(lambda _: 1), StoreError)
        self.store.put(self.numbers, 1)
        assert self.told == [([1], StoreError)]
