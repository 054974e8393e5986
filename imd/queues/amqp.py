"""A queue of RabbitMQ as a destination: persistent messages, each confirmed by the broker before it counts."""

import logging
import random
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import pika
from pika.exceptions import ChannelClosedByBroker, NackError
from twisted.internet.defer import CancelledError, Deferred, fail, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.ssl import optionsForClientTLS, platformTrust
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from imd.errors import ConfigError, UnavailableError
from imd.ports.upstream import IUpstreamQueue, Queued

WIDTH = 256
"""Messages that may wait for their confirmation at once, of one user never more than one."""

_FIRST_RETRY = 0.05
_NOT_FOUND = 404


@implementer(IUpstreamQueue)
class RabbitQueue:
    """The queue named ``queue``, which is made durable where there is none yet.

    ``parameters`` say as whom to go there and to which virtual host. A confirmation is waited for ``timeout`` seconds,
    ``retry`` is the longest pause between two attempts to connect.
    """

    batch = 1
    width = WIDTH

    _log = Logger(namespace="imd.queues")

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        parameters: pika.ConnectionParameters,
        destination: str,
        queue: str,
        *,
        timeout: float,
        retry: float = 1.0,
    ) -> None:
        # Here and not above: it takes Twisted's reactor when it is imported.
        from pika.adapters.twisted_connection import TwistedProtocolConnection  # noqa: PLC0415

        # It tells in this way whatever goes wrong, with the beginning of messages; what matters is told here.
        logging.getLogger("pika").setLevel(logging.CRITICAL)
        self._reactor = reactor
        self._endpoint = endpoint
        self._destination = destination
        self._queue = queue
        self._timeout = timeout
        self._retry = retry
        self._factory = Factory.forProtocol(lambda: TwistedProtocolConnection(parameters, custom_reactor=reactor))
        self._factory.noisy = False
        self._connection: Any = None
        self._channel: Any = None
        self._kept: Deferred[None] | None = None
        self._trouble = ""

    def start(self) -> None:
        """Connect, and stay connected."""
        self._kept = Deferred.fromCoroutine(self._keep())
        self._kept.addErrback(lambda failure: failure.trap(CancelledError))

    async def stop(self) -> None:
        """Close."""
        if self._kept is not None:
            self._kept.cancel()
            self._kept = None
        self._abort()

    def put(self, reports: Sequence[Queued]) -> "Deferred[None]":
        """Publish one report; fires when the broker has confirmed it. Fails with UnavailableError."""
        (report,) = reports
        if self._channel is None:
            return fail(self._away())
        properties = pika.BasicProperties(
            content_type=report.content_type or None,
            delivery_mode=pika.DeliveryMode.Persistent,
            message_id=report.message_id,
            timestamp=report.created // 1000,
            headers={"uid": report.uid, "destination": self._destination, "created": report.created},
        )
        # Mandatory: should somebody have deleted the queue, the broker says so instead of throwing it away.
        confirmed: Deferred[Any] = maybeDeferred(
            self._channel.basic_publish, "", self._queue, report.payload, properties, True
        )
        confirmed.addTimeout(self._timeout, self._reactor)
        return confirmed.addCallbacks(_nothing, self._refused)

    def _refused(self, failure: Failure) -> None:
        if not failure.check(NackError):
            # Whatever else it is: a new connection finds the queue as it is now, or makes it.
            self._abort()
        raise self._away() from failure.value

    async def _keep(self) -> None:
        failures = 0
        while True:
            try:
                trouble = await self._once()
                failures = 0
            except CancelledError:
                raise
            except Exception as error:
                trouble = str(error) or type(error).__name__
                failures += 1
            finally:
                self._abort()
            if trouble != self._trouble:
                self._trouble = trouble
                self._log.warn(
                    "RabbitMQ for {destination} can't be used: {trouble}; trying again",
                    destination=self._destination,
                    trouble=trouble,
                )
            pause = min(self._retry, _FIRST_RETRY * 2 ** min(failures, 30))
            await deferLater(self._reactor, pause * random.uniform(0.75, 1))  # noqa: S311 - spreads nodes, guards nothing

    async def _once(self) -> str:
        """Connect, and use the connection for as long as it is there; return what ended it."""
        connection: Any = await self._endpoint.connect(self._factory)
        self._connection = connection
        await connection.ready.addTimeout(self._timeout, self._reactor)
        closed = connection.closed
        channel = await connection.channel().addTimeout(self._timeout, self._reactor)
        try:
            # Somebody may have made it as they want it: of another type, or with a limit.
            await channel.queue_declare(self._queue, passive=True).addTimeout(self._timeout, self._reactor)
        except ChannelClosedByBroker as error:
            if error.reply_code != _NOT_FOUND:
                raise
            channel = await connection.channel().addTimeout(self._timeout, self._reactor)
            await channel.queue_declare(self._queue, durable=True).addTimeout(self._timeout, self._reactor)
        await channel.confirm_delivery().addTimeout(self._timeout, self._reactor)
        if self._trouble:
            self._trouble = ""
            self._log.info("RabbitMQ for {destination} can be used again", destination=self._destination)
        self._channel = channel
        return str(await closed)

    def _abort(self) -> None:
        self._channel = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.transport.abortConnection()

    def _away(self) -> UnavailableError:
        return UnavailableError("RabbitMQ can't take it now")


def address(
    reactor: Any, url: str, password: str, timeout: float
) -> tuple[IStreamClientEndpoint, pika.ConnectionParameters]:
    """Return the way to a broker, and as whom to go there; ``password`` is for a url that holds none.

    Raises ConfigError, which repeats nothing of the url.
    """
    try:
        parameters: Any = pika.URLParameters(url)
        host, port = str(parameters.host), int(parameters.port)
        has_password = urlsplit(url).password is not None
    except Exception:  # whatever it is that pika makes of it
        raise ConfigError("url is no address such as amqp://user@host:5672/virtual-host.") from None
    if password and has_password:
        raise ConfigError("the password is given twice, in url and by password_file: leave one out.")
    if password:
        user = getattr(parameters.credentials, "username", "")
        parameters.credentials = pika.PlainCredentials(user, password)
    endpoint: IStreamClientEndpoint = HostnameEndpoint(reactor, host, port, timeout=timeout)
    if url.startswith("amqps:"):
        endpoint = wrapClientTLS(optionsForClientTLS(host, trustRoot=platformTrust()), endpoint)
    return endpoint, parameters


def _nothing(_: object) -> None:
    """Return nothing."""
