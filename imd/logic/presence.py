"""Presence: who is online, asked for once or watched (PRESENCE_QUERY, PRESENCE_SUBSCRIBE, PRESENCE_NOTICE)."""

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from imd.errors import BadRequestError, TooLargeError, UnavailableError
from imd.logic.ids import check_uid
from imd.ports.delivery import ISession
from imd.ports.presence import IPresence
from imd.ports.users import IUserStore
from imd.wire.bodies import PresenceAck, PresenceNotice, PresenceQuery, PresenceSubscribe, UserPresence
from imd.wire.commands import Command

MAX_QUERY = 500
"""Users one PRESENCE_QUERY may name."""

MAX_LOOK = 250
"""Changed users who are looked at in one turn, so that a crowd that comes back does not hold up the messages."""


class Watched:
    """A user who is watched: the client types as last read, and what each session has been told of them.

    ``told`` is None for a session whose subscription is not answered yet. ``going`` are the client types that went,
    and when (the clock's seconds) that is told.
    """

    __slots__ = ("client_types", "going", "read", "told")

    def __init__(self) -> None:
        self.read = 0
        self.client_types: tuple[int, ...] = ()
        self.going: dict[int, float] = {}
        self.told: dict[ISession, tuple[int, ...] | None] = {}

    def learn(self, read: int, client_types: Sequence[int], now: float, grace: float) -> bool:
        """Take what the read of that number found, unless a later one is known; true where client types have gone."""
        if read < self.read:
            return False
        gone = set(self.client_types).difference(client_types)
        self.going = {kind: at for kind, at in self.going.items() if at > now and kind not in client_types}
        self.going.update(dict.fromkeys(gone, now + grace))
        self.read, self.client_types = read, tuple(client_types)
        return bool(gone)

    def shown(self, told: tuple[int, ...]) -> tuple[int, ...]:
        """Return the client types to show to who was told of ``told``: what has gone stays for its grace."""
        kept = [kind for kind in told if kind in self.going]
        return tuple(sorted((*self.client_types, *kept))) if kept else self.client_types


