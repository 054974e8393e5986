"""A way to a Redis that tests cut."""

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.protocols.portforward import ProxyFactory

from .redis_server import RedisServer


class Way:
    """A way to Redis through a port of its own, which can be closed and opened; over TLS where a folder is named."""

    def __init__(self, redis: RedisServer, port: int = 0, tls: Path | None = None) -> None:
        self._redis = redis
        self._number = port
        self._tls = tls
        self._port: Any = None
        self._open: list[Any] = []

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._number}"

    @property
    def is_open(self) -> bool:
        return self._port is not None

    async def open(self) -> None:
        factory = ProxyFactory("127.0.0.1", self._redis.port)
        factory.noisy = False
        build = factory.buildProtocol

        def remember(address: Any) -> Any:
            protocol = build(address)
            protocol.hears, pass_on = False, protocol.dataReceived

            def pass_and_look(data: bytes) -> None:
                protocol.hears = protocol.hears or b"SUBSCRIBE" in data
                pass_on(data)

            protocol.dataReceived = pass_and_look
            self._open.append(protocol)
            return protocol

        factory.buildProtocol = remember
        kind = "tcp" if self._tls is None else "ssl"
        keys = "" if self._tls is None else f":privateKey={self._tls / 'key.pem'}:certKey={self._tls / 'cert.pem'}"
        endpoint = serverFromString(reactor, f"{kind}:{self._number}:interface=127.0.0.1{keys}")
        self._port = await endpoint.listen(factory)
        self._number = self._port.getHost().port

    def deafen(self) -> None:
        """Let nothing that Redis says come to who listens now, whose connections stay open."""
        for protocol in self._open:
            if protocol.hears:
                protocol.peer.dataReceived = lambda _: None

    async def close(self) -> None:
        if self.is_open:
            port, self._port = self._port, None
            await port.stopListening()
        for protocol in self._open:
            protocol.transport.loseConnection()
        self._open.clear()
