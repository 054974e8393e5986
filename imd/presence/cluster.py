"""One node among several: presence in Redis, the way to the other nodes, and what a doubt calls for."""

from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from imd.errors import UnavailableError
from imd.ports.delivery import IDelivery
from imd.ports.presence import Entry, Location
from imd.presence.link import RedisLink
from imd.presence.links import Links
from imd.presence.redis import RedisPresence
from imd.presence.routing import Routing
from imd.redis.address import RedisAddress
from imd.wire.results import KickReason

BEAT_SECONDS = 1.0
"""How often nodes tell each other how many frames they have sent."""

CHECK_SECONDS = 5.0
"""How often it is looked for sessions that logins on other nodes have replaced."""

RENEWALS = 3
"""How often a lease is renewed in its time."""

CONNECT_SECONDS = 5.0
PREFIX = "imd"
ABOUT = f"{PREFIX}:about:"
"""What begins the key, the incarnation behind it, of the version that a node runs."""


class Cluster:
    """Joins the parts of ``node``; ``token`` tells this run of it from all others, ``local`` is its own delivery.

    ``sessions`` lists what is logged in here. ``on_doubt`` is told since when (ms) pushes of other nodes may have got
    lost, once this node's sessions are registered again. ``lease`` is in seconds.
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
        on_doubt: Callable[[int], None],
        on_broadcast: Callable[[Any], None],
        on_block: Callable[[int, Any], None],
        *,
        lease: float = 15.0,
    ) -> None:
        self._node = node
        self._local = local
        self._now = now
        self._sessions = sessions
        self._on_doubt = on_doubt
        self._margin = int(lease * 1000)
        self._well = now()
        self._since: int | None = None
        self._is_registering = False
        self._about = f"{ABOUT}{node}:{token}"
        endpoint = address.endpoint(reactor, CONNECT_SECONDS)
        self._link = link = RedisLink(reactor, endpoint, address)
        self.presence = presence = RedisPresence(
            reactor, link, node, token, lease=lease, renew=lease / RENEWALS, prefix=PREFIX
        )
        self._links = Links(node, self._publish, now, self._doubt)
        self.delivery = Routing(node, local, presence, lambda: presence.others, self._links, on_broadcast, on_block)
        link.subscribe(self._channel(node), self.delivery.received)
        presence.on_doubt(lambda _: self._doubt(self._well))
        self._beats = LoopingCall(self._beat)
        self._checks = LoopingCall(self._check)
        self._beats.clock = self._checks.clock = reactor

    def start(self) -> None:
        """Connect, and stay connected."""
        self._link.start()
        self._beats.start(BEAT_SECONDS, now=False)
        self._checks.start(CHECK_SECONDS, now=False)

    async def stop(self) -> None:
        """Send what is for other nodes, and leave: what is still here doesn't count any more."""
        for loop in (self._beats, self._checks):
            if loop.running:
                loop.stop()
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
        if self.presence.is_connected:
            self._well = self._now()
            self._links.beat(self.presence.others)

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
                    await self._tell_version()
                except UnavailableError:
                    self._since = since if self._since is None else min(since, self._since)
                    return  # the doubt is told again once presence can be used
                self._on_doubt(since)
        finally:
            self._is_registering = False

    async def _look(self) -> None:
        if self.presence.is_connected:
            try:
                self._kick(await self.presence.check())
                await self._tell_version()
            except UnavailableError:
                return

    async def _tell_version(self) -> None:
        await self._link.call("SET", self._about, _version(), "EX", int(3 * CHECK_SECONDS))

    def _check(self) -> "Deferred[None]":
        looked = Deferred.fromCoroutine(self._look())
        return looked.addErrback(lambda failure: self._log.failure("replaced sessions were not looked for", failure))

    def _kick(self, replaced: Sequence[Entry]) -> None:
        for entry in replaced:
            location = Location(self._node, entry.session_id)
            self._local.kick(location, KickReason.REPLACED, "logged in on another device of the same kind")


def _version() -> str:
    try:
        return version("imd")
    except PackageNotFoundError:  # it runs from a checkout
        return ""
