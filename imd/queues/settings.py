"""What the configuration says of destinations."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from imd.config import Destination, RabbitDestination, RedisDestination, Upstream, WebhookDestination
from imd.errors import ConfigError
from imd.ports.upstream import Bound, IUpstreamQueue
from imd.redis.address import parse

MIN_SECRET = 32
"""Bytes of a webhook's secret."""

_MAX_SECRET = 4096
_MIB = 1024 * 1024


def bounds_of(upstream: Upstream) -> dict[str, Bound]:
    """Return how much may be kept for each destination."""
    return {name: Bound(each.max_rows, each.max_mib * _MIB) for name, each in upstream.destinations.items()}


def queues_of(reactor: Any, upstream: Upstream, now: Callable[[], float]) -> Mapping[str, IUpstreamQueue]:
    """Return the queue of each destination, not started; ``now`` gives seconds since the epoch. Raises ConfigError."""
    return {name: _queue_of(reactor, name, each, now) for name, each in upstream.destinations.items()}


def attempts_of(upstream: Upstream, name: str) -> int:
    """Return after how many refusals a report to this destination is dead; but a webhook none refuses any."""
    destination = upstream.destinations[name]
    return destination.attempts if isinstance(destination, WebhookDestination) else 1


def _queue_of(reactor: Any, name: str, destination: Destination, now: Callable[[], float]) -> IUpstreamQueue:
    # What each kind stands on is large, and most nodes need one of them at most.
    where, timeout = f"[upstream.destinations.{name}]", destination.timeout_seconds
    try:
        match destination:
            case WebhookDestination(url=url, secret_file=file, parallel=width):
                from imd.queues.webhook import Webhook, check_url  # noqa: PLC0415

                secret = _secret(file)
                return Webhook(reactor, name, check_url(url), secret, now, width=width, timeout=timeout)
            case RedisDestination(url=url, password_file=file, stream=stream, max_length=max_length):
                from imd.queues.redis_streams import RedisStream  # noqa: PLC0415

                return RedisStream(reactor, parse(url, _password(file)), name, stream, max_length, timeout)
            case RabbitDestination(url=url, password_file=file, queue=queue):
                from imd.queues.amqp import RabbitQueue, address  # noqa: PLC0415

                endpoint, parameters = address(reactor, url, _password(file), timeout)
                return RabbitQueue(reactor, endpoint, parameters, name, queue, timeout=timeout)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    raise ConfigError(f"{where} is of no kind that there is.")


def _secret(file: str) -> bytes:
    secret = _read(file).rstrip(b"\r\n")
    if not MIN_SECRET <= len(secret) <= _MAX_SECRET:
        raise ConfigError(
            f"secret_file {file} has {len(secret)} bytes, where {MIN_SECRET} to {_MAX_SECRET} were expected: make one"
            " with `openssl rand -hex 32`."
        )
    return secret


def _password(file: str) -> str:
    if not file:
        return ""
    try:
        return _read(file).rstrip(b"\r\n").decode()
    except UnicodeDecodeError:
        raise ConfigError(f"password_file {file} is not UTF-8 text.") from None


def _read(file: str) -> bytes:
    try:
        with Path(file).open("rb") as opened:
            status = os.fstat(opened.fileno())
            # Another owner lets us read by the group, or by an ACL shown as the group's bits: systemd's credentials do.
            if status.st_mode & (0o077 if status.st_uid == os.geteuid() else 0o037):
                raise ConfigError(f"{file} is open to other users: run `chmod 600 {file}`.")
            return opened.read(_MAX_SECRET + 1)
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}.") from error
