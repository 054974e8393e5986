"""The link to Redis: one connection for commands, and one that hears what is published."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger

from imd.redis.address import RedisAddress
from imd.redis.connection import CommandProtocol, Connection, ListenProtocol, away, enter


class RedisLink:
    """Redis as one node uses it: refuses at once while it is away, and comes back by itself.

    ``is_connected`` holds while both connections can be used. Every call fails with UnavailableError: at once where
    there is no connection, after ``timeout`` seconds without an answer, and when the connection is lost. ``ping`` and
    ``retry`` (seconds) are the time between two PINGs, and at most between two attempts to connect.
    """

    _log = Logger(namespace="imd.presence")

    def __init__(
        self,
        clock: IReactorTime,
        endpoint: IStreamClientEndpoint,
        address: RedisAddress,
        *,
        timeout: float = 2.0,
        ping: float = 30.0,
        retry: float = 1.0,
    ) -> None:
        self.is_connected = False
        self.database = address.database
        self._receivers: dict[bytes, Callable[[bytes], None]] = {}
        self._watchers: list[Callable[[], None]] = []
        self._enter = enter(address)
        pace = {"timeout": timeout, "ping": ping, "retry": retry}
        self._commands = Connection(
            clock, endpoint, CommandProtocol, self._enter, self._changed, name=f"Redis at {address}", **pace
        )
        self._listener = Connection(
            clock,
            endpoint,
            lambda: ListenProtocol(self._receivers),
            self._listen,
            self._changed,
            name=f"Redis at {address} (to listen)",
            **pace,
        )

    def start(self) -> None:
        """Connect, and stay connected; returns before it is."""
        self._commands.start()
        self._listener.start()

    async def stop(self) -> None:
        """Close, once what was sent is on its way."""
        self._watchers.clear()
        await self._listener.stop()
        await self._commands.stop()

    def subscribe(self, channel: str, receive: Callable[[bytes], None]) -> None:
        """Hand what is published on ``channel`` to ``receive``; to be called before the start."""
        self._receivers[channel.encode()] = receive

    def listen_anew(self, why: str) -> None:
        """Give up the connection that listens, and make a new one."""
        self._listener.drop(why)

    def watch(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever ``is_connected`` has changed; while it was false, anything may have been missed."""
        self._watchers.append(changed)

    def call(self, *command: str | bytes | int) -> "Deferred[Any]":
        """Send a command; texts of the reply are bytes."""
        protocol = self._commands.protocol
        if protocol is None:
            return fail(away())
        return self._commands.reply(protocol, protocol.execute_command(*command))

    def script(self, script: str, keys: Sequence[str], args: Sequence[str | bytes | int]) -> "Deferred[Any]":
        """Run Lua; its text is sent once for each connection."""
        protocol = self._commands.protocol
        if protocol is None:
            return fail(away())
        return self._commands.reply(protocol, protocol.eval(script, keys, args))

    async def _listen(self, connection: Connection, protocol: Any) -> None:
        await self._enter(connection, protocol)
        for channel in self._receivers:  # one by one, since each is answered
            await connection.reply(protocol, protocol.execute_command("SUBSCRIBE", channel))

    def _changed(self) -> None:
        is_connected = self._commands.protocol is not None and self._listener.protocol is not None
        if is_connected != self.is_connected:
            self.is_connected = is_connected
            for changed in self._watchers:
                try:
                    changed()
                except Exception:  # the connection is kept all the same
                    self._log.failure("a change of the link to Redis could not be followed")
