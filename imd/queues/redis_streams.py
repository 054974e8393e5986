"""A stream of Redis as a destination: each report is an entry.

The reports of one put are added by one script, so all of them or, where the first can't be, none: what follows never
overtakes what failed.
"""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from imd.ports.upstream import IUpstreamQueue, Queued
from imd.redis.address import RedisAddress
from imd.redis.connection import CommandProtocol, Connection, away, enter

BATCH = 500

_ADD = """
-- The stream; MAXLEN (0: none), the destination, then message_id, uid, content_type, created, payload of each.
local max_length, destination = ARGV[1], ARGV[2]
for i = 3, #ARGV, 5 do
    local entry = {'message_id', ARGV[i], 'uid', ARGV[i + 1], 'destination', destination,
        'content_type', ARGV[i + 2], 'created', ARGV[i + 3], 'payload', ARGV[i + 4]}
    if max_length == '0' then
        redis.call('XADD', KEYS[1], '*', unpack(entry))
    else
        redis.call('XADD', KEYS[1], 'MAXLEN', '~', max_length, '*', unpack(entry))
    end
end
"""


@implementer(IUpstreamQueue)
class RedisStream:
    """The stream named ``stream``, which Redis cuts to about ``max_length`` entries, or never where that is 0.

    An answer is waited for ``timeout`` seconds.
    """

    batch = BATCH
    width = 1

    def __init__(
        self, reactor: Any, address: RedisAddress, destination: str, stream: str, max_length: int, timeout: float
    ) -> None:
        self._destination = destination
        self._stream = stream
        self._max_length = max_length
        self._connection = Connection(
            reactor,
            address.endpoint(reactor, timeout),
            CommandProtocol,
            enter(address),
            lambda: None,
            name=f"Redis at {address}, for {destination},",
            timeout=timeout,
            ping=30.0,
            retry=1.0,
        )

    def start(self) -> None:
        """Connect, and stay connected."""
        self._connection.start()

    async def stop(self) -> None:
        """Close."""
        await self._connection.stop()

    def put(self, reports: Sequence[Queued]) -> "Deferred[None]":
        """Add reports. Fails with UnavailableError."""
        protocol = self._connection.protocol
        if protocol is None:
            return fail(away())
        arguments: list[str | bytes | int] = [self._max_length, self._destination]
        for _, uid, message_id, content_type, payload, created, _ in reports:
            arguments += (message_id, uid, content_type, created, payload)
        return self._connection.reply(protocol, protocol.eval(_ADD, [self._stream], arguments))
