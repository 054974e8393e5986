"""Statements written once for SQLite and PostgreSQL, and executed with tuples: what SQLAlchemy Core costs least as.

What the two write differently is said here alone: lists and rows as parameters, one statement for many rows, and the
fastest way to insert many.
"""

import io
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, LargeBinary, Table, text

Row = tuple[Any, ...]

_POSTGRESQL_TYPES = {int: "bigint", str: "text", bytes: "bytea"}


class Rows:
    """Rows that a statement takes as a parameter: ``str`` is what stands in its FROM, an item is a column of it.

    ``pack`` makes of a list of tuples the parameters that stand for it.
    """

    def __init__(self, source: str, columns: Mapping[str, str], pack: Callable[[Sequence[Row]], Sequence[str]]) -> None:
        self._source = source
        self._columns = columns
        self.pack = pack

    def __str__(self) -> str:
        return self._source

    def __getitem__(self, column: str) -> str:
        return self._columns[column]


Many = Callable[[Connection, Sequence[Row]], None]
"""Executes a statement for each of some rows, at least one, in any order."""


class Sql(ABC):
    """Writes statements for one dialect."""

    bytes: str
    """What a column of bytes is called."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def __call__(self, statement: str) -> str:
        """Return the SQL for ``exec_driver_sql``; its parameters stand in the order in which they are written."""
        return str(text(statement).compile(dialect=self._dialect))

    @abstractmethod
    def array(self, values: Collection[int] | Collection[str]) -> str:
        """Return the parameter that stands for a list."""

    @abstractmethod
    def among(self, name: str, kind: type) -> str:
        """Return the condition that stands behind a column whose value is to be in the list ``name``."""

    @abstractmethod
    def rows(self, **columns: type) -> Rows:
        """Return rows of these columns, known as ``r`` in the statement."""

    @abstractmethod
    def many(self, statement: str, **columns: type) -> Many:
        """Return what executes an UPDATE or DELETE for each row of these columns, in which no row is met twice.

        In the statement ``{uid}`` stands for the column ``uid``, and ``{rows}``, before its WHERE, for all of them.
        """

    @abstractmethod
    def insert(self, table: Table, columns: Sequence[str]) -> Many:
        """Return what inserts rows."""


class SqliteSql(Sql):
    """Lists and rows are JSON; a statement for many rows is prepared once and executed for each."""

    bytes = "BLOB"

    def array(self, values: Collection[int] | Collection[str]) -> str:
        """Return JSON."""
        return json.dumps(list(values))

    def among(self, name: str, kind: type) -> str:  # noqa: ARG002 - JSON knows it by itself
        """Look into the JSON."""
        return f"IN (SELECT value FROM json_each(:{name}))"

    def rows(self, **columns: type) -> Rows:
        """Look into the JSON."""
        names = {name: f"(r.value ->> {number})" for number, name in enumerate(columns)}
        return Rows("json_each(:r) AS r", names, lambda rows: (json.dumps(rows),))

    def many(self, statement: str, **columns: type) -> Many:
        """Execute it for each row."""
        numbers = {name: f"?{number}" for number, name in enumerate(columns, 1)}
        return _executed(statement.format(rows="", **numbers))

    def insert(self, table: Table, columns: Sequence[str]) -> Many:
        """Insert each row."""
        return _executed(str(table.insert().values(dict.fromkeys(columns)).compile(dialect=self._dialect)))


class PostgresqlSql(Sql):
    """Lists and rows are arrays; a statement for many rows is executed once, and rows are inserted by COPY."""

    bytes = "BYTEA"

    def array(self, values: Collection[int] | Collection[str]) -> str:
        """Return an array literal."""
        return _array(values)

    def among(self, name: str, kind: type) -> str:
        """Compare with each."""
        return f"= ANY (CAST(:{name} AS {_POSTGRESQL_TYPES[kind]}[]))"

    def rows(self, **columns: type) -> Rows:
        """Put the arrays side by side."""
        arrays = ", ".join(f"CAST(:r_{name} AS {_POSTGRESQL_TYPES[kind]}[])" for name, kind in columns.items())
        names = {name: f"r.{name}" for name in columns}
        return Rows(f"unnest({arrays}) AS r ({', '.join(columns)})", names, _pack)

    def many(self, statement: str, **columns: type) -> Many:
        """Execute it once, joined with the rows."""
        rows = self.rows(**columns)
        join = "USING" if statement.startswith("DELETE") else "FROM"
        names = {name: rows[name] for name in columns}
        sql = self(statement.format(rows=f" {join} {rows}", **names))

        def execute(connection: Connection, rows: Sequence[Row]) -> None:
            connection.exec_driver_sql(sql, tuple(_pack(rows)))

        return execute

    def insert(self, table: Table, columns: Sequence[str]) -> Many:
        """COPY them."""
        sql = f"COPY {table.name} ({', '.join(columns)}) FROM STDIN"
        has_bytes = isinstance(table.c[columns[-1]].type, LargeBinary)

        def execute(connection: Connection, rows: Sequence[Row]) -> None:
            connection.exec_driver_sql(sql, (io.BytesIO(copy_text(rows, has_bytes)),))

        return execute


def _executed(sql: str) -> Many:
    def execute(connection: Connection, rows: Sequence[Row]) -> None:
        connection.exec_driver_sql(sql, list(rows))

    return execute


def _pack(rows: Sequence[Row]) -> list[str]:
    return [_array(column) for column in zip(*rows, strict=True)]


def _array(values: Collection[Any]) -> str:
    first = next(iter(values), 0)
    if isinstance(first, int):
        return f"{{{','.join(map(str, values))}}}"
    if isinstance(first, bytes):
        values = [f"\\x{value.hex()}" for value in values]
    texts = '","'.join(values)
    if "\\" in texts or texts.count('"') != 2 * (len(values) - 1):
        texts = '","'.join([value.replace("\\", "\\\\").replace('"', '\\"') for value in values])
    return f'{{"{texts}"}}'


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def copy_text(rows: Sequence[Row], has_bytes: bool) -> bytes:
    """Return rows, in which nothing is None, in COPY's text format; with ``has_bytes`` the last column holds bytes."""
    width = len(rows[0]) - 1
    line = "%s\t" * width + ("\\\\x%s\n" if has_bytes else "%s\n")
    lines = [line % (*row[:-1], row[-1].hex()) for row in rows] if has_bytes else [line % row for row in rows]
    texts = "".join(lines)
    plain = (width, 1, 2 * has_bytes, 0)
    # Most often there is nothing to escape: then it is seen by one look at all of them.
    if _signs(texts) != tuple(len(rows) * count for count in plain):
        texts = "".join(
            [
                text if _signs(text) == plain else line % tuple(map(_escaped, row))
                for text, row in zip(lines, rows, strict=True)
            ]
        )
    return texts.encode()


def _signs(text: str) -> tuple[int, ...]:
    """Count what means something in COPY's text format."""
    return text.count("\t"), text.count("\n"), text.count("\\"), text.count("\r")


def _escaped(value: object) -> object:
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    return value.hex() if isinstance(value, bytes) else value
