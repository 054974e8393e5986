"""A one-machine installation's data, taken over from SQLite into PostgreSQL.

Rows travel in the order of their key, in chunks that are committed with the key they end at: an interrupted copy goes
on there. Until all is there and compared, the database's version is one that no node runs on.
"""

import io
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import psycopg2
from sqlalchemy import URL, Connection, LargeBinary, NullPool, Table, create_engine

from imd.errors import ConfigError, StartError
from imd.storage import postgresql, sqlite, version
from imd.storage.schema import metadata, x_group
from imd.storage.sql import Row, copy_text

CHUNK_ROWS = 10_000
CHUNK_BYTES = 8 << 20
"""Bounds of what is committed at once; one row may pass the latter."""

_BUSY = 1
_COPY_LOCK = 7_650_101
"""The advisory lock of who copies."""

_TABLES = [metadata.tables[name] for name in sorted(metadata.tables)]
_GROUPS = (
    "SELECT g.group_id, g.max_seq, g.counted, count(m.seq_id), coalesce(max(m.seq_id), 0) FROM x_group AS g"
    " LEFT JOIN x_message AS m ON m.group_id = g.group_id GROUP BY g.group_id, g.max_seq, g.counted"
    " ORDER BY g.group_id"
)


class Copied(NamedTuple):
    """A table, how many rows it has, and how many of them this run has copied."""

    table: str
    rows: int
    copied: int


def copy(folder: Path, target: URL, progress: Callable[[str, int, int], None]) -> list[Copied]:
    """Copy DATA/imd.sqlite, on which nothing may run meanwhile, and return what is in ``target`` now.

    ``progress`` is told a table's name, how many of its rows are there, and how many there will be. Raises ConfigError,
    and StartError: 75 where a database can't be used, 1 where the target holds other data or differs in the end.
    """
    file = (folder / "imd.sqlite").resolve()
    if not file.exists():
        raise ConfigError(f"There is no imd.sqlite in {folder}: expected the data folder of a daemon.")
    found = sqlite.current(file)
    if version.is_behind(found):
        raise StartError(
            f"the data in {folder} are of version {found or 'none'}, and this imd copies {version.needed()}:"
            f" run imctl db upgrade --data {folder}",
            version.UNAVAILABLE,
        )
    if not _version(target).startswith(version.COPYING):
        postgresql.upgrade(target)
    engine = _engine(target)
    with (
        version.usable(engine),
        _told(file, target),
        closing(sqlite3.connect(file)) as source,
        engine.connect() as connection,
    ):
        return _Copy(source, connection, file).run(progress)


