"""The relays of a node: each destination is carried on by one node at a time."""

from twisted.internet.defer import Deferred

from imd.queues.relay import Relay
from imd.queues.relays import POLL_SECONDS, Relays

from .parts import Queue, RelayTestCase

LEASE = 15.0


class Node(Relays):
    """Relays of one destination, and its queue."""

    def __init__(self, case: RelayTestCase, name: str) -> None:
        self.queue = Queue()
        relay = Relay(case.clock, case.store, self.queue, "orders", 3)
        super().__init__(case.clock, case.store, [(relay, self.queue)], name, LEASE)


class Leases(RelayTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.one, self.two = Node(self, "n1"), Node(self, "n2")

    def add(self) -> int:
        """Keep one more report, and let it be found."""
        added = self.store.add(1)
        self.clock.pump([POLL_SECONDS] * 2)
        return added

    def stop(self, node: Node) -> "Deferred[None]":
        stopped = Deferred.fromCoroutine(node.stop(5))
        self.clock.advance(0.01)
        return stopped

    def test_the_first_one_carries_on_and_the_other_waits(self) -> None:
        self.one.start()
        self.two.start()
        self.add()
        assert (self.one.queue.taken, self.two.queue.taken) == ([1], [])

    def test_one_that_is_stopped_leaves_to_the_other_at_once(self) -> None:
        self.one.start()
        self.two.start()
        self.add()
        self.successResultOf(self.stop(self.one))
        self.clock.advance(LEASE / 3)
        self.add()
        assert (self.one.queue.taken, self.two.queue.taken) == ([1], [2])

    def test_one_that_can_not_renew_its_lease_ends_with_it(self) -> None:
        self.one.start()
        self.store.is_away = True
        self.clock.pump([LEASE / 6] * 7)
        self.store.is_away = False
        self.store.leases["orders"] = "n2"
        self.add()
        assert self.one.queue.taken == []

    def test_one_whose_lease_was_taken_ends(self) -> None:
        self.one.start()
        self.store.leases["orders"] = "n2"
        self.clock.advance(LEASE / 3)
        self.add()
        assert self.one.queue.taken == []

    def test_a_stop_while_the_store_is_away_ends(self) -> None:
        self.one.start()
        self.store.is_away = True
        self.successResultOf(self.stop(self.one))
        assert not self.one.queue.is_started

    def test_it_is_woken_by_what_is_durable(self) -> None:
        self.one.start()
        self.store.add(1)
        self.one.wake({"orders"})
        self.clock.advance(0.02)
        assert self.one.queue.taken == [1]

    def test_without_destinations_nothing_is_asked(self) -> None:
        relays = Relays(self.clock, self.store, [], "n1", LEASE)
        relays.start()
        assert self.clock.getDelayedCalls() == []
        self.successResultOf(Deferred.fromCoroutine(relays.stop(5)))
