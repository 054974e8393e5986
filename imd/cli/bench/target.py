"""Which daemon is under load, told from its configuration."""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from imd.cli.bench.load import Target
from imd.cli.bench.server import find_pid
from imd.cli.bench.wire import LoadError
from imd.cli.endpoint import client_endpoint
from imd.cli.token import load_secret
from imd.config import Config
from imd.http.auth import new_key
from imd.http.scopes import Scope
from imd.storage import apikeys
from imd.storage import open as storage

_FIRST_UID = 900_000_000_000
_UIDS = 1_000_000
_KEY_MS = 3_600_000
_KEY_RATE = 1_000_000


@contextmanager
def api_of(config: Config) -> Iterator[Callable[[Target], Target]]:
    """Yield what adds the HTTP API of ``config`` to a target, with a key that is good until the end.

    Raises LoadError where the daemon has no API on plain TCP.
    """
    address = next((found for listen in config.http.listen if (found := _tcp(client_endpoint(listen)))), None)
    if address is None:
        raise LoadError(
            "The load needs the HTTP API on plain TCP: start the daemon, and this, with"
            " IMD_HTTP_LISTEN=tcp:7680:interface=127.0.0.1."
        )
    now = time.time_ns() // 1_000_000
    scopes = (Scope.NOTICES.value, Scope.MESSAGES.value)
    key, kept = new_key(os.urandom, "imctl bench", scopes, now, now + _KEY_MS, _KEY_RATE)
    place = (config.database_url, config.storage.password_file)
    with storage.transaction(*place) as connection:
        apikeys.add(connection, kept)
    try:
        host, port = address
        yield lambda target: replace(target, api_host=host, api_port=port, api_key=key)
    finally:
        with storage.transaction(*place) as connection:
            apikeys.revoke(connection, kept.prefix, now)


def target_of(config: Config, server: str | None, below: Callable[[int], int]) -> Target:
    """Return the daemon of ``config``; ``server``, a client endpoint, wins over where it is said to listen.

    ``below(n)`` draws a number under n: each target has uids of its own, so that no inbox of an earlier load is theirs.
    Raises LoadError where no daemon runs there or it has no TCP port.
    """
    pid = find_pid(config.data)
    endpoints = [server] if server else [client_endpoint(listen) for listen in config.server.listen]
    for endpoint in endpoints:
        if address := _tcp(endpoint):
            secret = load_secret(config.secret_file)
            return Target(*address, pid, secret, first_uid(below), below(1 << 32))
    raise LoadError(f"The load needs plain TCP, such as --server tcp:127.0.0.1:7650, not {', '.join(endpoints)}.")


def _tcp(endpoint: str) -> tuple[str, int] | None:
    """Return the host and the port of a client endpoint, None where it is another kind."""
    kind, *fields = (re.sub(r"\\(.)", r"\1", field) for field in re.split(r"(?<!\\):", endpoint))
    if kind == "tcp" and len(fields) == 2 and fields[1].isdecimal():
        return fields[0], int(fields[1])
    return None


def first_uid(below: Callable[[int], int]) -> int:
    """Draw the first of a million uids, an even one; ``below(n)`` draws a number under n."""
    return _FIRST_UID + below(_UIDS) * _UIDS
