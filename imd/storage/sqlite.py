"""SQLite: one file, one writer."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool

from imd.storage import version
from imd.storage.checkpoint import BUSY_MS, Checkpoints
from imd.storage.database import Fault
from imd.storage.sql import SqliteSql


class SqliteDatabase:
    """A database file, made where it is missing and upgraded where it is old.

    WAL with synchronous=FULL: a commit returns when its log is on the disk. At most ``connections`` are open, with
    ``cache_mib`` of page cache each. Raises StartError (75) where it can't be used.
    """

    lag_ms = 0  # there is no other process

    def __init__(self, path: Path, connections: int, cache_mib: int) -> None:
        self.engine = _engine(path, connections, cache_mib)
        self.sql = SqliteSql(self.engine.dialect)
        self._checkpoints = Checkpoints(self.engine, path)
        self._is_started = False
        _upgrade(self.engine)

    def start(self) -> None:
        """Start the checkpoints."""
        self._checkpoints.start()
        self._is_started = True

    def stop(self) -> None:
        """End them, and close the file."""
        if self._is_started:
            self._checkpoints.stop()
        self.engine.dispose()

    def connect(self) -> Connection:
        """Return the writer's connection."""
        return self.engine.connect()

    @contextmanager
    def writing(self, connection: Connection, groups: Iterable[str]) -> Iterator[None]:  # noqa: ARG002
        """Run a transaction with SQLite's write lock, which is every group's."""
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield
            connection.commit()
        except BaseException:
            connection.rollback()
            raise

    def reading(self) -> Connection:
        """Lend a connection."""
        return self.engine.connect()

    def between(self, connection: Connection) -> None:
        """Finish a checkpoint."""
        self._checkpoints.finish(connection)

    def fault(self, error: BaseException) -> Fault:
        """Say whose fault an error is."""
        return Fault.STORE if isinstance(error, OperationalError) else Fault.ROW


def upgrade(path: Path) -> tuple[str, str]:
    """Apply the migrations that are missing; return the version before and after. Raises StartError (75)."""
    engine = _engine(path, 1, 1)
    found = _upgrade(engine)
    engine.dispose()
    return found, version.needed()


def current(path: Path) -> str:
    """Return the version of the database's schema, empty where it has none. Raises StartError (75)."""
    if not path.exists():
        return ""
    engine = _engine(path, 1, 1)
    with version.usable(engine), engine.connect() as connection:
        found = version.current(connection)
    engine.dispose()
    return found


def engine_of(path: Path) -> Engine:
    """Return an engine of one connection, for who works beside the daemon."""
    return _engine(path, 1, 1)


def _upgrade(engine: Engine) -> str:
    with version.usable(engine), engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        found = version.current(connection)
        version.upgrade(connection)
        connection.commit()
    return found


def _engine(path: Path, connections: int, cache_mib: int) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": BUSY_MS / 1000, "cached_statements": 256},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # BEGIN is ours, not pysqlite's
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "wal_autocheckpoint = 0",  # imd.storage.checkpoint
            "foreign_keys = ON",
            "temp_store = MEMORY",
            f"cache_size = {-1024 * cache_mib}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine
