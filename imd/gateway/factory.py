"""The factory of connections: who may connect, and what all connections share."""

import ipaddress
from collections.abc import Callable

from twisted.internet.interfaces import IAddress, IProtocolFactory, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from imd.dispatch import Dispatcher
from imd.gateway.limits import Counters, Limits
from imd.gateway.outbox import Outbox
from imd.gateway.protocol import Connection
from imd.gateway.sessions import Session, Sessions
from imd.gateway.wheel import Wheel


@implementer(IProtocolFactory)
class Gateway:
    """Builds the connections of this node. ``on_closed`` is told of each logged-in session whose connection is gone."""

    _log = Logger()
    noisy = False

    def __init__(
        self,
        clock: IReactorTime,
        dispatcher: Dispatcher,
        sessions: Sessions,
        outbox: Outbox,
        limits: Limits,
        on_closed: Callable[[Session], None],
    ) -> None:
        self.clock = clock
        self.dispatcher = dispatcher
        self.sessions = sessions
        self.outbox = outbox
        self.limits = limits
        self.counters = Counters()
        self.wheel = Wheel(clock, min(1.0, limits.login_seconds / 10, limits.idle_seconds / 10))
        self._on_closed = on_closed
        self._connections: set[Connection] = set()
        self._by_host: dict[str, int] = {}

    def doStart(self) -> None:
        """A port was opened."""

    def doStop(self) -> None:
        """A port was closed."""

    def buildProtocol(self, addr: IAddress) -> Connection | None:
        """Return the protocol of a new connection, or None where there are too many."""
        host = getattr(addr, "host", "local")
        return Connection(self, host) if self.has_room(host) and self._may_have_one_more(host) else None

    def has_room(self, host: str) -> bool:
        """Whether one more connection is taken, of whomever; a refusal of ``host`` is counted and logged."""
        if len(self._connections) < self.limits.max_connections:
            return True
        self._refuse(host, f"there are {self.limits.max_connections} connections already")
        return False

    def pass_on(self, connection: Connection, host: str) -> bool:
        """Count ``connection`` as one of ``host``, and say whether it may have one more."""
        if not self._may_have_one_more(host):
            return False
        self._count(connection.host, -1)
        connection.host = host
        self._count(host, 1)
        return True

    def opened(self, connection: Connection) -> None:
        """A connection begins."""
        self._connections.add(connection)
        self._count(connection.host, 1)
        self.wheel.watch(connection)

    def closed(self, connection: Connection) -> None:
        """A connection is gone."""
        self.wheel.forget(connection)
        self._connections.discard(connection)
        self._count(connection.host, -1)
        session = connection.session
        if session.uid:
            self.sessions.remove(session)
            self._on_closed(session)

    def connections(self) -> list[Connection]:
        """Every connection of this node."""
        return list(self._connections)

    def _may_have_one_more(self, host: str) -> bool:
        if _is_loopback(host) or self._by_host.get(host, 0) < self.limits.connections_per_address:
            return True
        self._refuse(host, f"it has {self.limits.connections_per_address} connections already")
        return False

    def _count(self, host: str, more: int) -> None:
        count = self._by_host.get(host, 0) + more
        if count:
            self._by_host[host] = count
        else:
            del self._by_host[host]

    def _refuse(self, host: str, why: str) -> None:
        self.counters.refused += 1
        self._log.warn("refused a connection of {host}: {why}", host=host, why=why)


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
        # A tcp6 port sees IPv4 clients as ::ffff:127.0.0.1.
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback
    except ValueError:
        return host == "local"
