"""The daemons as the load sees them from outside: processes, CPU time, memory, cores (Linux)."""

import os
import resource
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from fcntl import LOCK_NB, LOCK_SH, flock
from pathlib import Path
from time import clock_gettime, monotonic, process_time

from imd.cli.bench.load import Loop, Target
from imd.cli.bench.wire import LoadError

SETTLE_SECONDS = 0.2
_LOCK = "imd.lock"
_SPARE_FILES = 100
_CPUCLOCK_SCHED = 2
_LOOKS = 100
_CUTIME = 13
"""The place of cutime, which cstime follows, behind the name in /proc/PID/stat."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What has been used up to one instant, all in seconds: wall clock, the CPU of all nodes, the load's CPU.

    ``beside`` is the CPU of what the nodes share, by its name.
    """

    wall: float
    server: float
    load: float
    beside: Mapping[str, float] = field(default_factory=dict)

    def since(self, earlier: "Usage") -> "Usage":
        """Return what was used from ``earlier`` to this."""
        beside = {name: seconds - earlier.beside[name] for name, seconds in self.beside.items()}
        return Usage(self.wall - earlier.wall, self.server - earlier.server, self.load - earlier.load, beside)


def usage(target: Target) -> Usage:
    """Return what the target and this process have used by now. Raises LoadError where a process is gone."""
    return Usage(
        monotonic(),
        sum(cpu_seconds(node.pid) for node in target.nodes),
        process_time(),
        {name: family_cpu_seconds(pid) for name, pid in target.beside},
    )


class Meter:
    """Measures what the target and this process use from now on. Raises LoadError where a process is gone."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._start = usage(target)

    def stop(self, loop: Loop) -> Usage:
        """Return what was used.

        The CPU is read a little later than the clock, so that what the server puts off is charged: ACKs that wait for
        the next commit.
        """
        finished = monotonic()
        loop.wait(SETTLE_SECONDS)
        used = usage(self._target).since(self._start)
        return replace(used, wall=finished - self._start.wall)


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


def family_cpu_seconds(pid: int) -> float:
    """Return the CPU time of ``pid`` and of its children, those that have ended included (in ticks of 10 ms).

    Raises LoadError where it is gone.
    """
    for _ in range(_LOOKS):
        children, ended = _children(pid), _ended_children_seconds(pid)
        used = cpu_seconds(pid)
        with suppress(LoadError):  # one that ends meanwhile is counted at the next look
            used += sum(cpu_seconds(child) for child in children)
            if (_children(pid), _ended_children_seconds(pid)) == (children, ended):
                return used + ended
    raise LoadError(f"The children of pid {pid} come and go too fast to be measured.")


def resident_bytes(target: Target) -> int:
    """Return how much of all nodes is in memory. Raises LoadError where one is gone or another user's."""
    return sum(_resident_bytes(node.pid) for node in target.nodes)


def _resident_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise LoadError(f"The memory of the daemon (pid {pid}) can't be read: {error.strerror}.") from error
    for line in lines:
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise LoadError(f"/proc/{pid}/smaps_rollup has no line Rss.")


def processes(target: Target) -> list[int]:
    """Return the pids of all that the target runs in, of the children too."""
    shared = [pid for _, pid in target.beside]
    return [node.pid for node in target.nodes] + shared + [child for pid in shared for child in _children(pid)]


@contextmanager
def cores_apart(pids: Collection[int]) -> Iterator[bool]:
    """Keep the processes ``pids`` on one core and this one, with what it starts, on another; undo it at the end.

    Yields whether that was done: it takes two cores, and the right to move them.
    """
    mine = os.sched_getaffinity(0)
    before = {thread: os.sched_getaffinity(thread) for pid in pids for thread in _threads(pid)}
    cores = sorted(mine)
    try:
        if apart := len(cores) > 1 and _move((thread, {cores[0]}) for thread in before):
            os.sched_setaffinity(0, {cores[1]})
        yield apart
    finally:
        os.sched_setaffinity(0, mine)
        for pid in pids:
            started_since = set(_threads(pid)) - before.keys()
            before |= dict.fromkeys(started_since, before.get(pid, mine))
        _move(before.items())


def allow_connections(wanted: int) -> None:
    """Let this process have ``wanted`` connections open at once. Raises LoadError where it may not."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if wanted > (allowed := hard - _SPARE_FILES):
        raise LoadError(
            f"{wanted:,} connections are more than the {allowed:,} files this process may open:"
            " raise its hard limit (`ulimit -Hn`)."
        )


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    return []


def _ended_children_seconds(pid: int) -> float:
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return (int(fields[_CUTIME]) + int(fields[_CUTIME + 1])) / os.sysconf("SC_CLK_TCK")
    return 0.0


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
