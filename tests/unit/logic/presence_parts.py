"""What the tests of presence stand on: who comes and goes, and what is told of it."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from imd.errors import UnavailableError
from imd.gateway.sessions import Session
from imd.logic.presence import PresenceWatch
from imd.ports.presence import Location
from imd.presence.memory import MemoryPresence
from imd.wire.bodies import PresenceNotice, PresenceQuery, PresenceSubscribe
from imd.wire.commands import Command

from .parts import LogicTestCase, parsed

GRACE, DELAY = 5.0, 1 / 16
HERE = Location("imd1", "s")
Seen = dict[int, list[int]]


class Blocks:
    """Who has blocked whom: pairs of (who, whom)."""

    def __init__(self) -> None:
        self.pairs: set[tuple[int, int]] = set()
        self.is_away = False

    async def blockers(self, uid: int, uids: Collection[int]) -> frozenset[int]:
        if self.is_away:
            raise UnavailableError("the store is away")
        return frozenset(other for other in uids if (other, uid) in self.pairs)


class SlowPresence(MemoryPresence):
    """Presence on another machine: while ``is_slow``, what it has read arrives when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.is_slow = False
        self.is_away = False
        self.reads: list[list[int]] = []
        self.on_the_way: list[Deferred[None]] = []

    async def client_types(self, uids: Sequence[int]) -> Mapping[int, Sequence[int]]:
        self.reads.append(list(uids))
        found = await super().client_types(uids)
        if self.is_slow:
            self.on_the_way.append(Deferred())
            await self.on_the_way[-1]
        if self.is_away:
            raise UnavailableError("presence is away")
        return found


class PresenceTestCase(LogicTestCase):
    max_watched = 10

    def setUp(self) -> None:
        super().setUp()
        self.presence = SlowPresence()
        self.blocks = Blocks()
        users: Any = self.blocks
        self.watch = PresenceWatch(
            self.clock, self.presence, users, grace=GRACE, delay=DELAY, max_watched=self.max_watched
        )
        self.me = self.login(1)

    def comes(self, uid: int, client_type: int = 11) -> None:
        self.wait(self.presence.login(uid, client_type, HERE))

    def goes(self, uid: int, client_type: int = 11) -> None:
        self.wait(self.presence.logout(uid, client_type, HERE))

    def query(self, *uids: int) -> Seen:
        return seen(self.wait(self.watch.query(self.me, PresenceQuery(uids=uids))))

    def begin(self, *uids: int, session: Session | None = None) -> Deferred[Any]:
        """Subscribe, and return what the answer comes through."""
        return Deferred.fromCoroutine(self.watch.subscribe(session or self.me, PresenceSubscribe(uids=uids)))

    def subscribe(self, *uids: int, session: Session | None = None) -> Seen:
        return seen(self.successResultOf(self.begin(*uids, session=session)))

    def unsubscribe(self, *uids: int) -> Seen:
        return seen(self.wait(self.watch.subscribe(self.me, PresenceSubscribe(uids=uids, unsubscribe=True))))

    def notices(self, session: Session | None = None) -> list[Seen]:
        """Return the notices the session got since this was asked last."""
        packets = self.sent(session or self.me)
        assert all(packet.command == Command.PRESENCE_NOTICE for packet in packets)
        return [seen(parsed(packet, PresenceNotice)) for packet in packets]

    def pass_time(self, seconds: float) -> None:
        """Let time pass in small steps, as it does."""
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end:
            self.clock.advance(min(DELAY, end - self.clock.seconds()))

    def told(self, seconds: float = DELAY, session: Session | None = None) -> list[Seen]:
        """Let time pass and return the notices of it."""
        self.pass_time(seconds)
        return self.notices(session)

    def told_after_grace(self, session: Session | None = None) -> list[Seen]:
        """Let the grace pass, and what it takes to see that it has, and return the notices of it."""
        return self.told(GRACE + DELAY, session)

    def assert_nothing_is_kept(self) -> None:
        containers = [kept for kept in vars(self.watch).values() if isinstance(kept, (dict, set, list, deque))]
        assert len(containers) >= 4
        assert not any(containers)
        assert self.clock.getDelayedCalls() == []


def seen(answer: Any) -> Seen:
    """Return the client types of each user of an answer or a notice."""
    users = [user.uid for user in answer.users]
    assert len(users) == len(set(users))
    return {user.uid: list(user.client_types) for user in answer.users}
