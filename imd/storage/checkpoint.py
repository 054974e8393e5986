"""Checkpoints: carrying SQLite's log into the database file without holding up a commit.

The bulk is copied on a thread of its own (PASSIVE takes no lock that a writer wants). Only the rest is copied between
two batches on the writer's thread, which lets the log start over instead of growing for ever.
"""

import contextlib
import struct
from pathlib import Path
from threading import Event, Thread

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

START_FRAMES = 8192
"""Pages in the log (of 4 KiB) from which it is carried over."""

EVERY_SECONDS = 1.0

BUSY_MS = 10_000
"""How long a statement waits for another process that holds the database."""

_LOG_HEADER = struct.Struct(">8xI4x8s8x")  # sqlite.org/fileformat2.html, 4.1: the size of a page, two salts
_FRAME_HEADER = struct.Struct(">8x8s8x")  # the salts of the log that the frame is of


class Checkpoints:
    """Watches the log of ``path``; ``finish`` is called by the writer between batches."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self._log = Path(f"{path}-wal")
        self._ended = Event()
        self._copied = Event()
        self._thread = Thread(target=self._run, name="imd-checkpoint", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a copy under way is finished first."""
        self._ended.set()
        self._thread.join()

    def finish(self, connection: Connection) -> None:
        """Copy what came since the bulk was copied, and let the log start over; cheap where there is nothing to do."""
        if self._copied.is_set():
            self._copied.clear()
            # A long read, a backup say, may hold the log: commits don't wait for it, the next round tries again.
            connection.exec_driver_sql("PRAGMA busy_timeout = 0").close()
            with contextlib.suppress(OperationalError):
                connection.exec_driver_sql("PRAGMA wal_checkpoint(RESTART)").close()
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {BUSY_MS}").close()

    def _run(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            if not self._copied.is_set() and self._is_long():
                # A full disk ends this round, not the thread.
                with contextlib.suppress(OperationalError), self._engine.connect() as connection:
                    connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").close()
                self._copied.set()

    def _is_long(self) -> bool:
        """Whether the log has more than START_FRAMES pages; its file never shrinks, so the size does not tell.

        Neither the log's index nor the database may be opened for this: closing them drops the locks that SQLite has
        on them in this process, and another process would take the database for one that nobody uses.
        """
        try:
            with self._log.open("rb", buffering=0) as log:
                header = log.read(_LOG_HEADER.size)
                if len(header) < _LOG_HEADER.size:
                    return False
                page_size, salts = _LOG_HEADER.unpack(header)
                log.seek(_LOG_HEADER.size + START_FRAMES * (_FRAME_HEADER.size + page_size))
                frame = log.read(_FRAME_HEADER.size)
        except FileNotFoundError:
            return False
        return len(frame) == _FRAME_HEADER.size and _FRAME_HEADER.unpack(frame) == (salts,)
