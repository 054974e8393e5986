"""Which database an address means."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection

from imd.errors import ConfigError
from imd.storage import postgresql, sqlite, version
from imd.storage.database import Database

_SQLITE = "sqlite:///"


def open_database(url: str, password_file: str, *, readers: int, cache_mib: int, timeout: float) -> Database:
    """Open sqlite:///FILE or postgresql://USER@HOST/DATABASE, whose password may be in a file of its own.

    ``cache_mib`` is for SQLite, ``timeout`` (seconds) for PostgreSQL. Raises ConfigError, and StartError (75).
    """
    if url.startswith(_SQLITE):
        return sqlite.SqliteDatabase(_path(url), readers + 2, cache_mib)
    return postgresql.PostgresqlDatabase(address(url, password_file), readers, timeout)


def upgrade(url: str, password_file: str) -> tuple[str, str]:
    """Upgrade the schema; return its version before and after. Raises ConfigError, and StartError (75)."""
    if url.startswith(_SQLITE):
        return sqlite.upgrade(_path(url))
    return postgresql.upgrade(address(url, password_file))


def current(url: str, password_file: str) -> str:
    """Return the version of the schema, empty where there is none. Raises ConfigError, and StartError (75)."""
    if url.startswith(_SQLITE):
        return sqlite.current(_path(url))
    return postgresql.current(address(url, password_file))


@contextmanager
def transaction(url: str, password_file: str) -> Iterator[Connection]:
    """Lend a connection in a transaction of its own, beside a daemon that may run; it commits at the end.

    Raises ConfigError, and StartError (75), also where the schema is not this release's.
    """
    if url.startswith(_SQLITE) and not _path(url).exists():
        raise ConfigError(f"There is no database {_path(url)}: start the daemon once, or name its folder by --data.")
    engine = (
        sqlite.engine_of(_path(url)) if url.startswith(_SQLITE) else postgresql.engine_of(address(url, password_file))
    )
    try:
        with version.usable(engine), engine.connect() as connection:
            if url.startswith(_SQLITE):
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            version.check(connection)
            yield connection
            connection.commit()
    finally:
        engine.dispose()


def address(url: str, password_file: str) -> URL:
    """Return the address of a PostgreSQL with its password. Raises ConfigError."""
    return postgresql.address(url, _password(password_file))


def _path(url: str) -> Path:
    return Path(url.removeprefix(_SQLITE))


def _password(file: str) -> str:
    if not file:
        return ""
    try:
        return Path(file).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"The database's password file {file} can't be read: {reason}.") from None
