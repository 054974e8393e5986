"""Connections that a balancer passes on, each with a header that says whose it is.

Not by Twisted's own wrapper: that builds a connection's protocol before its header has come, so that the limits of an
address would be the balancer's.
"""

from twisted.internet.interfaces import IAddress, IProtocolFactory
from zope.interface import implementer

from imd.gateway.factory import Gateway
from imd.gateway.protocol import Connection
from imd.gateway.proxy_header import ProxyHeaderError, read_header


@implementer(IProtocolFactory)
class ProxiedGateway:
    """Builds connections whose header is believed, so listen with it only where nobody but the balancer connects."""

    noisy = False

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def doStart(self) -> None:
        """A port was opened."""

    def doStop(self) -> None:
        """A port was closed."""

    def buildProtocol(self, addr: IAddress) -> "ProxiedConnection | None":
        """Return the protocol of a new connection, or None where there are too many."""
        # No client has this name, so what the balancer has open counts against no client's limit.
        host = f"balancer {getattr(addr, 'host', 'local')}"
        return ProxiedConnection(self._gateway, host) if self._gateway.has_room(host) else None


class ProxiedConnection(Connection):
    """A connection that is the balancer's own until its header was read, and then the client's.

    The header has to come before the login deadline. The rest is the connection's as if the client had dialled.
    """

    __slots__ = ("_header",)

    def __init__(self, gateway: Gateway, host: str) -> None:
        super().__init__(gateway, host)
        self._header: bytes | None = b""

    def dataReceived(self, data: bytes) -> None:
        """Read the header first."""
        if self._header is not None and self.is_open:
            data = self._read_header(self._header + data)
        if data and self._header is None:
            super().dataReceived(data)

    def _read_header(self, data: bytes) -> bytes:
        """Return what follows the header, once it is there whole."""
        self._header = data
        try:
            header = read_header(data)
        except ProxyHeaderError as error:
            self._gateway.counters.malformed += 1
            self.drop(f"no PROXY protocol header: {error}")
            return b""
        if header is None:
            return b""
        host, size = header
        self._header = None
        if host and not self._gateway.pass_on(self, host):
            self.drop("refused", is_news=False)
            return b""
        return data[size:]
