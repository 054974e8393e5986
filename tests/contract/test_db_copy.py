"""`imctl db copy`: a real SQLite file taken over into a real PostgreSQL, interrupted and run again."""

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import URL, LargeBinary, Text

from imd.cli.main import main
from imd.errors import ConfigError, StartError
from imd.storage import copying, postgresql, sqlite, version
from imd.storage.copying import Copied, copy
from imd.storage.postgresql import PostgresqlDatabase, address
from imd.storage.schema import metadata

from .postgres_server import PostgresServer

ROWS = 25
ODD = "tab\t newline\n return\r back\\slash \\N 李 😀 'quoted' \"twice\""
_numbers = itertools.count()


class InterruptedCopyError(Exception):
    """Ends a copy in the midst."""


class Target:
    """An empty database of a server."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.name = f"target{next(_numbers)}"
        server.ask(f"CREATE DATABASE {self.name}")
        self.url: URL = address(server.url(self.name), "")

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        return self.server.ask(statement, self.name)

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        return {
            name: sorted(tuple(map(_plain, row)) for row in self.ask(f"SELECT {_columns(name)} FROM {name}"))
            for name in metadata.tables
        }


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
def target(server: PostgresServer) -> Target:
    return Target(server)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with rows in every table, which are copied ten at a time."""
    monkeypatch.setattr(copying, "CHUNK_ROWS", 10)
    sqlite.upgrade(tmp_path / "imd.sqlite")
    with closing(sqlite3.connect(tmp_path / "imd.sqlite")) as connection:
        for table in metadata.tables.values():
            marks = ", ".join("?" * len(table.columns))
            rows = [tuple(_value(column, number) for column in table.columns) for number in range(ROWS)]
            connection.executemany(f"INSERT INTO {table.name} VALUES ({marks})", rows)
        connection.commit()
    return tmp_path


def _value(column: Any, number: int) -> Any:
    if isinstance(column.type, LargeBinary):
        return bytes([number, 0, 9, 10, 13, 92, 255])
    if isinstance(column.type, Text):
        return f"{number % 5} {ODD} {number}" if column.primary_key or column.name == "msg_id" else ODD
    return number + (1 if column.name == "max_seq" else 0)


def _columns(table: str) -> str:
    return ", ".join(column.name for column in metadata.tables[table].columns)


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def held_by(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(folder / "imd.sqlite")) as connection:
        return {
            name: sorted(connection.execute(f"SELECT {_columns(name)} FROM {name}").fetchall())
            for name in metadata.tables
        }


def unwatched(_table: str, _done: int, _total: int) -> None:
    """Look away."""


def until(table: str, rows: int, then: Callable[[], None] | None = None) -> Callable[[str, int, int], None]:
    """Interrupt a copy once so many rows of a table are committed; or do something then, once."""
    left = [None]

    def progress(name: str, done: int, _total: int) -> None:
        if name == table and done >= rows and left:
            left.clear()
            if then is None:
                raise InterruptedCopyError
            then()

    return progress


def changed(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "imd.sqlite")) as connection:
        connection.execute(statement)
        connection.commit()


def run(folder: Path, target: Target) -> Any:
    return CliRunner().invoke(main, ["db", "copy", str(folder), target.server.url(target.name)])


def test_every_row_of_every_table_is_taken_over(folder: Path, target: Target) -> None:
    copied = copy(folder, target.url, unwatched)
    rows = held_by(folder)
    assert target.tables() == rows
    assert [each.table for each in copied] == sorted(metadata.tables)
    assert all(each.rows == each.copied == len(rows[each.table]) >= ROWS for each in copied)


def test_a_node_runs_on_the_finished_copy(folder: Path, target: Target) -> None:
    copy(folder, target.url, unwatched)
    PostgresqlDatabase(target.url, 1, 5.0).stop()
    assert postgresql.current(target.url) == version.needed()
    assert target.ask("SELECT to_regclass('x_copy')") == [(None,)]


def test_an_interrupted_copy_goes_on_where_it_was(folder: Path, target: Target) -> None:
    with pytest.raises(InterruptedCopyError):
        copy(folder, target.url, until("x_inbox", 10))
    with pytest.raises(InterruptedCopyError):
        copy(folder, target.url, until("x_message", 20))
    copied = {each.table: each.copied for each in copy(folder, target.url, unwatched)}
    assert target.tables() == held_by(folder)
    assert (copied["x_block"], copied["x_inbox"], copied["x_message"], copied["x_user"]) == (0, 0, 5, ROWS)


def test_an_interruption_after_any_chunk_loses_and_doubles_nothing(folder: Path, target: Target) -> None:
    interruptions = 0
    done: list[Copied] = []
    while not done:
        steps = itertools.count()

        def progress(_table: str, _done: int, _total: int, steps: Iterator[int] = steps) -> None:
            # The first call of each table comes before anything of it was copied.
            if next(steps) > len(metadata.tables) // 2:
                raise InterruptedCopyError

        try:
            done = copy(folder, target.url, progress if interruptions < 12 else unwatched)
        except InterruptedCopyError:
            interruptions += 1
    assert interruptions == 12
    assert target.tables() == held_by(folder)


def test_the_server_may_end_in_the_midst(folder: Path) -> None:
    with PostgresServer() as server:
        target = Target(server)
        with pytest.raises(StartError) as told:
            copy(folder, target.url, until("x_message", 10, server.kill))
        assert told.value.exit_code == 75
        server.start()
        copied = {each.table: each.copied for each in copy(folder, target.url, unwatched)}
        assert target.tables() == held_by(folder)
        assert copied["x_message"] == ROWS - 10


