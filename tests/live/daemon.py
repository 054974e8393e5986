"""A real daemon: `twistd imd` in a process of its own, with a data folder and a port of its own."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imd.sso.jwt import issue

TWISTD = Path(sys.executable).with_name("twistd")
STARTS_WITHIN = 30.0
STOPS_WITHIN = 20.0
_KEYS = re.compile(r"imd_[0-9a-f]{16}_|eyJ[\w-]{8,}\.eyJ")
"""API keys and tokens."""

_FAILURES = re.compile(r"Traceback|Unhandled|does not declare|could not be stored", re.IGNORECASE)


class Daemon:
    """One `twistd imd`; ``variables`` are its IMD_* settings, ``config`` its file, ``under`` a command that runs it.

    It is up when it tells its service manager so: NOTIFY_SOCKET is ours.
    """

    def __init__(
        self,
        folder: Path,
        variables: Mapping[str, str] | None = None,
        *,
        endpoint: str = "",
        config: str = "",
        under: Sequence[str] = (),
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.config = folder / "imd.toml"
        self.config.write_text(config)
        self.data = folder / "data"
        self.log_file = folder / "log"
        self.port = free_port()
        self.notices: list[str] = []
        self.is_expected_to_fail = False
        self._tokens: set[str] = set()
        self._secret = b"no secret yet"
        self._endpoint = endpoint or "tcp:{port}:interface=127.0.0.1"
        self._variables = dict(variables or {})
        self._under = under
        self._process: subprocess.Popen[bytes] | None = None
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind("")  # Linux gives it a name that nobody else has

    def start(self) -> "Daemon":
        """Start, and return once it accepts connections."""
        self.launch()
        self.await_notice("READY=1", STARTS_WITHIN)
        return self

    def launch(self) -> None:
        """Start, without waiting for it."""
        arguments = ["--pidfile=", "-n", "imd", "--config", str(self.config), "--data", str(self.data)]
        arguments += ["--listen", self._endpoint.format(port=self.port)]
        name = "@" + self._notify.getsockname()[1:].decode()
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._under, str(TWISTD), *arguments],
                env=clean_environment() | self._variables | {"NOTIFY_SOCKET": name},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def await_notice(self, state: str, within: float) -> None:
        """Wait until the daemon has told its service manager ``state``."""
        deadline = time.monotonic() + within
        self._notify.settimeout(0.1)
        while time.monotonic() < deadline:
            try:
                self.notices.append(self._notify.recv(4096).decode())
            except TimeoutError:
                assert self.is_running, f"the daemon has ended:\n{self.log}"
            else:
                if self.notices[-1] == state:
                    return
        raise AssertionError(f"no {state} within {within} s:\n{self.log}")

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """All that it has logged, in every life."""
        return self.log_file.read_text()

    def terminate(self) -> None:
        """Ask it to stop, as systemd does."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOPS_WITHIN)

    def pause(self) -> None:
        """Let it stand still, as on a machine that has no time for it."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def wait(self) -> int:
        """Return its exit code, once it has ended."""
        assert self._process is not None
        return self._process.wait(STOPS_WITHIN)

    def close(self) -> None:
        """End it if it still runs, and see that nothing failed unseen, and that no token is in its log."""
        if self.is_running:
            self.kill()
        self._notify.close()
        if self.log_file.exists():
            log = self.log
            assert not [token for token in self._tokens if token.rpartition(".")[2] in log], "a token is in the log"
            assert not _KEYS.search(log), "an API key or a token is in the log"
            assert self._secret.decode() not in log, "the secret is in the log"
            assert self.is_expected_to_fail or not _FAILURES.search(log), log

    def token(self, uid: int, *, seconds: float = 3600, is_admin: bool = False, name: str = "") -> str:
        """Return a login token, as whoever holds the daemon's secret makes one."""
        shared = self._variables.get("IMD_SSO_SECRET_FILE")
        self._secret = (Path(shared) if shared else self.data / "token.secret").read_bytes().strip()
        token = issue(self._secret, uid, time.time(), seconds, is_admin=is_admin, name=name)
        self._tokens.add(token)
        return token

    def inbox(self, uid: int) -> list[tuple[str, int]]:
        """Return the (group_id, seq_id) of all that has not reached the user yet."""
        return self.rows("SELECT group_id, seq_id FROM x_inbox WHERE uid = ? ORDER BY group_id, seq_id", uid)

    def rows(self, query: str, *parameters: object) -> list[Any]:
        """Return what is stored."""
        connection = sqlite3.connect(f"file:{self.data / 'imd.sqlite'}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(query, parameters).fetchall()
        finally:
            connection.close()


def clean_environment() -> dict[str, str]:
    """Return the environment without what configures a daemon."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("IMD_", "NOTIFY_SOCKET"))}


def run(*arguments: str, variables: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Run `twistd -n imd` with ``arguments`` to its end, which is expected at once."""
    return subprocess.run(
        [str(TWISTD), "--pidfile=", "-n", "imd", *arguments],
        env=clean_environment() | dict(variables or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STARTS_WITHIN,
        check=False,
    )


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
