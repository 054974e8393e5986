"""Presence in Redis: for all nodes."""

from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from imd.errors import UnavailableError
from imd.ports.presence import Entry, IPresence, Location
from imd.presence import scripts
from imd.presence.leases import Leases, name
from imd.presence.link import RedisLink
from imd.presence.rivals import Rivals
from imd.redis.connection import away

LOOK = 1000
"""Users one command looks up; more are looked up by several commands, sent together."""

STEP = 200
"""Entries one script changes, so that nobody else waits long for Redis."""

PAUSE = 0.01
"""Seconds between two steps of a sweep."""

SOON = 0.01
"""Seconds at least between two looks at the leases."""

PROBE = 1.0
"""How often another one of this node's name is asked for a sign of life."""


class Held(NamedTuple):
    """An entry as Redis holds it."""

    client_type: int
    incarnation: bytes
    session_id: str


@implementer(IPresence)
class RedisPresence:
    """IPresence for nodes that share a Redis; scripts.py tells how it lies there.

    A node's entries count while it holds its lease: ``lease`` seconds, renewed every ``renew``. ``token`` tells this
    run of the node from all others, which ``others`` names as far as is known. Changes gather for ``gather`` seconds
    before the other nodes are told. ``prefix`` begins every key and channel. The link is to be started after this is
    made, and stopped after ``stop``.
    """

    _log = Logger(namespace="imd.presence")

    def __init__(
        self,
        clock: IReactorTime,
        link: RedisLink,
        node: str,
        token: str,
        *,
        lease: float = 15.0,
        renew: float = 5.0,
        gather: float = 0.005,
        prefix: str = "imd",
    ) -> None:
        self.is_connected = False
        self._clock = clock
        self._link = link
        self._own = f"{node}:{token}".encode()
        self._lease_ms = int(lease * 1000)
        self._renew_after = renew
        self._gather = gather
        self._online = f"{prefix}:online"
        self._keys = [f"{prefix}:nodes", self._online, f"{prefix}:"]
        self._users = f"{prefix}:node:{node}:{token}"
        self._lost = f"{prefix}:lost:{node}:{token}"
        # Channels are the same for all databases of a server, keys are not.
        self._channel = f"{prefix}:{link.database}:presence"
        self._leases = Leases(clock, self._own)
        self._rivals = Rivals(self._own)
        self.others: frozenset[str] = frozenset()
        self._number = 0
        self._timer: IDelayedCall | None = None
        self._is_stopped = False
        self._arriving: set[str] = set()
        self._registering: list[set[str]] = []
        self._sweeping: set[bytes] = set()
        self._news: dict[int, None] = {}
        self._news_call: IDelayedCall | None = None
        self._tell: Callable[[int], None] = lambda _: None
        self._doubters: list[Callable[[str], None]] = []
        self._taken: Callable[[], None] = lambda: None
        link.watch(self._link_changed)
        link.subscribe(self._channel, self._hear)

    @property
    def counts(self) -> bool:
        """Whether the other nodes take this one for alive, as far as it knows: a lease that it let end is lost."""
        return self.is_connected and self._leases.holds(self._own)

    async def stop(self) -> None:
        """Give the lease up: what is still here doesn't count any more, and other nodes sweep it."""
        self._is_stopped, self.is_connected = True, False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._news_call is not None:
            self._news_call.cancel()
            self._publish()
        try:
            await self._script(scripts.LEAVE, self._number, self._channel)
        except UnavailableError:
            self._log.info("the lease could not be given up; it ends by itself")

    async def login(self, uid: int, client_type: int, location: Location) -> Location | None:
        """Put ``location``, which is on this node, in and return the one it replaces."""
        if not self.is_connected:
            raise away()
        self._arriving.add(location.session_id)
        self._move(location.session_id)
        try:
            # Nothing may be waited for after this: logins of one place end in the order in which Redis took them.
            replaced = await self._fenced(scripts.LOGIN, Entry(uid, client_type, location.session_id))
        finally:
            self._arriving.discard(location.session_id)
        if not replaced:
            self._changed([uid])
            return None
        incarnation, _, session_id = replaced.partition(b" ")
        return Location(name(incarnation), session_id.decode())

    async def logout(self, uid: int, client_type: int, location: Location) -> None:
        """Take ``location``, which is on this node, out, unless a newer login has replaced it."""
        self._move(location.session_id)
        await self._log_out([Entry(uid, client_type, location.session_id)])

    async def locations(self, uid: int) -> Mapping[int, Location]:
        """The user's sessions by client type."""
        (entries,) = await self._look([uid])
        alive = await self._alive({entry.incarnation for entry in entries})
        return {
            entry.client_type: Location(alive[entry.incarnation], entry.session_id)
            for entry in entries
            if entry.incarnation in alive
        }

    async def client_types(self, uids: Sequence[int]) -> Mapping[int, Sequence[int]]:
        """The client types of each of ``uids``."""
        found = await self._look(uids)
        alive = await self._alive({entry.incarnation for entries in found for entry in entries})
        return {
            uid: sorted(entry.client_type for entry in entries if entry.incarnation in alive)
            for uid, entries in zip(uids, found, strict=True)
        }

    async def nodes(self, uids: Collection[int]) -> Mapping[int, Collection[str]]:
        """The names of the nodes of those who are online, by one request."""
        asked = list(uids)
        values = await self._values(asked)
        held = {
            uid: tuple(value.split(b" ")[1::2]) for uid, value in zip(asked, values, strict=True) if value is not None
        }
        kinds = set(held.values())
        alive = await self._alive({incarnation for incarnations in kinds for incarnation in incarnations})
        names = {kind: frozenset(alive[incarnation] for incarnation in kind if incarnation in alive) for kind in kinds}
        return {uid: names[kind] for uid, kind in held.items() if names[kind]}

    async def check(self) -> Sequence[Entry]:
        """The sessions of this node that logins on other nodes have replaced since this was last asked."""
        lost: list[Entry] = []
        while found := await self._link.call("SPOP", self._lost, STEP):
            for text in found:
                uid, client_type, session_id = text.decode().split(" ")
                lost.append(Entry(int(uid), int(client_type), session_id))
        return lost

    async def register(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Make this node's sessions those named, and return those whose place a newer login holds."""
        lost: list[Entry] = []
        moved = set(self._arriving)
        self._registering.append(moved)
        try:
            for start in range(0, len(entries), STEP):
                lost += await self._put_back(entries[start : start + STEP], moved)
            await self._take_out_but({entry.session_id for entry in entries}, moved)
        finally:
            self._registering = [each for each in self._registering if each is not moved]
        return lost

    def on_change(self, callback: Callable[[int], None]) -> None:
        """Call ``callback`` with the uid whose client types have changed."""
        self._tell = callback

    def on_doubt(self, callback: Callable[[str], None]) -> None:
        """Call ``callback`` whenever something may have been missed."""
        self._doubters.append(callback)

    def on_taken(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once another node of this name, which was there before, is known to live."""
        self._taken = callback

    # What is asked of Redis

    def _script(self, script: str, *args: str | bytes | int) -> "Deferred[Any]":
        return self._link.script(script, self._keys, [self._own, *args])

    async def _fenced(self, script: str, *entries: Entry) -> bytes:
        """Run a script that puts entries in; where Redis doesn't know this link, as after a flush, it is told first."""
        args = [field for entry in entries for field in entry]
        reply = await self._script(script, self._number, *args)
        if reply is None:
            await self._renew()
            reply = await self._script(script, self._number, *args)
        if reply is None:
            raise away()
        return bytes(reply)

    async def _log_out(self, entries: Sequence[Entry]) -> None:
        """Take entries out; while Redis is away that is left to ``register``, which takes out what it isn't given."""
        with suppress(UnavailableError):
            gone = await self._script(scripts.LOGOUT, *(field for entry in entries for field in entry))
            self._changed(map(int, gone))

    async def _put_back(self, entries: Sequence[Entry], moved: Collection[str]) -> list[Entry]:
        """Put in which of the entries aren't there, and return those whose place is taken."""
        values = await self._values([entry.uid for entry in entries])
        missing = [
            entry
            for entry, value in zip(entries, values, strict=True)
            if (value is None or b" %b;" % entry.session_id.encode() not in value) and entry.session_id not in moved
        ]
        if not missing:
            return []
        found = await self._fenced(scripts.REGISTER, *missing)
        states = list(zip(missing, found.decode(), strict=True))
        self._changed(entry.uid for entry, state in states if state == "+")
        return [entry for entry, state in states if state == "-"]

    async def _take_out_but(self, session_ids: Collection[str], moved: Collection[str]) -> None:
        """Take out what is there of this node besides these: it has ended while Redis could not be told."""
        cursor = b""
        while cursor != b"0":
            cursor, members = await self._link.call("SSCAN", self._users, cursor or b"0", "COUNT", STEP)
            uids = list(map(int, members))
            ended = [
                Entry(uid, held.client_type, held.session_id)
                for uid, entries in zip(uids, await self._look(uids), strict=True)
                for held in entries
                if held.incarnation == self._own and held.session_id not in session_ids and held.session_id not in moved
            ]
            if ended:
                await self._log_out(ended)

    def _move(self, session_id: str) -> None:
        """Let those that register leave this session alone: it comes or goes since they know what there is."""
        for moved in self._registering:
            moved.add(session_id)

    async def _values(self, uids: Sequence[int]) -> list[bytes | None]:
        sent = [
            self._link.call("HMGET", self._online, *uids[start : start + LOOK]) for start in range(0, len(uids), LOOK)
        ]
        try:
            return [value for values in await gatherResults(sent, consumeErrors=True) for value in values]
        except FirstError as error:
            raise away() from error

    async def _look(self, uids: Sequence[int]) -> list[list[Held]]:
        return [_held(value) for value in await self._values(uids)]

    async def _alive(self, incarnations: Collection[bytes]) -> Mapping[bytes, str]:
        """Return those who hold their lease, and the names of their nodes."""
        if not self._leases.are_known(incarnations):
            await self._renew()
            self._leases.bury(incarnations)
        return self._leases.alive(incarnations)

    # The lease

    def _link_changed(self) -> None:
        if self._link.is_connected:
            self._number += 1
            self._tick()
        else:
            self.is_connected = False
            self._doubt("the link to Redis was lost")

    def _tick(self) -> None:
        if not self._is_stopped:
            self._run(self._turn())

    async def _turn(self) -> None:
        pause = self._renew_after
        try:
            self._leases.forget_gone()
            await self._renew()
            pause = min(pause, max(SOON, self._leases.next_end()))
            if self._rivals:
                pause = min(pause, PROBE)
                await self._link.call("PUBLISH", self._channel, b"came " + self._own)  # who hears it renews
        except UnavailableError as error:
            if self._link.is_connected and self.is_connected:
                self.is_connected = False
                self._doubt(f"the lease could not be renewed ({error.__cause__})")
        finally:
            if not self._is_stopped:
                if self._timer is not None and self._timer.active():
                    self._timer.cancel()
                self._timer = self._clock.callLater(pause, self._tick)

    async def _renew(self) -> None:
        """Renew the lease, learn of the others', and do what follows from that."""
        if self._is_stopped:
            raise away()
        number = self._number
        reply = await self._script(scripts.RENEW, number, self._lease_ms, self._channel)
        if reply is None or number != self._number or self._is_stopped:
            raise away()
        is_held, at, *leases = reply
        left = dict(zip(leases[::2], leases[1::2], strict=True))
        alive = {name(incarnation) for incarnation, milliseconds in left.items() if milliseconds > 0}
        self.others = frozenset(alive - {name(self._own)})
        self._look_for_rivals(
            is_held, {each: at + milliseconds for each, milliseconds in left.items() if milliseconds > 0}
        )
        reasons = [f"the lease of node {name(ended)} has ended" for ended in self._leases.learn(left)]
        for incarnation, milliseconds in left.items():
            if milliseconds <= 0 and incarnation not in self._sweeping:
                self._sweeping.add(incarnation)
                self._run(self._sweep(incarnation))
        if not self.is_connected and self._link.is_connected:
            self.is_connected = True
            reasons.append("presence can be used")
            self._changed([])
        elif not is_held:
            reasons.append("the lease of this node was lost")
        if reasons:
            self._doubt("; ".join(reasons))

    def _look_for_rivals(self, is_held: int, ends: Mapping[bytes, int]) -> None:
        if not is_held:
            self._rivals.meet(ends)
        elif self._rivals.see(ends):
            self._rivals = Rivals(self._own)  # it is told once
            self._taken()

    async def _sweep(self, incarnation: bytes) -> None:
        try:
            while not self._is_stopped:
                uids = await self._link.script(scripts.SWEEP, self._keys, [incarnation, STEP])
                if not uids:
                    return
                self._changed(map(int, uids))
                await deferLater(self._clock, PAUSE)
        except UnavailableError:
            pass  # once Redis is back, whoever notices goes on
        finally:
            self._sweeping.discard(incarnation)

    def _doubt(self, reason: str) -> None:
        self._log.info("presence may have missed something: {reason}", reason=reason)
        for doubt in self._doubters:
            try:
                doubt(reason)
            except Exception:
                self._log.failure("a doubt could not be followed")

    def _run(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        Deferred.fromCoroutine(work).addErrback(lambda failure: self._log.failure("presence stumbled", failure))

    # What the nodes tell each other

    def _changed(self, uids: Iterable[int]) -> None:
        """Tell of changes, here at once and on the other nodes soon."""
        for uid in uids:
            self._news[uid] = None
            self._tell(uid)
        if self._news and self._news_call is None and not self._is_stopped:
            self._news_call = self._clock.callLater(self._gather, self._publish)

    def _publish(self) -> None:
        self._news_call = None
        news, self._news = list(self._news), {}
        for start in range(0, len(news), LOOK):
            uids = news[start : start + LOOK]
            message = b"changed %b %b" % (self._own, " ".join(map(str, uids)).encode())
            self._link.call("PUBLISH", self._channel, message).addErrback(self._keep_news, uids)

    def _keep_news(self, failure: Any, uids: Sequence[int]) -> None:
        failure.trap(UnavailableError)
        self._news.update(dict.fromkeys(uids))  # told once the link is back

    def _hear(self, message: bytes) -> None:
        what, _, rest = message.partition(b" ")
        incarnation, *uids = rest.split(b" ")
        if incarnation == self._own:
            return
        if what == b"changed":
            for uid in uids:
                self._tell(int(uid))
        elif what == b"came":
            self._tick()
        elif what == b"left":
            self._leases.leave(incarnation)
            self._tick()


def _held(value: bytes | None) -> list[Held]:
    if value is None:
        return []
    entries = (entry.split(" ") for entry in value.decode().split(";") if entry)
    return [Held(int(kind), incarnation.encode(), session_id) for kind, incarnation, session_id in entries]
