"""The sweep: what has lain in an online user's inbox for too long is pushed again (rule 6)."""

import math
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from imd.errors import UnavailableError
from imd.logic.chat import Chat
from imd.ports.delivery import IDelivery
from imd.ports.messages import IMessageStore, Overdue, OverdueCursor
from imd.repeating import Repeating

ROUND_STEPS = 5
"""Steps in which everybody online is looked at once, as long as that stays within users_per_step."""


class Attempts:
    """How often one user's overdue messages were pushed again."""

    __slots__ = ("counts", "first", "last")

    def __init__(self, now: float) -> None:
        self.first = now
        self.last = -math.inf
        self.counts: dict[tuple[str, int], int] = {}


class Sweep:
    """Looks through the inboxes of who is online, some users a step, so that its cost a second is bounded.

    ``after`` (seconds) is how long a message lies before it is pushed again, and again between two attempts;
    after ``attempts`` of them the sessions that left it without an ACK are closed.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        store: IMessageStore,
        delivery: IDelivery,
        chat: Chat,
        now: Callable[[], int],
        *,
        after: float,
        users_per_second: int,
        attempts: int,
    ) -> None:
        self._clock = clock
        self._store = store
        self._delivery = delivery
        self._chat = chat
        self._now = now
        self._after = after
        self._interval = min(1.0, after / ROUND_STEPS)
        self._users_per_step = max(1, int(users_per_second * self._interval))
        self._attempts = attempts
        self._round: list[OverdueCursor] = []
        self._per_step = 1
        self._tried: dict[int, Attempts] = {}
        self._steps = Repeating(clock, self._interval, self._look)

    def start(self) -> None:
        """Begin."""
        self._steps.start()

    def stop(self) -> None:
        """End."""
        self._steps.stop()

    async def _look(self) -> None:
        if not self._round:
            online = self._delivery.online()
            self._round = [OverdueCursor(uid) for uid in reversed(online)]
            self._per_step = min(self._users_per_step, math.ceil(len(online) / ROUND_STEPS))
            self._tried = {uid: tried for uid, tried in self._tried.items() if self._delivery.sessions(uid)}
        step, self._round = self._round[-self._per_step :], self._round[: -self._per_step]
        if not step:
            return
        before = self._now() - int(self._after * 1000)
        try:
            found = {overdue.uid: overdue for overdue in await self._store.overdue(step, before)}
        except UnavailableError:
            return
        except Exception:
            self._log.failure("the sweep could not read the inboxes; it goes on with the next users")
            return
        self._delivery.hold()
        try:
            for cursor in step:
                overdue = found.get(cursor.uid)
                if overdue is not None and overdue.messages:
                    try:
                        self._push_again(overdue)  # what follows has its turn once these are ACKed
                    except Exception:  # the others are looked after all the same
                        self._log.failure("messages of uid {uid} could not be pushed again", uid=cursor.uid)
                elif overdue is not None and overdue.next is not None:
                    self._round.insert(0, overdue.next)
                else:
                    self._tried.pop(cursor.uid, None)
        finally:
            self._delivery.flush()

    def _push_again(self, overdue: Overdue) -> None:
        uid, now = overdue.uid, self._clock.seconds()
        sessions = [session for session in self._delivery.sessions(uid) if now - session.since >= self._after]
        if not sessions:
            return
        tried = self._tried.setdefault(uid, Attempts(now))
        if now - tried.last < self._after:
            return
        counts = {}
        for message in overdue.messages:
            key = (message.group_id, message.seq_id)
            counts[key] = tried.counts.get(key, 0) + 1
            if counts[key] > self._attempts:
                self._give_up(uid, tried, key)
                return
        tried.counts, tried.last = counts, now
        for message in overdue.messages:
            self._delivery.push(self._chat.push_of(message), (uid,))

    def _give_up(self, uid: int, tried: Attempts, key: tuple[str, int]) -> None:
        del self._tried[uid]
        for session in self._delivery.sessions(uid):
            if session.since <= tried.first:
                session.end(f"uid {uid} did not ACK seq {key[1]} of {key[0]} in {self._attempts} attempts")
