"""`imctl db`: the version of the database, and the way from SQLite to PostgreSQL."""

import os
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from imd.cli.options import configured
from imd.config import Config
from imd.errors import ConfigError
from imd.node import DataLock
from imd.storage import open as storage
from imd.storage import version
from imd.storage.copying import Copied, copy

_POSTGRESQL = "postgresql://"


@click.group()
def db() -> None:
    """Look after the database: its version, and the way to PostgreSQL."""


@db.command()
@configured
def upgrade(config: Config) -> None:
    """Bring the database's schema up to what this imd needs.

    SQLite must not be in use; make a backup first.
    """
    url = config.database_url
    lock = None if url.startswith(_POSTGRESQL) else DataLock(config.data)
    if lock is not None:
        lock.acquire(os.getpid())
    try:
        before, after = storage.upgrade(url, config.storage.password_file)
    finally:
        if lock is not None:
            lock.release()
    if before == after:
        click.echo(f"The database is of version {after} already.")
    elif before:
        click.echo(f"The database was of version {before} and is of version {after} now.")
    else:
        click.echo(f"The database was empty and is of version {after} now.")


@db.command()
@configured
def current(config: Config) -> None:
    """Tell the version of the database's schema, and which one this imd needs."""
    found, needed = storage.current(config.database_url, config.storage.password_file), version.needed()
    if found == needed:
        click.echo(f"The database is of version {found}, as this imd needs it.")
    elif not found:
        click.echo(f"The database has no schema yet; this imd needs version {needed}: run imctl db upgrade.")
    elif version.is_behind(found):
        click.echo(f"The database is of version {found}, and this imd needs {needed}: run imctl db upgrade.")


@db.command("copy")
@click.argument("folder", metavar="SQLITE_DATA_DIR", type=click.Path(path_type=Path))
@click.argument("url", metavar="POSTGRES_URL")
@click.option("--password-file", metavar="FILE", default="", help="A file with PostgreSQL's password.")
def copy_(folder: Path, url: str, password_file: str) -> None:
    """Take the data of a one-machine installation over into PostgreSQL.

    The daemon must be stopped, and the PostgreSQL database be empty. After an interruption, run it again: it goes on
    where it was. No node runs on the copy before it is whole.
    """
    if not url.startswith(_POSTGRESQL):
        raise ConfigError(f"The copy can only go to PostgreSQL: expected such as {_POSTGRESQL}imd@host/imd.")
    target = storage.address(url, password_file)
    lock = DataLock(folder)
    lock.acquire(os.getpid())
    try:
        with _Bars() as bars:
            copied = copy(folder, target, bars.show)
    finally:
        lock.release()
    Console().print(_table(copied))
    click.echo(
        "All rows are there, and every group's numbers are the same. Give the nodes this url and token.secret of"
        f" {folder}, and don't start a daemon on {folder} again."
    )


class _Bars(Progress):
    """A bar for each table, on a terminal only."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._bars: dict[str, TaskID] = {}

    def show(self, table: str, done: int, total: int) -> None:
        """Show how far a table is."""
        if table not in self._bars:
            self._bars[table] = self.add_task(table, total=total)
        self.update(self._bars[table], completed=done)


def _table(copied: list[Copied]) -> Table:
    table = Table("table", box=None)
    for heading in ("rows", "copied now"):
        table.add_column(heading, justify="right")
    for each in copied:
        table.add_row(each.table, f"{each.rows:,}", f"{each.copied:,}")
    return table
