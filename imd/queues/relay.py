"""The relay of one destination: takes its reports out of the store, in order for each user, and on to its queue.

At least once: a report is deleted when the queue has confirmed it, so one may go twice around a crash, and its
message_id tells. Reports of one user go one after the other; one that the destination refuses holds back its own user's
alone, for longer each time, until it is taken or dead. While the destination is away all wait, and one is tried now and
then.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from imd.errors import UnavailableError
from imd.ports.upstream import IUpstreamQueue, IUpstreamStore, Queued, RejectedError, Settled, TimedOutError

PAGE = 1000
"""Reports that are read at once, and with which no more are read."""

PAGE_BYTES = 8 * 1024 * 1024
"""Bytes of payload that are read at once."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds between two tries while the destination is away: at first, and at most."""

FIRST_HOLD, LONGEST_HOLD = 1.0, 300.0
"""Seconds that a refused report waits: after the first time, and at most; each time it is twice as long."""

GAP = 0.02
"""Seconds between two looks into the store while reports keep coming, so that each finds many."""


class _Put(NamedTuple):
    """Reports under way; ``taken_before`` is how many puts had succeeded when they left."""

    reports: list[Queued]
    taken_before: int


class Relay:
    """Carries one destination's reports on, while it has the lease.

    What the destination has refused ``attempts`` times is dead.
    """

    _log = Logger(namespace="imd.queues")

    def __init__(
        self, clock: IReactorTime, store: IUpstreamStore, queue: IUpstreamQueue, destination: str, attempts: int
    ) -> None:
        self.destination = destination
        self._clock = clock
        self._store = store
        self._queue = queue
        self._attempts = attempts
        self._until = 0.0
        self._is_stopping = False
        # What is read: reports of users by uid, the users whose first one may go, those with one under way, and those
        # whose first one was refused and has to wait.
        self._lanes: dict[int, deque[Queued]] = {}
        self._ready: deque[int] = deque()
        self._busy: set[int] = set()
        self._held: dict[int, tuple[int, IDelayedCall]] = {}
        self._known: set[int] = set()
        """Ids of all of these, and of those whose end isn't stored yet."""
        self._after = 0
        self._has_more = False
        self._is_reading = False
        self._is_stale = False
        self._next_read = 0.0
        self._look: IDelayedCall | None = None
        self._under_way = 0
        self._taken_count = 0
        self._pause = 0.0
        self._retry: IDelayedCall | None = None
        self._taken: list[int] = []
        self._refused: list[tuple[int, int]] = []
        self._dead: list[int] = []
        self._is_settling = False
        self._is_turning = False
        self._is_due = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way, and the end of all that was is stored."""
        return not (self._under_way or self._is_settling or self._taken or self._refused or self._dead)

    def lead(self, until: float) -> None:
        """Carry reports on until then, in the clock's seconds; said again, it goes on."""
        if self._is_stopping:
            return
        if not self._until:
            self._has_more = True
        self._until = until
        self._turn()

    def follow(self) -> None:
        """Carry no more on: another node does. What is under way is finished."""
        if not self._until:
            return
        self._until = 0.0
        for lane in self._lanes.values():
            self._known.difference_update([report.id for report in lane])
        for id_, timer in self._held.values():
            self._known.discard(id_)
            timer.cancel()
        self._lanes.clear()
        self._ready.clear()
        self._held.clear()
        self._after = 0
        self._is_stale = self._is_reading
        for due in (self._look, self._retry):
            if due is not None:
                due.cancel()
        self._look = self._retry = None
        self._pause = 0.0

    def wake(self) -> None:
        """Look into the store: there may be more."""
        if self._until and not self._has_more:
            self._has_more = True
            self._turn()

    async def stop(self, seconds: float) -> None:
        """Start nothing more, and wait so long for what is under way."""
        self._is_stopping = True
        self.follow()
        end = self._clock.seconds() + seconds
        while not self.is_idle and self._clock.seconds() < end:
            await deferLater(self._clock, 0.01)

    def _turn(self) -> None:
        """Do what can be done now; what is done at once lets more be done."""
        self._is_due = True
        if self._is_turning:
            return
        self._is_turning = True
        try:
            while self._is_due:
                self._is_due = False
                self._feed()
                self._read()
                self._settle()
        finally:
            self._is_turning = False

    # Out of the store

    def _read(self) -> None:
        if not self._has_more or self._is_reading or self._look is not None or len(self._known) >= PAGE:
            return
        if not self._until:
            return
        pause = self._next_read - self._clock.seconds()
        if pause > 0:
            self._look = self._clock.callLater(min(pause, GAP), self._looked)
            return
        self._is_reading, self._has_more, self._is_stale = True, False, False
        self._next_read = self._clock.seconds() + GAP
        page = Deferred.fromCoroutine(
            self._store.queued(self.destination, self._after, PAGE, PAGE_BYTES, tuple(self._held))
        )
        page.addCallbacks(self._take_in, self._not_read)

    def _looked(self) -> None:
        self._look = None
        self._turn()

    def _not_read(self, failure: Failure) -> None:
        self._is_reading = False
        self._has_more = True
        self._next_read = self._clock.seconds() + FIRST_PAUSE
        if not failure.check(UnavailableError):
            self._log.failure("reports to {name} could not be read", failure, name=self.destination)
        if self._until:
            self._turn()

    def _take_in(self, page: Sequence[Queued]) -> None:
        self._is_reading = False
        if self._is_stale:  # since it was asked for, others have to be read first
            self._has_more = True
        else:
            lanes, known = self._lanes, self._known
            for report in page:
                id_, uid = report.id, report.uid
                self._after = id_
                if id_ in known or uid in self._held:
                    continue
                known.add(id_)
                lane = lanes.get(uid)
                if lane is not None:
                    lane.append(report)
                    continue
                lanes[uid] = deque((report,))
                if uid not in self._busy:
                    self._ready.append(uid)
            self._has_more |= len(page) == PAGE or sum([len(report.payload) for report in page]) > PAGE_BYTES // 2
        if len(page) <= 1:
            self._next_read = 0.0  # nothing that waiting would gather
        if self._until:
            self._turn()

    # Into the queue

    def _feed(self) -> None:
        while self._ready and self._retry is None and self._clock.seconds() < self._until:
            if self._under_way >= (1 if self._pause else self._queue.width):
                return
            put = _Put(self._next(), self._taken_count)
            self._under_way += 1
            sent = maybeDeferred(self._queue.put, put.reports)
            sent.addCallbacks(self._put, self._not_put, callbackArgs=(put,), errbackArgs=(put,))

    def _next(self) -> list[Queued]:
        """Take out what goes next: of each user in turn all that there is room for."""
        room = self._queue.batch
        reports: list[Queued] = []
        while self._ready and room:
            uid = self._ready.popleft()
            lane = self._lanes[uid]
            if len(lane) <= room:
                reports += lane
                room -= len(lane)
                del self._lanes[uid]
            else:
                reports += [lane.popleft() for _ in range(room)]
                room = 0
            self._busy.add(uid)
        reports.sort()  # by id
        return reports

    def _put(self, _: object, put: _Put) -> None:
        self._taken_count += 1
        self._taken += [report.id for report in put.reports]
        if self._pause:
            self._pause = 0.0
            self._log.info("{name} takes reports again", name=self.destination)
        self._free(put)
        self._turn()

    def _not_put(self, failure: Failure, put: _Put) -> None:
        error: Any = failure.value
        if isinstance(error, RejectedError):
            self._refuse(put, str(error), counts=True)
        elif isinstance(error, TimedOutError):
            # Whose fault it was can be told by others: whether they were taken meanwhile.
            self._refuse(put, str(error), counts=self._taken_count > put.taken_before)
        else:
            if not isinstance(error, UnavailableError):
                self._log.failure("reports to {name} could not be sent", failure, name=self.destination)
            self._give_back(put)
            self._wait(str(error.__cause__ or error))
        self._turn()

    def _free(self, put: _Put) -> None:
        """Let those users' next reports go."""
        self._under_way -= 1
        for uid in {report.uid for report in put.reports}:
            self._busy.discard(uid)
            if uid in self._lanes:
                self._ready.append(uid)

    def _give_back(self, put: _Put) -> None:
        """Put reports back in front of those that follow them."""
        if self._until:
            for report in reversed(put.reports):
                self._lanes.setdefault(report.uid, deque()).appendleft(report)
        else:
            self._known.difference_update([report.id for report in put.reports])
        self._free(put)

    def _wait(self, trouble: str) -> None:
        """Try nothing for a while: the destination is away."""
        if not self._until or self._retry is not None:
            return
        if not self._pause:
            self._log.warn("{name} takes no reports now: {trouble}", name=self.destination, trouble=trouble)
        self._pause = min(2 * self._pause or FIRST_PAUSE, LONGEST_PAUSE)
        self._retry = self._clock.callLater(self._pause, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._turn()

    # What is refused

    def _refuse(self, put: _Put, why: str, *, counts: bool) -> None:
        (report,) = put.reports
        report = report._replace(attempts=report.attempts + counts)
        if counts:
            self._refused.append((report.id, report.attempts))
        if report.attempts >= self._attempts:
            self._log.warn(
                "{name} has refused {message_id} of uid {uid} {n} times, the last time since {why}: it is dead",
                name=self.destination,
                message_id=report.message_id,
                uid=report.uid,
                n=report.attempts,
                why=why,
            )
            self._dead.append(report.id)
        elif self._until:
            self._hold(report)
        else:
            self._known.discard(report.id)
        self._free(put)

    def _hold(self, report: Queued) -> None:
        """Let a user's reports wait; those behind the first make room for others', and are read again."""
        uid = report.uid
        for behind in self._lanes.pop(uid, ()):
            self._known.discard(behind.id)
        pause = min(FIRST_HOLD * 2.0 ** max(report.attempts - 1, 0), LONGEST_HOLD)
        self._held[uid] = report.id, self._clock.callLater(pause, self._release, report)

    def _release(self, report: Queued) -> None:
        uid = report.uid
        del self._held[uid]
        self._lanes[uid] = deque((report,))
        self._ready.append(uid)
        self._after = min(self._after, report.id)
        self._is_stale = self._has_more = True
        self._turn()

    # What has ended

    def _settle(self) -> None:
        """Store what became of reports, as many at once as there are."""
        if self._is_settling or not (self._taken or self._refused or self._dead):
            return
        settled = Settled(self._taken, self._refused, self._dead)
        self._taken, self._refused, self._dead = [], [], []
        self._is_settling = True
        stored = Deferred.fromCoroutine(self._store.settle(self.destination, settled))
        stored.addCallbacks(self._settled, self._not_settled, callbackArgs=(settled,), errbackArgs=(settled,))

    def _settled(self, _: object, settled: Settled) -> None:
        self._is_settling = False
        self._known.difference_update(settled.taken, settled.dead)
        self._turn()

    def _not_settled(self, failure: Failure, settled: Settled) -> None:
        if not failure.check(UnavailableError):
            self._log.failure("what became of reports to {name} could not be stored", failure, name=self.destination)
        self._taken = [*settled.taken, *self._taken]
        self._refused = [*settled.refused, *self._refused]
        self._dead = [*settled.dead, *self._dead]
        self._clock.callLater(FIRST_PAUSE, self._settle_again)

    def _settle_again(self) -> None:
        self._is_settling = False
        self._settle()
