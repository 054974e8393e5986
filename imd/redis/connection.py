"""A connection to Redis that is made again for good whenever it is lost."""

import random
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import hiredis
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from txredisapi import BaseRedisProtocol, RedisError, RedisProtocol, ResponseError, SubscriberProtocol

from imd.errors import UnavailableError
from imd.redis.address import RedisAddress
from imd.repeating import Repeating

_FIRST_RETRY = 0.05
"""Seconds until the first attempt to connect again; each further one waits twice as long."""

_NOT_THE_ONE = ("READONLY", "LOADING", "MASTERDOWN", "NOAUTH")
"""Answers of a server that can't serve now or is not the master any more: the address may lead to another one."""


class _Bytes(BaseRedisProtocol):
    """What both protocols do otherwise than txredisapi: replies stay bytes, and why the connection was lost is kept."""

    def __init__(self) -> None:
        super().__init__(charset=None, convertNumbers=False)
        self.lost_because = ""

    def tryConvertData(self, data: Any) -> Any:
        return data

    def _build_command(self, *args: str | bytes | int, **_: Any) -> bytes:
        packed: bytes = hiredis.pack_command(args)  # type: ignore[arg-type]  # its stub knows tuples of one only
        return packed

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost_because = self.lost_because or reason.getErrorMessage()
        super().connectionLost(reason)


class CommandProtocol(_Bytes, RedisProtocol):
    """Asks and is answered."""


class ListenProtocol(_Bytes, SubscriberProtocol):
    """Hears what is published on the channels of ``receivers``."""

    _log = Logger(namespace="imd.redis")

    def __init__(self, receivers: Mapping[bytes, Callable[[bytes], None]]) -> None:
        super().__init__()
        self._receivers = receivers

    def messageReceived(self, _pattern: None, channel: bytes, message: bytes) -> None:
        """Hand a message on."""
        try:
            self._receivers[channel](message)
        except Exception:
            self._log.failure("what was published on {channel} could not be taken in", channel=channel)


class Connection:
    """``protocol`` is None while there is none that can be used; ``changed`` is called whenever that changes.

    ``greet`` makes a new connection usable, and fails with UnavailableError where it isn't. A reply is waited for
    ``timeout`` seconds, a PING is sent every ``ping``, ``retry`` is the longest pause between two attempts.
    """

    _log = Logger(namespace="imd.redis")

    def __init__(
        self,
        clock: IReactorTime,
        endpoint: IStreamClientEndpoint,
        make: Callable[[], Any],
        greet: Callable[["Connection", Any], Awaitable[None]],
        changed: Callable[[], None],
        *,
        name: str,
        timeout: float,
        ping: float,
        retry: float,
    ) -> None:
        self.protocol: Any = None
        self._clock = clock
        self._endpoint = endpoint
        self._factory = Factory.forProtocol(make)
        self._factory.noisy = False
        self._greet = greet
        self._changed = changed
        self._name = name
        self._timeout = timeout
        self._ping = ping
        self._retry = retry
        self._kept: Deferred[None] | None = None
        self._is_stopped = False
        self._trouble = ""

    def start(self) -> None:
        """Connect, and stay connected."""
        self._kept = Deferred.fromCoroutine(self._keep())

    async def stop(self) -> None:
        """Close once what was sent is on its way, and stay closed."""
        self._is_stopped = True
        protocol, kept = self.protocol, self._kept
        if kept is not None:
            kept.addErrback(lambda failure: failure.trap(CancelledError))
            kept.cancel()
        if protocol is not None:
            lost = protocol.whenDisconnected()
            protocol.transport.loseConnection()
            await lost.addTimeout(self._timeout, self._clock, lambda *_: _abort(protocol))

    def drop(self, why: str) -> None:
        """End the connection, where there is one; it is made again."""
        if self.protocol is not None:
            self.protocol.lost_because = why
            _abort(self.protocol)

    def reply(self, protocol: Any, sent: "Deferred[Any]") -> "Deferred[Any]":
        """Return the reply to what was sent; that it does not come ends the connection. Fails with UnavailableError."""
        return sent.addTimeout(self._timeout, self._clock).addErrback(self._refused, protocol)

    def _refused(self, failure: Failure, protocol: Any) -> None:
        error: Any = failure.value
        if isinstance(error, DeferredTimeoutError):
            protocol.lost_because = f"no answer within {self._timeout:g} s"
            _abort(protocol)
        elif isinstance(error, ResponseError) and str(error).startswith(_NOT_THE_ONE):
            protocol.lost_because = str(error)
            _abort(protocol)
        elif not isinstance(error, RedisError):
            failure.raiseException()
        raise away() from error

    async def _keep(self) -> None:
        failures = 0
        while not self._is_stopped:
            was_used = False
            try:
                was_used, self._trouble = await self._once()
            except CancelledError:
                raise
            except Exception:
                self._log.failure("{name} can't be used; trying again", name=self._name)
            failures = 0 if was_used else failures + 1
            pause = min(self._retry, _FIRST_RETRY * 2 ** min(failures, 30))
            await deferLater(self._clock, pause * random.uniform(0.75, 1))  # noqa: S311 - spreads nodes, guards nothing

    async def _once(self) -> tuple[bool, str]:
        """Connect, and use the connection for as long as it is there; return whether it was, and what ended it."""
        try:
            protocol: Any = await self._endpoint.connect(self._factory)
        except Exception as error:
            return False, self._tell(str(error))
        lost = protocol.whenDisconnected()
        try:
            await self._greet(self, protocol)
        except UnavailableError as error:
            _abort(protocol)
            return False, self._tell(protocol.lost_because or str(error.__cause__))
        except BaseException:
            _abort(protocol)
            raise
        if self._trouble:
            self._log.info("{name} can be used again", name=self._name)
            self._trouble = ""
        await self._use(protocol, lost)
        return True, self._tell(protocol.lost_because)

    async def _use(self, protocol: Any, lost: "Deferred[Any]") -> None:
        pings = Repeating(self._clock, self._ping, partial(self._ask, protocol))
        pings.start()
        self.protocol = protocol
        try:
            self._changed()
            await lost
        finally:
            self.protocol = None
            pings.stop()
            self._changed()

    def _ask(self, protocol: Any) -> None:
        self.reply(protocol, protocol.ping()).addErrback(lambda failure: failure.trap(UnavailableError))

    def _tell(self, trouble: str) -> str:
        if trouble != self._trouble and not self._is_stopped:
            self._log.warn("{name} can't be used: {trouble}; trying again", name=self._name, trouble=trouble)
        return trouble


def _abort(protocol: Any) -> None:
    if protocol.connected:  # over TLS what is closed can't be aborted
        protocol.transport.abortConnection()


def enter(address: RedisAddress) -> Callable[[Connection, Any], Awaitable[None]]:
    """Return what makes a new connection to ``address`` usable."""

    async def greet(connection: Connection, protocol: Any) -> None:
        # Not by txredisapi's own arguments: it never connects again when the link drops in the midst of these.
        if address.password:
            await connection.reply(protocol, protocol.auth(address.password, address.username))
        if address.database:
            await connection.reply(protocol, protocol.select(address.database))
        await connection.reply(protocol, protocol.ping())

    return greet


def away() -> UnavailableError:
    """Return the refusal of what needs Redis while there is none."""
    return UnavailableError("Redis can't be reached now; try again in a moment")