class PresenceWatch:
    """Tells sessions who is online, and again when that changes.

    What comes is told ``delay`` seconds later, together with what else has changed by then; what goes is told after
    ``grace`` seconds more, so that a reconnect is no news. A session watches ``max_watched`` users at most. Who has
    blocked a user appears offline to that user.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        presence: IPresence,
        users: IUserStore,
        *,
        grace: float,
        delay: float,
        max_watched: int,
    ) -> None:
        self._clock = clock
        self._presence = presence
        self._users = users
        self._grace = grace
        self._delay = delay
        self._max_watched = max_watched
        self._watched: dict[int, Watched] = {}
        self._watched_by: dict[ISession, set[int]] = {}
        self._reads = 0
        self._changed: dict[int, None] = {}
        self._look_call: IDelayedCall | None = None
        self._again: deque[tuple[float, int]] = deque()
        self._again_call: IDelayedCall | None = None
        self._is_stopped = False
        presence.on_change(self._change)

    def stop(self) -> None:
        """Send no more notices: those who leave a node that is being stopped come back on another one."""
        self._is_stopped = True
        for call in (self._look_call, self._again_call):
            if call is not None:
                call.cancel()
        self._look_call = self._again_call = None

    def doubt(self) -> None:
        """Changes may have been missed: everybody who is watched is looked at again, so many at a time."""
        for uid in self._watched:
            self._change(uid)

    async def query(self, session: ISession, request: PresenceQuery) -> PresenceAck:
        """PRESENCE_QUERY: who of these is online now."""
        if len(request.uids) > MAX_QUERY:
            raise BadRequestError(f"{len(request.uids)} uids; at most {MAX_QUERY} can be asked for at once")
        uids = _distinct(request.uids)
        hidden = await self._users.blockers(session.uid, uids)
        _, found = await self._read(uids)
        return PresenceAck(users=[_user(uid, () if uid in hidden else found[uid]) for uid in uids])

    async def subscribe(self, session: ISession, request: PresenceSubscribe) -> PresenceAck:
        """PRESENCE_SUBSCRIBE: watch these users, whose present state is the answer; or watch them no more."""
        if len(request.uids) > self._max_watched:
            raise TooLargeError(f"{len(request.uids)} uids; a session can watch {self._max_watched} users")
        uids = _distinct(request.uids)
        watched_by = self._watched_by.get(session, set())
        if request.unsubscribe:
            for uid in uids or list(watched_by):
                self._end(session, uid)
            return PresenceAck()
        new = [uid for uid in uids if uid not in watched_by]
        if len(watched_by) + len(new) > self._max_watched:
            raise TooLargeError(
                f"this session watches {len(watched_by)} users, and {len(new)} more would pass"
                f" {self._max_watched}; unsubscribe from others first"
            )
        for uid in new:  # before anything is read, so that no change from here on is missed
            self._watched.setdefault(uid, Watched()).told[session] = None
            self._watched_by.setdefault(session, set()).add(uid)
        try:
            hidden = await self._users.blockers(session.uid, uids)
            read, found = await self._read(uids)
        except Exception:
            for uid in new:
                self._end(session, uid)
            raise
        for uid in hidden:
            self._end(session, uid)
        return PresenceAck(users=[_user(uid, self._answer(session, uid, read, found[uid])) for uid in uids])

    def closed(self, session: ISession) -> None:
        """A session has logged out, or its connection is gone: it watches nobody any more."""
        for uid in list(self._watched_by.get(session, ())):
            self._end(session, uid)

    def blocked(self, uid: int, uids: Collection[int]) -> None:
        """``uid`` has just blocked ``uids``: they watch it no more, and it is offline to them."""
        watched = self._watched.get(uid)
        if watched is None:
            return
        named = frozenset(uids)
        for session, told in list(watched.told.items()):
            if session.uid in named:
                self._end(session, uid)
                if told:
                    session.send(Command.PRESENCE_NOTICE, _notice(uid, ()))

    def _end(self, session: ISession, uid: int) -> None:
        watched = self._watched.get(uid)
        if watched is None or session not in watched.told:
            return
        del watched.told[session]
        if not watched.told:
            del self._watched[uid]
        watched_by = self._watched_by[session]
        watched_by.discard(uid)
        if not watched_by:
            del self._watched_by[session]

    def _answer(self, session: ISession, uid: int, read: int, client_types: Sequence[int]) -> tuple[int, ...]:
        watched = self._watched.get(uid)
        if watched is None or session not in watched.told:
            return ()  # hidden; or ended, and then nothing would ever correct an answer that says online
        self._learn(uid, watched, read, client_types)
        told = watched.told[session] = watched.client_types
        return told

    def _learn(self, uid: int, watched: Watched, read: int, client_types: Sequence[int]) -> None:
        if watched.learn(read, client_types, self._clock.seconds(), self._grace):
            self._look_again([uid])

    async def _read(self, uids: Sequence[int]) -> tuple[int, Mapping[int, Sequence[int]]]:
        """Return the client types, and the read's number: what a later one has found is not older."""
        self._reads += 1
        read = self._reads
        return read, await self._presence.client_types(uids)

    def _change(self, uid: int) -> None:
        if uid in self._watched and not self._is_stopped:
            self._changed[uid] = None
            if self._look_call is None:
                self._look_call = self._clock.callLater(self._delay, self._look)

    def _look(self) -> None:
        self._look_call = None
        uids = list(islice(self._changed, MAX_LOOK))
        for uid in uids:
            del self._changed[uid]
        if self._changed:
            self._look_call = self._clock.callLater(self._delay, self._look)
        if watched := [uid for uid in uids if uid in self._watched]:
            Deferred.fromCoroutine(self._tell(watched))

    async def _tell(self, uids: Sequence[int]) -> None:
        """Tell each session once what differs from what it was told."""
        try:
            read, found = await self._read(uids)
        except Exception as error:
            if not isinstance(error, UnavailableError):
                self._log.failure("presence could not be read; who watches is told later")
            self._look_again(uids)
            return
        news: dict[ISession, list[bytes]] = {}
        for uid, client_types in found.items():
            watched = self._watched.get(uid)
            if watched is None:
                continue
            self._learn(uid, watched, read, client_types)
            notices: dict[tuple[int, ...], bytes] = {}
            for session, told in watched.told.items():
                if told is not None and (shown := watched.shown(told)) != told:
                    watched.told[session] = shown
                    if shown not in notices:
                        notices[shown] = _notice(uid, shown)
                    news.setdefault(session, []).append(notices[shown])
        for session, parts in news.items():  # notices put together are one notice of all their users
            session.send(Command.PRESENCE_NOTICE, b"".join(parts))

    def _look_again(self, uids: Iterable[int]) -> None:
        """Look at these users after the grace; it is the same for all, so that one timer serves all, in order."""
        at = self._clock.seconds() + self._grace
        self._again.extend((at, uid) for uid in uids)
        if self._again and self._again_call is None:
            self._again_call = self._clock.callLater(self._grace, self._grace_over)

    def _grace_over(self) -> None:
        now = self._clock.seconds()
        while self._again and self._again[0][0] <= now:
            self._change(self._again.popleft()[1])
        self._again_call = self._clock.callLater(self._again[0][0] - now, self._grace_over) if self._again else None


def _distinct(uids: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(check_uid(uid) for uid in uids))


def _user(uid: int, client_types: Sequence[int]) -> UserPresence:
    return UserPresence(uid=uid, client_types=client_types)


def _notice(uid: int, client_types: Sequence[int]) -> bytes:
    return PresenceNotice(users=[_user(uid, client_types)]).SerializeToString()
