"""Nodes that share a Redis, as the tests of presence have them."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from secrets import token_hex
from typing import Any, TypeVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from zope.interface import implementer

from imd.ports.presence import Entry, IPresence, Location
from imd.presence.link import RedisLink
from imd.presence.redis import RedisPresence
from imd.redis.address import parse

from .redis_server import WITHIN

T = TypeVar("T")


class Node:
    """A node's link to Redis and its presence, and what they have told: ``changed`` uids and ``doubts``."""

    def __init__(
        self,
        url: str,
        name: str = "imd1",
        *,
        authorities: bytes = b"",
        password: str = "",
        timeout: float = 1.0,
        ping: float = 30.0,
        **pace: float,
    ) -> None:
        address = parse(url, password)
        endpoint = address.endpoint(reactor, timeout, authorities)
        self.name = name
        self.link = RedisLink(reactor, endpoint, address, timeout=timeout, ping=ping, retry=0.1)
        self.presence = RedisPresence(reactor, self.link, name, token_hex(4), **pace)
        self.changed: list[int] = []
        self.doubts: list[str] = []
        self.presence.on_change(self.changed.append)
        self.presence.on_doubt(self.doubts.append)

    async def start(self) -> None:
        """Start, and wait until presence can be used."""
        self.link.start()
        await self.connected()

    async def connected(self) -> None:
        await until(lambda: self.presence.is_connected)

    async def stop(self) -> None:
        """Leave."""
        await self.presence.stop()
        await self.link.stop()

    async def die(self) -> None:
        """Be gone without a word, as a killed process is: the lease is not given up."""
        await self.link.stop()

    def at(self, session_id: str) -> Location:
        return Location(self.name, session_id)

    async def login(self, uid: int, session_id: str, client_type: int = 11) -> Location | None:
        return await self.presence.login(uid, client_type, self.at(session_id))

    async def logout(self, uid: int, session_id: str, client_type: int = 11) -> None:
        await self.presence.logout(uid, client_type, self.at(session_id))

    async def sees(self, uid: int) -> dict[int, Location]:
        return dict(await self.presence.locations(uid))

    async def hears_of(self, *uids: int) -> None:
        """Wait until it was told that these have changed."""
        await until(lambda: set(uids) <= set(self.changed))

    async def doubts_that(self, reason: str) -> None:
        """Wait until it was told of a doubt for that reason."""
        await until(lambda: any(reason in doubt for doubt in self.doubts))


@implementer(IPresence)
class TwoNodes:
    """Presence as ``imd1`` has it, while the sessions of ``imd2`` log in and out there."""

    def __init__(self, url: str) -> None:
        self._nodes = {name: Node(url, name) for name in ("imd1", "imd2")}
        self._here = self._nodes["imd1"].presence

    async def start(self) -> None:
        for node in self._nodes.values():
            await node.start()

    async def stop(self) -> None:
        for node in self._nodes.values():
            await node.stop()

    @property
    def is_connected(self) -> bool:
        return self._here.is_connected

    async def login(self, uid: int, client_type: int, location: Location) -> Location | None:
        return await self._nodes[location.node].presence.login(uid, client_type, location)

    async def logout(self, uid: int, client_type: int, location: Location) -> None:
        await self._nodes[location.node].presence.logout(uid, client_type, location)

    async def locations(self, uid: int) -> Mapping[int, Location]:
        return await self._here.locations(uid)

    async def client_types(self, uids: Sequence[int]) -> Mapping[int, Sequence[int]]:
        return await self._here.client_types(uids)

    async def nodes(self, uids: Collection[int]) -> Mapping[int, Collection[str]]:
        return await self._here.nodes(uids)

    async def check(self) -> Sequence[Entry]:
        return await self._here.check()

    async def register(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        return await self._here.register(entries)

    def on_change(self, callback: Callable[[int], None]) -> None:
        self._here.on_change(callback)

    def on_doubt(self, callback: Callable[[str], None]) -> None:
        self._here.on_doubt(callback)


async def until(is_so: Callable[[], bool], seconds: float = WITHIN) -> None:
    """Wait until it is so. Raises AssertionError where it isn't in time."""
    deadline = reactor.seconds() + seconds
    while not is_so():
        assert reactor.seconds() < deadline, "what was waited for did not happen"
        await deferLater(reactor, 0.005)


async def eventually(ask: Callable[[], Awaitable[T]], expected: T, seconds: float = WITHIN) -> None:
    """Ask until the answer is as expected. Raises AssertionError with the last one where it isn't in time."""
    deadline = reactor.seconds() + seconds
    while (found := await ask()) != expected:
        assert reactor.seconds() < deadline, f"{found!r} never became {expected!r}"
        await deferLater(reactor, 0.005)


async def together(*work: Any) -> list[Any]:
    """Run coroutines at once, and return what each returned or raised."""
    running = [Deferred.fromCoroutine(each) for each in work]
    results = []
    for each in running:
        try:
            results.append(await each)
        except Exception as error:
            results.append(error)
    return results