def test_no_node_runs_on_an_unfinished_copy(folder: Path, target: Target) -> None:
    with pytest.raises(InterruptedCopyError):
        copy(folder, target.url, until("x_message", 10))
    with pytest.raises(StartError, match="imctl db copy into this database has not finished"):
        PostgresqlDatabase(target.url, 1, 5.0)
    with pytest.raises(StartError, match="imctl db copy into this database has not finished"):
        postgresql.upgrade(target.url)


def test_a_copy_begins_anew_where_the_data_have_changed_meanwhile(folder: Path, target: Target) -> None:
    with pytest.raises(InterruptedCopyError):
        copy(folder, target.url, until("x_message", 10))
    changed(folder, "UPDATE x_conversation SET read_seq = 77")
    copy(folder, target.url, unwatched)
    assert target.tables() == held_by(folder)


def test_a_database_with_data_is_refused_and_stays_as_it_is(folder: Path, target: Target) -> None:
    postgresql.upgrade(target.url)
    target.ask("INSERT INTO x_user (uid) VALUES (7)")
    result = run(folder, target)
    assert result.exit_code == 1
    assert "this database holds data already (in x_user): copy into a new, empty one" in result.stderr
    assert target.ask("SELECT count(*) FROM x_message") == [(0,)]
    assert postgresql.current(target.url) == version.needed()


def test_a_finished_copy_is_not_copied_into_again(folder: Path, target: Target) -> None:
    copy(folder, target.url, unwatched)
    with pytest.raises(StartError, match="holds data already"):
        copy(folder, target.url, unwatched)


def test_the_unfinished_copy_of_another_folder_is_refused(folder: Path, target: Target, tmp_path: Path) -> None:
    with pytest.raises(InterruptedCopyError):
        copy(folder, target.url, until("x_message", 10))
    other = tmp_path / "other"
    other.mkdir()
    sqlite.upgrade(other / "imd.sqlite")
    with pytest.raises(StartError, match=f"unfinished copy of {folder}/imd.sqlite"):
        copy(other, target.url, unwatched)


def test_a_database_on_which_a_node_runs_is_refused(folder: Path, target: Target) -> None:
    postgresql.upgrade(target.url)
    database = PostgresqlDatabase(target.url, 1, 5.0)
    with pytest.raises(StartError, match="a node runs on this database"):
        copy(folder, target.url, unwatched)
    database.stop()


def test_two_copies_at_once_are_refused(folder: Path, target: Target) -> None:
    def second() -> None:
        with pytest.raises(StartError, match="another imctl db copy runs"):
            copy(folder, target.url, unwatched)

    copy(folder, target.url, until("x_message", 10, second))
    assert target.tables() == held_by(folder)


@pytest.mark.parametrize(
    ("meddled", "told"),
    [
        ("INSERT INTO x_block VALUES (99, 99)", "x_block has 26 rows of 25"),
        ("UPDATE x_group SET max_seq = max_seq + 1 WHERE owner_id = 3", "the group 3 "),
        ("UPDATE x_group SET counted = 99 WHERE owner_id = 4", "the group 4 "),
    ],
)
def test_what_differs_in_the_end_is_told_and_no_node_runs_on_it(
    folder: Path, target: Target, meddled: str, told: str
) -> None:
    with pytest.raises(StartError, match=told):
        copy(folder, target.url, until("x_user", ROWS, lambda: target.ask(meddled) and None))
    with pytest.raises(StartError):
        PostgresqlDatabase(target.url, 1, 5.0)


def test_data_of_an_older_version_are_to_be_upgraded_first(folder: Path, target: Target) -> None:
    changed(folder, "UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(StartError, match=f"run imctl db upgrade --data {folder}") as told:
        copy(folder, target.url, unwatched)
    assert told.value.exit_code == 75


def test_a_folder_without_data_is_told_of(tmp_path: Path, target: Target) -> None:
    with pytest.raises(ConfigError, match=f"There is no imd.sqlite in {tmp_path}"):
        copy(tmp_path, target.url, unwatched)


def test_the_command_tells_what_was_copied(folder: Path, target: Target) -> None:
    result = run(folder, target)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["x_message", "25", "25"] in lines
    assert ["x_group", "26", "26"] in lines
    assert "All rows are there, and every group's numbers are the same." in result.stdout
    assert target.tables() == held_by(folder)


def test_the_versions_of_a_postgresql_are_told(
    server: PostgresServer, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMD_STORAGE_URL", server.url(target.name))
    told = [CliRunner().invoke(main, ["db", command]) for command in ("current", "upgrade", "upgrade", "current")]
    assert [result.exit_code for result in told] == [0, 0, 0, 0]
    assert [result.stdout for result in told] == [
        f"The database has no schema yet; this imd needs version {version.needed()}: run imctl db upgrade.\n",
        f"The database was empty and is of version {version.needed()} now.\n",
        f"The database is of version {version.needed()} already.\n",
        f"The database is of version {version.needed()}, as this imd needs it.\n",
    ]


def test_a_postgresql_that_is_away_ends_with_75(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IMD_STORAGE_URL", f"postgresql://imd@/imd?host={tmp_path}")
    for command in ("current", "upgrade"):
        result = CliRunner().invoke(main, ["db", command])
        assert (result.exit_code, result.stdout) == (75, "")
        assert "the database imd can't be used" in result.stderr
