"""Statements compiled once, executed with tuples: what SQLAlchemy Core costs least as."""

from typing import Any

from sqlalchemy import ClauseElement, Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import functions


def positional(statement: ClauseElement, dialect: Dialect) -> str:
    """Return the SQL for ``exec_driver_sql``; its parameters stand in the order in which they are written."""
    return str(statement.compile(dialect=dialect))


class Greatest(functions.GenericFunction[int]):
    """The larger of its arguments."""

    name = "greatest"
    inherit_cache = True


@compiles(Greatest, "sqlite")
def _greatest_on_sqlite(element: Greatest, compiler: Any, **options: Any) -> str:
    return f"max({compiler.process(element.clauses, **options)})"
