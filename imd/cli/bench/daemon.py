"""A daemon of the load's own, to be killed and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from imd.cli.bench.wire import LoadError

_HOST = "127.0.0.1"
_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
_LOG_LINES = 10


class OwnDaemon:
    """Runs ``twistd imd`` on data in ``folder`` and a free port of the loopback.

    ``variables`` are its IMD_* settings, ``config`` its file; what they don't say has its default.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None, config: Path | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.data = folder / "data"
        self.host = _HOST
        self.port = free_port()
        self._log = folder / "log"
        self._variables = dict(variables or {})
        self._config = ["--config", str(config)] if config else []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process, 0 while there is none."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start it, and return when it accepts connections. Raises LoadError where it doesn't in 30 s."""
        twistd = Path(sys.executable).with_name("twistd")
        listen = f"tcp:{self.port}:interface={_HOST}"
        command = [str(twistd), "--pidfile=", "-n", "imd", "--data", str(self.data), "--listen", listen]
        command += self._config
        environment = {name: value for name, value in os.environ.items() if not name.startswith("IMD_")}
        environment |= self._variables
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)  # noqa: S603
        end = time.monotonic() + _START_SECONDS
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise LoadError(f"The daemon did not start; the end of its log:\n{self._last_lines()}")
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill it (SIGKILL), if it runs."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """End it (SIGTERM), and return its exit code, negative for a signal; one that doesn't end is killed."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._process = None

    def _accepts(self) -> bool:
        try:
            socket.create_connection((_HOST, self.port), timeout=1.0).close()
        except OSError:
            return False
        return True

    def _last_lines(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:])


def free_port() -> int:
    """Return a TCP port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
