"""The version of the schema: which one a database has, which one this release needs, and how it gets there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from twisted.logger import Logger

from imd.errors import StartError

UNAVAILABLE = 75
"""The exit code where the database can't be used."""

COPYING = "copying-"
"""What the version of a database begins with while ``imctl db copy`` into it has not finished."""

_MIGRATIONS = Path(__file__).parent / "migrations"
_log = Logger()


def current(connection: Connection) -> str:
    """Return the version of a database's schema, empty where it has none yet."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def needed() -> str:
    """Return the version that this release needs."""
    return ScriptDirectory(str(_MIGRATIONS)).get_current_head() or ""


@contextmanager
def usable(engine: Engine) -> Iterator[None]:
    """Turn what a database can't be used for into a StartError (75), and close it then."""
    try:
        yield
    except DBAPIError as error:
        engine.dispose()
        reason = " ".join(str(error.orig).split())
        raise StartError(f"the database {engine.url.database} can't be used: {reason}", UNAVAILABLE) from None
    except BaseException:
        engine.dispose()
        raise


def check(connection: Connection) -> None:
    """Raise StartError (75) where the schema is not this release's."""
    found = current(connection)
    if is_behind(found):
        has = f"is of version {found}" if found else "is missing"
        raise StartError(
            f"the database's schema {has}, and this imd needs {needed()}: run imctl db upgrade", UNAVAILABLE
        )


def is_behind(found: str) -> bool:
    """Whether a database's version is older than this release's. Raises StartError (75) where it is newer."""
    if found.startswith(COPYING):
        raise StartError("an imctl db copy into this database has not finished: run it again to its end", UNAVAILABLE)
    known = {script.revision for script in ScriptDirectory(str(_MIGRATIONS)).walk_revisions()}
    if found and found not in known:
        raise StartError(
            f"the database's schema is of version {found}, which a later imd has made; this one knows none after"
            f" {needed()}: run the later one, for imctl db upgrade does not lead back",
            UNAVAILABLE,
        )
    return found != needed()


def upgrade(connection: Connection) -> None:
    """Apply the migrations that are missing, in the transaction that is open. Raises StartError (75)."""
    found = current(connection)
    if is_behind(found):
        if found:
            _log.info("bringing the database up to date, which takes minutes where it holds many messages")
        config = AlembicConfig()
        config.set_main_option("script_location", str(_MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
