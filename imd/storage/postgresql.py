"""PostgreSQL: one database, which several nodes share.

The row of a group in x_group is the lock of all that belongs to the group: its messages, inboxes and conversations. A
transaction takes the rows it needs in the order of their ids, so that two never wait for each other; where they do all
the same, the database ends one, which is done again. What is read after the lock is taken is what the one before left.
"""

import itertools
import os
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
from psycopg2 import BINARY
from psycopg2.extensions import new_type, register_type
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import QueuePool

from imd.errors import ConfigError
from imd.storage import version
from imd.storage.database import Fault
from imd.storage.silence import Silence, Wire
from imd.storage.sql import PostgresqlSql

CONNECT_SECONDS = 3
_OPERATOR_SECONDS = 5

_COPY_CHUNK = 1 << 20
_UPGRADE_LOCK = 7_650_100
"""The advisory lock of who upgrades."""

_CONFLICTS = ("40P01", "40001")
_TOO_LARGE = "54"
"""The class of what passes a limit, such as a key too long for an index."""

_READ_ONLY = "25006"

_WHOLE = (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.InternalError)
"""What is true of the database and not of one row."""

_WIRE, _PREPARED = "wire", "prepared"
"""What is noted of a connection."""

_TIMES = 10
"""A statement is planned again when it is used so many times as often as when it was planned last."""

