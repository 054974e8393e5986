"""The daemon as the load sees it from outside: its process, its CPU time, its memory, its cores (Linux)."""

import os
import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fcntl import LOCK_NB, LOCK_SH, flock
from pathlib import Path
from time import clock_gettime, monotonic, process_time

from imd.cli.bench.load import LoadError, Loop

SETTLE_SECONDS = 0.2
_LOCK = "imd.lock"
_SPARE_FILES = 100
_CPUCLOCK_SCHED = 2


@dataclass(frozen=True, slots=True)
class Usage:
    """What has been used up to one instant, all in seconds: wall clock, the server's CPU, the load's CPU."""

    wall: float
    server: float
    load: float

    def since(self, earlier: "Usage") -> "Usage":
        """Return what was used from ``earlier`` to this."""
        return Usage(self.wall - earlier.wall, self.server - earlier.server, self.load - earlier.load)


def usage(pid: int) -> Usage:
    """Return what the server ``pid`` and this process have used by now. Raises LoadError where it is gone."""
    return Usage(monotonic(), cpu_seconds(pid), process_time())


class Meter:
    """Measures what the daemon ``pid`` and this process use from now on. Raises LoadError where the daemon is gone."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._start = usage(pid)

    def stop(self, loop: Loop) -> Usage:
        """Return what was used.

        The CPU is read a little later than the clock, so that what the server puts off is charged: ACKs that wait for
        the next commit.
        """
        finished = monotonic()
        loop.wait(SETTLE_SECONDS)
        used = usage(self._pid).since(self._start)
        return Usage(finished - self._start.wall, used.server, used.load)


def find_pid(folder: Path) -> int:
    """Return the pid of the daemon whose data lies in ``folder``. Raises LoadError where none runs."""
    with suppress(OSError, ValueError), (folder / _LOCK).open("rb") as lock:
        pid = int(lock.read())
        try:
            flock(lock, LOCK_SH | LOCK_NB)
        except BlockingIOError:
            return pid
        # Nobody holds it: the daemon was killed, and the pid may be another's by now.
    raise LoadError(f"No daemon runs on {folder}: start one with `twistd -n imd --data {folder}`.")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of all threads of ``pid``: utime + stime of /proc/PID/stat, without its ticks of 10 ms."""
    try:
        return clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)  # as clock_getcpuclockid(3) makes it
    except OSError as error:
        raise LoadError(f"The daemon (pid {pid}) has ended.") from error


def resident_bytes(pid: int) -> int:
    """Return how much of ``pid`` is in memory. Raises LoadError where it is gone or another user's."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise LoadError(f"The memory of the daemon (pid {pid}) can't be read: {error.strerror}.") from error
    for line in lines:
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise LoadError(f"/proc/{pid}/smaps_rollup has no line Rss.")


@contextmanager
def cores_apart(pid: int) -> Iterator[bool]:
    """Keep the server on one core and this process, with what it starts, on another; undo it at the end.

    Yields whether that was done: it takes two cores, and the right to move the server.
    """
    mine = os.sched_getaffinity(0)
    before = {thread: os.sched_getaffinity(thread) for thread in _threads(pid)}
    cores = sorted(mine)
    try:
        if apart := len(cores) > 1 and _move((thread, {cores[0]}) for thread in before):
            os.sched_setaffinity(0, {cores[1]})
        yield apart
    finally:
        os.sched_setaffinity(0, mine)
        started_since = set(_threads(pid)) - before.keys()
        _move((before | dict.fromkeys(started_since, before.get(pid, mine))).items())


def allow_connections(wanted: int) -> None:
    """Let this process have ``wanted`` connections open at once. Raises LoadError where it may not."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if wanted > (allowed := hard - _SPARE_FILES):
        raise LoadError(
            f"{wanted:,} connections are more than the {allowed:,} files this process may open:"
            " raise its hard limit (`ulimit -Hn`)."
        )


def _threads(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()]
    return []


def _move(threads: Iterable[tuple[int, set[int]]]) -> bool:
    for thread, cores in threads:
        try:
            os.sched_setaffinity(thread, cores)
        except ProcessLookupError:
            continue
        except PermissionError:
            return False
    return True
