"""Opening SQLite, and bringing its schema up to date."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool
from twisted.logger import Logger

from imd.errors import StartError

_MIGRATIONS = Path(__file__).parent / "migrations"
_UNAVAILABLE = 75
_log = Logger()

BUSY_MS = 10_000
"""How long a statement waits for another process that holds the database."""


def open_sqlite(path: Path, connections: int, cache_mib: int) -> Engine:
    """Return an engine over the database file at ``path``, made where it is missing.

    WAL with synchronous=FULL: a commit returns when its log is on the disk. Checkpoints are left to
    imd.storage.checkpoint. At most ``connections`` are open, with ``cache_mib`` of page cache each.
    """
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
            "wal_autocheckpoint = 0",
            "foreign_keys = ON",
            "temp_store = MEMORY",
            f"cache_size = {-1024 * cache_mib}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def upgrade(engine: Engine) -> None:
    """Apply the migrations that are missing. Raises StartError (75) where the database can't be used."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(_MIGRATIONS))
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            if _is_behind(connection, config):
                _log.info("bringing the database up to date, which takes minutes where it holds many messages")
            command.upgrade(config, "head")
            connection.commit()
    except DBAPIError as error:
        raise StartError(f"the database {engine.url.database} can't be used: {error.orig}", _UNAVAILABLE) from error
    except Exception as error:
        raise StartError(f"the database {engine.url.database} can't be upgraded: {error}", _UNAVAILABLE) from error


def _is_behind(connection: Connection, config: AlembicConfig) -> bool:
    """Whether there is a schema, and an older one than this version's."""
    current = MigrationContext.configure(connection).get_current_revision()
    return current not in (None, ScriptDirectory.from_config(config).get_current_head())


def begin(connection: Connection) -> None:
    """Begin a write transaction, with SQLite's write lock taken at once."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
