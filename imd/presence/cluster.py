"""One node among several: presence in Redis, the way to the other nodes, and what a doubt calls for."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from imd.errors import UnavailableError
from imd.node import version
from imd.ports.delivery import IDelivery
from imd.ports.presence import Entry, Location
from imd.presence.about import About, encode_about
from imd.presence.link import RedisLink
from imd.presence.links import Links
from imd.presence.redis import RedisPresence
from imd.presence.routing import Routing
from imd.redis.address import RedisAddress
from imd.repeating import Repeating
from imd.wire.results import KickReason

BEAT_SECONDS = 1.0
"""How often nodes tell each other how many frames they have sent."""

CHECK_SECONDS = 5.0
"""How often it is looked for sessions that logins on other nodes have replaced."""

DEAF_BEATS = 4
"""Beats of its own that a node may have missed before it takes the connection by which it listens for deaf."""

RENEWALS = 3
"""How often a lease is renewed in its time."""

CONNECT_SECONDS = 5.0
PREFIX = "imd"
ABOUT = f"{PREFIX}:about:"
"""What begins the key, the incarnation behind it, of what a node tells about itself."""


class Cluster:
    """Joins the parts of ``node``; ``token`` tells this run of it from all others, ``local`` is its own delivery.

    ``sessions`` lists what is logged in here, ``count_sessions`` counts it. ``on_doubt`` is told since when (ms) pushes
    of other nodes may have got lost, once this node's sessions are registered again. ``on_taken`` is called when
    another node, which was there before, turns out to have the same name. ``lease`` is in seconds.
    """

    _log = Logger(namespace="imd.presence")

    def __init__(
        self,
        reactor: Any,
        address: RedisAddress,
        node: str,
        token: str,
        local: IDelivery,
        now: Callable[[], int],
        sessions: Callable[[], Sequence[Entry]],
        count_sessions: Callable[[], int],
        on_doubt: Callable[[int], None],
        on_broadcast: Callable[[Any], None],
        on_block: Callable[[int, Any], None],
        on_taken: Callable[[], None],
        *,
        lease: float = 15.0,
    ) -> None:
        self._node = node
        self._local = local
        self._now = now
        self._sessions = sessions
        self._count_sessions = count_sessions
        self._on_doubt = on_doubt
        self._margin = int(lease * 1000)
        self._well = now()
        self._since: int | None = None
        self._unheard = 0
        self._is_registering = False
        self._about = f"{ABOUT}{node}:{token}"
        endpoint = address.endpoint(reactor, CONNECT_SECONDS)
        self._link = link = RedisLink(reactor, endpoint, address)
        self.presence = presence = RedisPresence(
            reactor, link, node, token, lease=lease, renew=lease / RENEWALS, prefix=PREFIX
        )
        self._links = Links(node, self._publish, now, self._doubt)
        self.delivery = Routing(node, local, presence, lambda: presence.others, self._links, on_broadcast, on_block)
        link.subscribe(self._channel(node), self._hear)
        presence.on_doubt(lambda _: self._doubt(self._well))
        presence.on_taken(on_taken)
        self._beats = Repeating(reactor, BEAT_SECONDS, self._beat)
        self._checks = Repeating(reactor, CHECK_SECONDS, self._check)

    def start(self) -> None:
        """Connect, and stay connected."""
        self._link.start()
        self._beats.start()
        self._checks.start()

    async def stop(self) -> None:
        """Send what is for other nodes, and leave: what is still here doesn't count any more."""
        self._beats.stop()
        self._checks.stop()
        await self.delivery.settle()
        self._links.beat(self.presence.others)
        await self.presence.stop()
        await self._link.stop()

    def _channel(self, node: str) -> str:
        return f"{PREFIX}:{self._link.database}:to:{node}"

    def _publish(self, node: str, data: bytes) -> None:
        # What can't be published leaves a gap in the numbers, which the other node notices.
        self._link.call("PUBLISH", self._channel(node), data).addErrback(lambda failure: failure.trap(UnavailableError))

    def _beat(self) -> None:
        """Tell the other nodes, and this one too: what it does not hear of itself it does not hear of them either."""
        if not self.presence.is_connected:
            self._unheard = 0
        elif self._unheard >= DEAF_BEATS:
            self._unheard = 0
            self._link.listen_anew(f"nothing was heard of {DEAF_BEATS} beats")
        else:
            self._unheard += 1
            self._links.beat({*self.presence.others, self._node})

    def _hear(self, frame: bytes) -> None:
        self._unheard = 0
        if self.presence.counts:  # to one that doesn't, nobody sends, and then no number is missing
            self._well = self._now()
        self.delivery.received(frame)

    def _doubt(self, since: int) -> None:
        """Something may have been missed since then; another node's end is noticed a lease later."""
        since -= self._margin
        self._since = since if self._since is None else min(since, self._since)
        if self.presence.is_connected and not self._is_registering:
            made = Deferred.fromCoroutine(self._register())
            made.addErrback(lambda failure: self._log.failure("this node could not register anew", failure))

    async def _register(self) -> None:
        self._is_registering = True
        try:
            while self._since is not None:
                since, self._since = self._since, None
                try:
                    self._kick(await self.presence.register(self._sessions()))
                    await self._tell_about()
                except UnavailableError:
                    self._since = since if self._since is None else min(since, self._since)
                    return  # the doubt is told again once presence can be used
                self._on_doubt(since)
        finally:
            self._is_registering = False

    async def _check(self) -> None:
        if self.presence.is_connected:
            try:
                self._kick(await self.presence.check())
                await self._tell_about()
            except UnavailableError:
                return

    async def _tell_about(self) -> None:
        about = encode_about(About(version(), self._count_sessions()))
        await self._link.call("SET", self._about, about, "EX", int(3 * CHECK_SECONDS))

    def _kick(self, replaced: Sequence[Entry]) -> None:
        for entry in replaced:
            location = Location(self._node, entry.session_id)
            self._local.kick(location, KickReason.REPLACED, "logged in on another device of the same kind")
