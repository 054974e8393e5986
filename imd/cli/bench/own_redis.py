"""A Redis of one's own, for as long as it is needed."""

import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from imd.cli.bench.daemon import free_port
from imd.cli.bench.wire import LoadError

HOST = "127.0.0.1"
_WITHIN = 10.0
"""Seconds in which it has started."""


class OwnRedis:
    """A redis-server on the loopback, which keeps nothing on disk; it comes back at the same port.

    ``program`` is redis-server, ``folder`` where it runs. As a context it is started, and ended as a crash would.
    Raises LoadError where it doesn't start.
    """

    def __init__(self, program: Path, folder: Path, *options: str) -> None:
        self.program = program
        self.port = free_port()
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "OwnRedis":
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Its process, 0 while there is none."""
        return self._process.pid if self._process else 0

    @property
    def is_running(self) -> bool:
        """Whether it was started and not ended since."""
        return self._process is not None

    @property
    def version(self) -> str:
        """Its version, such as ``6.2.14``."""
        said = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True)  # noqa: S603
        return said.stdout.split("v=")[-1].split()[0]

    def start(self) -> None:
        """Start it, and return when it answers. Raises LoadError where it doesn't in 10 s."""
        where = ["--port", str(self.port), "--bind", HOST, "--dir", str(self._folder)]
        keep_nothing = ["--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(  # noqa: S603
            [self.program, *where, *keep_nothing, *self._options], stdout=subprocess.DEVNULL
        )
        end = time.monotonic() + _WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise LoadError(f"{self.program} did not start on port {self.port}.")
            time.sleep(0.005)

    def kill(self) -> None:
        """End it as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection((HOST, self.port), 1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(1) != b""
        return False
