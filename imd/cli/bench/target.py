"""Which daemon is under load, told from its configuration."""

import re
from collections.abc import Callable

from imd.cli.bench.load import LoadError, Target
from imd.cli.bench.server import find_pid
from imd.cli.endpoint import client_endpoint
from imd.cli.token import load_secret
from imd.config import Config

_FIRST_UID = 900_000_000_000
_UIDS = 1_000_000


def target_of(config: Config, server: str | None, below: Callable[[int], int]) -> Target:
    """Return the daemon of ``config``; ``server``, a client endpoint, wins over where it is said to listen.

    ``below(n)`` draws a number under n: each target has uids of its own, so that no inbox of an earlier load is theirs.
    Raises LoadError where no daemon runs there or it has no TCP port.
    """
    pid = find_pid(config.data)
    endpoints = [server] if server else [client_endpoint(listen) for listen in config.server.listen]
    for endpoint in endpoints:
        kind, *fields = (re.sub(r"\\(.)", r"\1", field) for field in re.split(r"(?<!\\):", endpoint))
        if kind == "tcp" and len(fields) == 2 and fields[1].isdecimal():
            host, port = fields
            secret = load_secret(config.secret_file)
            return Target(host, int(port), pid, secret, first_uid(below), below(1 << 32))
    raise LoadError(f"The load needs plain TCP, such as --server tcp:127.0.0.1:7650, not {', '.join(endpoints)}.")


def first_uid(below: Callable[[int], int]) -> int:
    """Draw the first of a million uids, an even one; ``below(n)`` draws a number under n."""
    return _FIRST_UID + below(_UIDS) * _UIDS
