"""All relays of a node, and the leases by which one node carries a destination's reports on at a time."""

from collections.abc import Collection, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from imd.errors import UnavailableError
from imd.ports.upstream import IUpstreamQueue, IUpstreamStore
from imd.queues.relay import Relay
from imd.repeating import Repeating

RENEWALS = 3
"""How often a lease is renewed while it lasts."""

POLL_SECONDS = 0.5
"""How often is looked for what other nodes, or imctl, have put into the store."""


class Relays:
    """Starts the queues, keeps the leases of ``lease`` seconds, and tells each relay whether it leads.

    A lease is counted from before it was asked for: a node that was stopped for a while sends nothing more by an old
    one. Where two nodes send all the same, one of them just woken, each report may arrive twice and, counted by its
    first arrival, none out of order: both go through the same reports in the same order.
    """

    _log = Logger(namespace="imd.queues")

    def __init__(
        self,
        clock: IReactorTime,
        store: IUpstreamStore,
        relays: Sequence[tuple[Relay, IUpstreamQueue]],
        node: str,
        lease: float,
    ) -> None:
        self._clock = clock
        self._store = store
        self._relays = {relay.destination: relay for relay, _ in relays}
        self._queues = [queue for _, queue in relays]
        self._node = node
        self._lease = lease
        self._renewals = Repeating(clock, lease / RENEWALS, self._renew)
        self._polls = Repeating(clock, POLL_SECONDS, self._poll)

    def start(self) -> None:
        """Begin, where there are destinations."""
        if not self._relays:
            return
        for queue in self._queues:
            queue.start()
        self._renewals.start()
        self._polls.start()
        Deferred.fromCoroutine(self._renew())

    def wake(self, destinations: Collection[str]) -> None:
        """Look at once for reports to these."""
        for destination in destinations:
            self._relays[destination].wake()

    async def stop(self, seconds: float) -> None:
        """Finish within so long what is under way, and give the leases back; the store has to be there still."""
        if not self._relays:
            return
        self._renewals.stop()
        self._polls.stop()
        stopping = [Deferred.fromCoroutine(relay.stop(seconds)) for relay in self._relays.values()]
        for stopped in stopping:
            await stopped
        for queue in self._queues:
            await queue.stop()
        try:
            await self._store.release(tuple(self._relays), self._node)
        except UnavailableError as error:
            self._log.warn("leases could not be given back, and end by themselves: {reason}", reason=error)

    def _poll(self) -> None:
        for relay in self._relays.values():
            relay.wake()

    async def _renew(self) -> None:
        until = self._clock.seconds() + self._lease
        try:
            mine = await self._store.lease(tuple(self._relays), self._node, self._lease)
        except UnavailableError:
            return  # what is held ends by itself
        for destination, relay in self._relays.items():
            if destination in mine and self._renewals.is_running:
                relay.lead(until)
            else:
                relay.follow()