class _Copy:
    def __init__(self, source: sqlite3.Connection, target: Connection, file: Path) -> None:
        self._source = source
        self._target = target
        self._file = file

    def run(self, progress: Callable[[str, int, int], None]) -> list[Copied]:
        self._begin()
        copied = []
        for table in _TABLES:
            (total,) = self._source.execute(f"SELECT count(*) FROM {table.name}").fetchone()
            copied.append(Copied(table.name, total, self._copy(table, total, progress)))
        self._compare(copied)
        self._execute("DROP TABLE x_copy")
        self._execute("UPDATE alembic_version SET version_num = %s", version.needed())
        self._target.commit()
        return copied

    def _begin(self) -> None:
        """Take the database, which must be empty or hold the beginning of this copy."""
        if not self._execute("SELECT pg_try_advisory_lock(%s)", _COPY_LOCK).scalar():
            raise StartError("another imctl db copy runs into this database: wait for its end", _BUSY)
        found = version.current(self._target)
        state = self._state()
        if not found.startswith(version.COPYING):
            self._begin_anew(state)
            return
        if found != version.COPYING + version.needed():
            raise StartError(
                f"the copy in this database was begun by an imd of another version ({found}): finish it with that one,"
                " or copy into a new database",
                _BUSY,
            )
        file, before = self._execute("SELECT file, state FROM x_copy WHERE name = ''").one()
        if file != str(self._file):
            raise StartError(
                f"this database holds an unfinished copy of {file}: finish that, or copy into a new one", _BUSY
            )
        if before != state:  # a daemon has run on the data meanwhile
            for table in _TABLES:
                self._execute(f"TRUNCATE {table.name}")
            self._execute("DELETE FROM x_copy")
            self._mark(state)
        self._target.commit()

    def _begin_anew(self, state: str) -> None:
        nodes = self._execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'imd'"
        ).scalar()
        if nodes:
            raise StartError("a node runs on this database: stop all of them first", _BUSY)
        for table in _TABLES:
            # The schema itself brings the broadcast stream, empty.
            rest = " WHERE group_id <> 'system' OR max_seq > 0" if table is x_group else ""
            if self._execute(f"SELECT 1 FROM {table.name}{rest} LIMIT 1").first():
                raise StartError(
                    f"this database holds data already (in {table.name}): copy into a new, empty one", _BUSY
                )
        self._execute("DELETE FROM x_group")
        self._execute(
            "CREATE TABLE x_copy (name text PRIMARY KEY, file text, state text, last text, copied bigint NOT NULL)"
        )
        self._mark(state)
        self._execute("UPDATE alembic_version SET version_num = %s", version.COPYING + version.needed())
        self._target.commit()

    def _mark(self, state: str) -> None:
        self._execute("INSERT INTO x_copy (name, file, state, copied) VALUES ('', %s, %s, 0)", str(self._file), state)

    def _state(self) -> str:
        """Return what tells whether the file was written to; what its log holds is moved into it first."""
        self._source.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        found = self._file.stat()
        return f"{found.st_size} {found.st_mtime_ns}"

    def _copy(self, table: Table, total: int, progress: Callable[[str, int, int], None]) -> int:
        """Copy what of a table isn't there yet, and return how many rows that were."""
        row = self._execute("SELECT last, copied FROM x_copy WHERE name = %s", table.name).first()
        last, before = (json.loads(row[0]), row[1]) if row else (None, 0)
        there = before
        progress(table.name, there, total)
        keys = [column.name for column in table.primary_key]
        # COPY's text takes bytes in the last column only.
        columns = sorted(table.columns, key=lambda column: isinstance(column.type, LargeBinary))
        names = [column.name for column in columns]
        places = [names.index(key) for key in keys]
        key = ", ".join(keys)
        beyond = f" WHERE ({key}) > ({', '.join('?' * len(keys))})" if last else ""
        rows = self._source.execute(
            f"SELECT {', '.join(names)} FROM {table.name}{beyond} ORDER BY {key}",
            last or (),
        )
        for chunk in _chunks(rows):
            self._put(table, names, chunk)
            there += len(chunk)
            last = json.dumps([chunk[-1][place] for place in places])
            self._execute(
                "INSERT INTO x_copy (name, last, copied) VALUES (%s, %s, %s)"
                " ON CONFLICT (name) DO UPDATE SET last = excluded.last, copied = excluded.copied",
                table.name,
                last,
                there,
            )
            self._target.commit()
            progress(table.name, there, total)
        return there - before

    def _put(self, table: Table, names: Sequence[str], rows: Sequence[Row]) -> None:
        has_bytes = isinstance(table.c[names[-1]].type, LargeBinary)
        cursor: Any = self._target.connection.cursor()
        with closing(cursor):
            sql = f"COPY {table.name} ({', '.join(names)}) FROM STDIN"
            cursor.copy_expert(sql, io.BytesIO(copy_text(rows, has_bytes)))

    def _compare(self, copied: Sequence[Copied]) -> None:
        """Raise StartError (1) where the target is not what the source is."""
        for table, rows, _ in copied:
            there = self._execute(f"SELECT count(*) FROM {table}").scalar()
            if there != rows:
                raise _differs(f"{table} has {there:,} rows of {rows:,}")
        cursor: Any = self._target.connection.cursor(name="groups")
        with closing(cursor):
            cursor.execute(f'{_GROUPS} COLLATE "C"')
            for ours, theirs in zip_longest(self._source.execute(_GROUPS), cursor):
                if ours != theirs:
                    raise _differs(f"the group {(ours or theirs)[0]} is not the same there")

    def _execute(self, statement: str, *parameters: object) -> Any:
        return self._target.exec_driver_sql(statement, parameters)


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += sum([len(value) if isinstance(value, str | bytes) else 8 for value in row])
        if len(chunk) >= CHUNK_ROWS or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _engine(target: URL) -> Any:
    # Not postgresql.py's: here whole tables are read, and no statement is to end by itself.
    query = {"connect_timeout": str(postgresql.CONNECT_SECONDS), "application_name": "imctl"}
    return create_engine(target.update_query_dict(query), poolclass=NullPool, hide_parameters=True)


def _version(target: URL) -> str:
    engine = _engine(target)
    with version.usable(engine), engine.connect() as connection:
        return version.current(connection)


@contextmanager
def _told(file: Path, target: URL) -> Iterator[None]:
    """Turn what SQLAlchemy doesn't see into a StartError (75)."""
    try:
        yield
    except (sqlite3.Error, psycopg2.Error) as error:
        name = file if isinstance(error, sqlite3.Error) else target.database
        reason = " ".join(str(error).split())
        raise StartError(
            f"the database {name} can't be used: {reason}; what was copied stays, run it again", version.UNAVAILABLE
        ) from None


def _differs(what: str) -> StartError:
    return StartError(f"the copy differs: {what}; somebody else has written there, copy into a new database", _BUSY)
