"""What the store needs of a database beside its SQL; imd.storage.sqlite and imd.storage.postgresql are the two."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from enum import Enum, auto
from typing import Protocol

from sqlalchemy import Connection, Engine

from imd.storage.sql import Sql


class Fault(Enum):
    """Whose fault an error is."""

    ROW = auto()
    """That of what was to be stored; the rest can be."""

    CONFLICT = auto()
    """Of two nodes that were in each other's way: doing the same again helps."""

    STORE = auto()
    """Of the database, which takes nothing now."""

    LOST = auto()
    """Of the way to the database, or it is away; what was under way may have been committed or not."""


class Database(Protocol):
    """An open database, whose schema is this release's.

    ``lag_ms`` is how long a write transaction may be under way in another process before all can see it.
    """

    engine: Engine
    lag_ms: int

    @property
    def sql(self) -> Sql:
        """Writes its statements."""

    def start(self) -> None:
        """Start what runs beside the transactions."""

    def stop(self) -> None:
        """End it, and close every connection."""

    def connect(self) -> Connection:
        """Return the writer's own connection. It connects anew by itself after it was lost."""

    def writing(self, connection: Connection, groups: Iterable[str]) -> AbstractContextManager[None]:
        """Run a write transaction, which has these groups to itself."""

    def reading(self) -> AbstractContextManager[Connection]:
        """Lend a connection on which every statement sees what is committed."""

    def between(self, connection: Connection) -> None:
        """Do what has to be done between two transactions of the writer."""

    def fault(self, error: BaseException) -> Fault:
        """Say whose fault an error is."""
