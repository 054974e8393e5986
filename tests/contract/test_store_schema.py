"""The SQL store on SQLite: its migrations make what its schema says, and a database that can't be used is told of."""

import sqlite3
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pytest_twisted import ensureDeferred
from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import OperationalError
from twisted.internet import reactor
from twisted.internet.task import deferLater

from imd.errors import StartError
from imd.storage import checkpoint
from imd.storage.checkpoint import BUSY_MS
from imd.storage.schema import metadata

from .conftest import SqlitePlace
from .subject import Subject, Time


@pytest.fixture
def place(tmp_path: Path) -> SqlitePlace:
    """A file that is not there yet."""
    return SqlitePlace(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database that one start has made."""
    SqlitePlace(tmp_path).open(Time())._database.engine.dispose()
    return tmp_path / "imd.sqlite"


def reflected(engine: Engine) -> dict[str, tuple[Any, ...]]:
    """Return every table as the database has it."""
    tables = inspect(engine)
    return {
        name: (
            [(column["name"], str(column["type"]), column["nullable"], column["default"]) for column in columns],
            tables.get_pk_constraint(name)["constrained_columns"],
            sorted((index["name"], index["column_names"], index["unique"]) for index in tables.get_indexes(name)),
            tables.get_table_options(name),
        )
        for (_, name), columns in tables.get_multi_columns().items()
        if name != "alembic_version"
    }


def test_the_migrations_make_what_the_schema_says(file: Path) -> None:
    migrated, wanted = create_engine(f"sqlite:///{file}"), create_engine("sqlite://")
    metadata.create_all(wanted)
    with migrated.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert reflected(migrated) == reflected(wanted)
    assert reflected(migrated)["x_inbox"][-1] == {"sqlite_with_rowid": False}
    migrated.dispose()
    wanted.dispose()


def test_every_hot_key_begins_with_group_id_or_uid() -> None:
    for name in ("x_message", "x_group", "x_conversation", "x_inbox", "x_hidden", "x_notice"):
        assert next(iter(metadata.tables[name].primary_key)).name in ("group_id", "uid")


def test_a_commit_is_on_the_disk_before_it_returns(tmp_path: Path) -> None:
    store = SqlitePlace(tmp_path).open(Time())
    connection = store._commit.connection
    assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
    assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    store._commit.close()
    store._database.engine.dispose()


def test_a_file_that_is_no_database_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "imd.sqlite").write_bytes(b"no database at all, but long enough to be looked at " * 50)
    with pytest.raises(StartError, match="can't be used: file is not a database") as refused:
        SqlitePlace(tmp_path).open(Time())
    assert refused.value.exit_code == 75


def test_a_folder_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="can't be used: unable to open database file"):
        SqlitePlace(tmp_path / "nowhere").open(Time())


def test_a_database_of_a_later_release_is_told_of_and_left_alone(file: Path) -> None:
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StartError, match="is of version 9999"):
        SqlitePlace(file.parent).open(Time())
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"
    engine.dispose()


@ensureDeferred
async def test_what_is_passed_through_costs_no_write(subject: Subject, tmp_path: Path) -> None:
    group = await subject.group(1, 2)
    with closing(sqlite3.connect(tmp_path / "imd.sqlite")) as watcher:

        def version() -> int:
            """Return a number that any other connection's commit changes, if it has written."""
            found: int = watcher.execute("PRAGMA data_version").fetchone()[0]
            return found

        before = version()
        for where in ({"group": group}, {"to": 2}, {"to": 3}):
            await subject.send(1, msg_type=99, **where)
        assert version() == before
        await subject.send(1, to=2)
        assert version() != before


@ensureDeferred
async def test_the_log_starts_over_instead_of_growing_for_ever(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(checkpoint, "START_FRAMES", 100)
    await subject.reopen()
    log = tmp_path / "imd.sqlite-wal"
    count, written = 0, 0
    while written < 4 * log.stat().st_size + 10_000_000:
        count += len(await subject.send_many(5, 1, to=2, text="x" * 60_000))
        written = count * 60_000
        assert count < 5000
    assert await subject.pulled(2, "1_2", after=count - 3) == [count - 2, count - 1, count]
    await subject.reopen()
    assert (await subject.view(2, "1_2")).max_seq == count


@ensureDeferred
async def test_a_full_disk_does_not_end_the_copying_of_the_log(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(checkpoint, "START_FRAMES", 100)
    await subject.reopen()
    checkpoints = subject.store._database._checkpoints
    engine, rounds = checkpoints._engine, SimpleQueue[str]()

    class FullDisk:
        """Fails the first round, and counts them."""

        def connect(self) -> Connection:
            rounds.put("round")
            if rounds.qsize() == 1:
                raise OperationalError("PRAGMA", {}, Exception("database or disk is full"))
            return engine.connect()

    checkpoints._engine = FullDisk()
    while rounds.qsize() < 2:
        await subject.send_many(5, 1, to=2, text="x" * 60_000)
        assert checkpoints._thread.is_alive()


@ensureDeferred
async def test_a_long_read_of_another_process_does_not_hold_up_commits(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(checkpoint, "START_FRAMES", 100)
    await subject.reopen()
    await subject.send(1, to=2)
    begun = reactor.seconds()
    with closing(sqlite3.connect(tmp_path / "imd.sqlite", isolation_level=None)) as backup:
        backup.execute("BEGIN")
        backup.execute("SELECT count(*) FROM x_message").fetchone()
        for _ in range(20):
            await subject.send_many(5, 1, to=2, text="x" * 60_000)
            await deferLater(reactor, 0.02)
    assert reactor.seconds() - begun < BUSY_MS / 1000
