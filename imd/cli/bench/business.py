"""A daemon of the load's own with a business behind it: a Redis, and one that never answers."""

import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import hiredis

from imd.cli.bench import programs
from imd.cli.bench.daemon import OwnDaemon, free_port
from imd.cli.bench.load import Target
from imd.cli.bench.own_redis import HOST, OwnRedis
from imd.cli.bench.target import first_uid
from imd.cli.token import load_secret

STREAM, AWAY = "stream", "away"
"""The destinations: a stream of Redis, and one where nobody is."""

_PAGE = 10_000
_CONFIG = """
[upstream.destinations.{stream}]
url = "redis://{host}:{port}"
stream = "{stream}"
max_rows = 100000000
max_mib = 65536

[upstream.destinations.{away}]
url = "redis://{host}:{nobody}"
stream = "{away}"
max_rows = 100000000
max_mib = 65536
"""


class OwnBusiness:
    """As a context it is started, and gone at the end with all it held; ``below(n)`` draws a number under n.

    Raises LoadError where something is not there or doesn't start.
    """

    def __init__(self, below: Callable[[int], int]) -> None:
        self._below = below
        self._stack = ExitStack()

    def __enter__(self) -> "OwnBusiness":
        with ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="imd-business-"))
            stack.callback(partial(shutil.rmtree, folder))
            self._redis = stack.enter_context(OwnRedis(programs.redis(), folder))
            config = folder / "imd.toml"
            config.write_text(
                _CONFIG.format(stream=STREAM, away=AWAY, host=HOST, port=self._redis.port, nobody=free_port())
            )
            self._daemon = OwnDaemon(folder / "imd", config=config)
            stack.callback(self._daemon.kill)
            self._daemon.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    @property
    def redis_port(self) -> int:
        """Where its Redis is."""
        return self._redis.port

    def target(self) -> Target:
        """Return the daemon as a target, with uids of its own."""
        daemon = self._daemon
        secret = load_secret(daemon.data / "token.secret")
        uid, seed = first_uid(self._below), self._below(1 << 32)
        beside = (("redis", self._redis.pid),)
        return Target(daemon.host, daemon.port, daemon.pid, secret, uid, seed, beside=beside)


class Stream:
    """The stream of the business's Redis at ``port``, seen from beside."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), 10)
        self._reader = hiredis.Reader()

    def __len__(self) -> int:
        return int(self._ask("XLEN", STREAM))

    def take(self) -> Iterator[tuple[int, str]]:
        """Yield the uid and the message_id of each entry, and empty the stream."""
        begin = "-"
        while entries := self._ask("XRANGE", STREAM, begin, "+", "COUNT", str(_PAGE)):
            for _, fields in entries:
                yield int(fields[3]), fields[1].decode()
            begin = f"({entries[-1][0].decode()}"
        self._ask("DEL", STREAM)

    def _ask(self, *command: str) -> Any:
        self._socket.sendall(hiredis.pack_command(command))  # type: ignore[arg-type]  # its stub knows one argument
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(1 << 20))
        return reply