_SESSION = {
    "synchronous_commit": "on",  # a commit returns when its log is on the disk
    "default_transaction_isolation": "read\\ committed",
    # Every query here is for few rows by their key. So it is planned for any of them, and no other way is looked at.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}


class PostgresqlDatabase:
    """A database, whose schema ``imctl db upgrade`` has made.

    Up to ``readers`` connections read; ``timeout`` (seconds) is how long a statement may take, and little more how long
    the server may be silent. Raises StartError (75) where it can't be used.
    """

    def __init__(self, url: URL, readers: int, timeout: float) -> None:
        # A statement ends by itself after ``timeout``: a transaction that takes longer has lost its server.
        silence = timeout + 1
        self.lag_ms = int(silence * 1000)
        self._writing = _engine(url, 1, timeout)
        self.engine = _engine(url, readers, timeout, isolation_level="AUTOCOMMIT", pool_reset_on_return=None)
        self._silence = Silence(silence)
        self.sql = PostgresqlSql(self._writing.dialect)
        self._lock_sql = self.sql(
            f"SELECT 1 FROM x_group WHERE group_id {self.sql.among('group_ids', str)}"
            " ORDER BY group_id FOR NO KEY UPDATE"
        )
        with version.usable(self._writing), self._writing.connect() as connection:
            version.check(connection)

    def start(self) -> None:
        """Start to watch how long the server is silent."""
        self._silence.start()

    def stop(self) -> None:
        """Close every connection."""
        self._silence.stop()
        self._writing.dispose()
        self.engine.dispose()

    def connect(self) -> Connection:
        """Return the writer's connection."""
        return self._writing.connect()

    @contextmanager
    def writing(self, connection: Connection, groups: Iterable[str]) -> Iterator[None]:
        """Run a transaction that holds the rows of these groups from its begin on."""
        with self._silence.watch(_wire(connection)):
            try:
                if ordered := sorted(set(groups)):
                    connection.exec_driver_sql(self._lock_sql, (self.sql.array(ordered),))
                yield
                connection.commit()
            except BaseException as error:
                with suppress(DBAPIError):
                    connection.rollback()
                # Where the server has become a standby, another connection may find the one that has taken over.
                if self.fault(error) is Fault.LOST or (isinstance(error, DBAPIError) and _state(error) == _READ_ONLY):
                    connection.invalidate()
                raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection on which every statement is a transaction."""
        with self.engine.connect() as connection, self._silence.watch(_wire(connection)):
            yield connection

    def between(self, connection: Connection) -> None:
        """Do nothing: the server keeps house by itself."""

    def fault(self, error: BaseException) -> Fault:
        """Say whose fault an error is."""
        if not isinstance(error, DBAPIError):
            return Fault.ROW
        state = _state(error)
        if state in _CONFLICTS:
            return Fault.CONFLICT
        if error.connection_invalidated or (not state and isinstance(error.orig, _WHOLE)):
            return Fault.LOST
        return Fault.STORE if isinstance(error.orig, _WHOLE) and not state.startswith(_TOO_LARGE) else Fault.ROW


def upgrade(url: URL) -> tuple[str, str]:
    """Apply the migrations that are missing; return the version before and after. Raises StartError (75)."""
    engine = _engine(url, 1, 0)
    with version.usable(engine), engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_UPGRADE_LOCK,))
        found = version.current(connection)
        version.upgrade(connection)
        connection.commit()
    engine.dispose()
    return found, version.needed()


def current(url: URL) -> str:
    """Return the version of the database's schema, empty where it has none. Raises StartError (75)."""
    engine = _engine(url, 1, 0)
    with version.usable(engine), engine.connect() as connection:
        found = version.current(connection)
    engine.dispose()
    return found


def engine_of(url: URL) -> Engine:
    """Return an engine of one connection, for who works beside the nodes."""
    return _engine(url, 1, _OPERATOR_SECONDS)


def address(url: str, password: str) -> URL:
    """Return the address of a database; ``password`` is for one that holds none. Raises ConfigError."""
    try:
        found = make_url(url).set(drivername="postgresql+psycopg2")
    except (ArgumentError, ValueError):
        raise ConfigError("[storage] url is no address such as postgresql://user@host/database.") from None
    return found.set(password=password) if password else found


def _engine(url: URL, connections: int, timeout: float, **settings: Any) -> Engine:
    session = {
        **_SESSION,
        "statement_timeout": f"{timeout * 1000:.0f}",
        # What a node that stands still has locked is free before others end for it.
        "idle_in_transaction_session_timeout": f"{timeout * 500:.0f}",
    }
    defaults = {
        "application_name": "imd",
        "client_encoding": "utf8",
        "connect_timeout": str(CONNECT_SECONDS),
        "tcp_user_timeout": f"{timeout * 1000:.0f}",
        "keepalives_idle": "5",
        "keepalives_interval": "2",
        "keepalives_count": "3",
    }
    options = [f"-c {name}={value}" for name, value in session.items()]
    query = {**defaults, **url.query, "options": " ".join((*options, str(url.query.get("options", ""))))}
    engine = create_engine(
        url.set(query=query),
        paramstyle="format",
        use_native_hstore=False,
        hide_parameters=True,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        **settings,
    )

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        register_type(_BYTES, connection)
        record.info[_WIRE] = Wire(socket.socket(fileno=os.dup(connection.fileno())))
        record.info[_PREPARED] = _Prepared()

    @event.listens_for(engine, "close")
    def closed(_connection: object, record: Any) -> None:
        record.info[_WIRE].close()

    @event.listens_for(engine, "do_execute")
    def execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        """Prepare what is written by hand; hand COPY what it reads."""
        if statement.startswith("COPY "):
            cursor.copy_expert(statement, parameters[0], _COPY_CHUNK)
            return True
        # No text in the database holds a NUL: what is looked for with one is not there, but may be asked for.
        parameters = [value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in parameters]
        if context.compiled is not None or not parameters:
            cursor.execute(statement, parameters)
            return True
        name = context.root_connection.connection.info[_PREPARED].name(cursor, statement)
        cursor.execute(f"EXECUTE {name} ({', '.join(['%s'] * len(parameters))})", parameters)
        return True

    return engine


class _Prepared:
    """The statements that were prepared on one connection."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, Iterator[int], int]] = {}
        self._numbers = itertools.count()

    def name(self, cursor: Any, statement: str) -> str:
        """Return what a statement is called that is about to be executed.

        It is planned when it is new, and again when it is used ten times as often as then: on an empty table one index
        seems as good as another, and else the server would keep to its choice until it next analyzes the table.
        """
        name, uses, planned_at = self._known.get(statement, ("", itertools.count(1), 1))
        if next(uses) == planned_at:
            outdated, name = name, f"imd_{next(self._numbers)}"
            numbers = itertools.count(1)
            text = re.sub("%[%s]", lambda sign: "%" if sign[0] == "%%" else f"${next(numbers)}", statement)
            cursor.execute(f"PREPARE {name} AS {text}")
            self._known[statement] = name, uses, planned_at * _TIMES
            if outdated:
                cursor.execute(f"DEALLOCATE {outdated}")
        return name


def _wire(connection: Connection) -> Wire:
    """Return what a connection runs over; one that was lost, if only while nobody used it, is made anew."""
    wire: Wire = connection.connection.info[_WIRE]
    if wire.has_news():  # of a server to which nothing was said, that it ends
        connection.invalidate()
        wire = connection.connection.info[_WIRE]
    return wire


def _state(error: DBAPIError) -> str:
    """Return the code of what the server said, empty where it said nothing."""
    return getattr(error.orig, "pgcode", None) or ""


def _bytes(value: Any, cursor: Any) -> bytes | None:
    found = BINARY(value, cursor)
    return None if found is None else bytes(found)


_BYTES = new_type(BINARY.values, "BYTES", _bytes)
