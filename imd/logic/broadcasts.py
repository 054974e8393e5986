"""Broadcasts on their way: everybody who is online gets them at once, at a pace that leaves room for chat."""

import math
from collections import deque

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from imd.ports.delivery import IDelivery, Push

MAX_WAITING = 100
"""Broadcasts that may wait until those before them have gone out."""

STEP_SECONDS = 0.01
"""How often some of the users have their turn."""


class Broadcasts:
    """Pushes each broadcast to the users of this node, ``users_per_second`` of them at most, one broadcast after
    the other.

    Who logs in meanwhile finds it in LIST_GROUP: it was stored before it is pushed. ``storing`` is how many were taken
    and are not stored yet.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, delivery: IDelivery, users_per_second: int) -> None:
        self._clock = clock
        self._delivery = delivery
        self._per_step = max(1, round(users_per_second * STEP_SECONDS))
        self._waiting: deque[Push] = deque()
        self._users: list[int] = []
        self._due = 0.0
        self.storing = 0

    @property
    def is_full(self) -> bool:
        """Whether no further broadcast should be taken now."""
        return self.storing + len(self._waiting) >= MAX_WAITING

    def put(self, push: Push) -> None:
        """Push this to everybody but its sender, whose devices get copies.

        Who asks ``is_full`` before never has too many wait. Where other nodes send more, the oldest that has not begun
        gives way: clients see the gap before the next one, and fetch it.
        """
        if len(self._waiting) >= MAX_WAITING:
            self._log.warn("too many broadcasts are on their way: seq {seq} is not pushed", seq=self._waiting[1].seq_id)
            del self._waiting[1]
        self._waiting.append(push)
        if len(self._waiting) == 1:  # after this turn, in which the batch it was stored with is told
            self._clock.callLater(0, self._begin)

    def _begin(self) -> None:
        self._users = self._delivery.online()
        self._due = self._clock.seconds()
        self._step()

    def _step(self) -> None:
        push, now = self._waiting[0], self._clock.seconds()
        # A turn that comes late says that there is much else to do: then fewer have theirs.
        count = self._per_step if now - self._due < STEP_SECONDS else math.ceil(self._per_step / 4)
        self._due = now + STEP_SECONDS
        users, self._users = self._users[:count], self._users[count:]
        self._delivery.hold()
        try:
            self._delivery.push(push, (uid for uid in users if uid != push.sender))
        except Exception:  # the others and the next broadcast have their turn all the same
            self._log.failure("a broadcast could not be pushed; who misses it finds it in LIST_GROUP")
        finally:
            self._delivery.flush()
        if self._users:
            self._clock.callLater(STEP_SECONDS, self._step)
        else:
            self._waiting.popleft()
            if self._waiting:
                self._clock.callLater(STEP_SECONDS, self._begin)
