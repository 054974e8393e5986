"""The local store's file, or the memory in place of it: opened, locked, and written in transactions."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import PathLike, fspath
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from imd.client import schema
from imd.client.errors import StoreError

_CACHE_MIB = 16


class Database:
    """What one user knows, in the file ``path``, or in memory where that is None.

    Everything but the constructor belongs to one thread. Raises StoreError.
    """

    def __init__(self, path: "str | PathLike[str] | None", uid: int) -> None:
        self.uid = uid
        self._path = None if path is None else fspath(path)
        self._engine: Engine | None = None
        self._connection: Connection | None = None

    @property
    def is_in_memory(self) -> bool:
        """Whether there is no file."""
        return self._path is None

    @property
    def connection(self) -> Connection:
        """The one connection."""
        if self._connection is None:
            raise StoreError("the local store is not open")
        return self._connection

    def open(self) -> None:
        """Open the store, or make it, for its owner's eyes only; until ``close`` it is this process's alone."""
        if self._path is not None:
            # Only one that is missing: to close a file that is open as a database drops its locks.
            with suppress(OSError), open(self._path, "xb", opener=_private):
                pass  # what is wrong with it, SQLite says
        self._engine = _engine(self._path)
        try:
            self._connection = self._engine.connect()
            with self.transaction():
                self._check()
        except (DBAPIError, StoreError) as error:
            self.close()
            raise error if isinstance(error, StoreError) else StoreError(self._complaint(error)) from error

    def close(self) -> None:
        """Close it."""
        if self._connection is not None:
            self._connection.close()
        if self._engine is not None:
            self._engine.dispose()
        self._connection = self._engine = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside, all or nothing."""
        connection = self.connection
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield
            connection.commit()
        except BaseException:
            connection.rollback()
            raise

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what is done inside where it fails, and nothing else of the transaction."""
        connection = self.connection
        connection.exec_driver_sql("SAVEPOINT step")
        try:
            yield
        except BaseException:
            connection.exec_driver_sql("ROLLBACK TO step")
            raise
        finally:
            connection.exec_driver_sql("RELEASE step")

    def run(self, statement: str, *parameters: Any) -> list[Any]:
        """Run a statement and return its rows."""
        result = self.connection.exec_driver_sql(statement, parameters)
        return list(result.all()) if result.returns_rows else []

    def run_many(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        """Run a statement for each of ``rows``."""
        if rows:
            self.connection.exec_driver_sql(statement, rows)

    def _check(self) -> None:
        [(application_id,)] = self.run("PRAGMA application_id")
        [(version,)] = self.run("PRAGMA user_version")
        [(tables,)] = self.run("SELECT count(*) FROM sqlite_master")
        if not tables:
            schema.metadata.create_all(self.connection)
            self.run(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            self.run(f"PRAGMA user_version = {schema.VERSION}")
            self.run("INSERT INTO x_account (uid) VALUES (?)", self.uid)
        elif application_id != schema.APPLICATION_ID:
            raise StoreError(f"{self._path} is a database, but not a local store of imd.client: name another file")
        elif version != schema.VERSION:
            raise StoreError(
                f"{self._path} has version {version} of the local store, and this imd knows {schema.VERSION}"
            )
        [(uid,)] = self.run("SELECT uid FROM x_account")
        if uid != self.uid:
            raise StoreError(f"{self._path} is the local store of uid {uid}, not of {self.uid}: name another file")

    def _complaint(self, error: DBAPIError) -> str:
        code = getattr(error.orig, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_BUSY:
            return f"the local store {self._path} is in use by another client: each needs a file of its own"
        return f"the local store {self._path} can't be used: {error.orig}"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _engine(path: str | None) -> Engine:
    engine = create_engine(
        "sqlite://" if path is None else f"sqlite:///{path}",
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "timeout": 0, "cached_statements": 256},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # BEGIN is ours, not pysqlite's
        for pragma in (
            # Held for as long as the file is open: nobody else gets in, and there is no shared index beside the log.
            "locking_mode = EXCLUSIVE",
            "journal_mode = WAL",
            "synchronous = FULL",
            "temp_store = MEMORY",
            f"cache_size = {-1024 * _CACHE_MIB}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine
