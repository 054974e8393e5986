"""Reports as operators see them: what waits, what is dead, and what is to become of that."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import Connection

from imd.storage.database import Database
from imd.storage.upstream import Advance, Upstream, clock_of

STEP = 1000
"""Reports that one transaction changes at most, so that the daemon has its turn."""


class State(NamedTuple):
    """A destination: how many of its reports wait and are dead, and what all of them cost in bytes.

    ``oldest`` is when (ms) the first one that waits was reported, 0 where none does. ``node`` carries them on, empty
    where nobody does now.
    """

    destination: str
    waiting: int
    oldest: int
    dead: int
    size: int
    node: str


class DeadReport(NamedTuple):
    """A report that its destination has refused for good; ``created`` is in ms, ``size`` its payload's in bytes."""

    destination: str
    id: int
    uid: int
    message_id: str
    content_type: str
    created: int
    attempts: int
    size: int


class Reports:
    """The reports in a database that daemons may be using meanwhile."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._upstream = Upstream(database, {})
        sql = database.sql
        self._array = sql.array
        now = clock_of(database)
        self._states_sql = sql(
            f"SELECT q.queue, q.kept, q.size, CASE WHEN q.lease_until > {now} THEN q.node ELSE '' END,"
            " (SELECT count(*) FROM x_upstream AS u WHERE u.queue = q.queue AND u.dead <> 0),"
            " (SELECT u.created FROM x_upstream AS u WHERE u.queue = q.queue AND u.dead = 0 ORDER BY u.id LIMIT 1)"
            " FROM x_upstream_queue AS q ORDER BY q.queue"
        )
        columns = "queue, id, uid, message_id, content_type, created, attempts, length(payload)"
        self._dead_sql = sql(
            f"SELECT {columns} FROM x_upstream WHERE queue = :queue AND dead <> 0 ORDER BY id LIMIT :n"
        )
        step = "SELECT id FROM x_upstream WHERE queue = :queue AND id <= :upto{} ORDER BY id LIMIT :n"
        self._dead_step_sql = sql(step.format(" AND dead <> 0"))
        self._any_step_sql = sql(step.format(""))
        self._named_sql = sql(
            f"SELECT id FROM x_upstream WHERE queue = :queue AND dead <> 0 AND id {sql.among('ids', int)} ORDER BY id"
        )
        self._revive = sql.many(
            "UPDATE x_upstream SET id = {new}, dead = 0, attempts = 0{rows}"
            " WHERE x_upstream.queue = {queue} AND x_upstream.id = {old}",
            new=int,
            queue=str,
            old=int,
        )

    def states(self) -> list[State]:
        """Return every destination that ever had a report."""
        with self._database.reading() as connection:
            rows = connection.exec_driver_sql(self._states_sql, ()).all()
        return [
            State(queue, kept - dead, oldest or 0, dead, size, node) for queue, kept, size, node, dead, oldest in rows
        ]

    def dead(self, destination: str, limit: int) -> list[DeadReport]:
        """Return the ``limit`` dead reports to a destination that are dead for the longest time."""
        with self._database.reading() as connection:
            rows = connection.exec_driver_sql(self._dead_sql, (destination, limit)).all()
        return [DeadReport._make(row) for row in rows]

    def replay(self, destination: str, ids: Collection[int] | None = None) -> int:
        """Let dead reports, those named or all, wait again behind all others; return how many there were.

        They keep their order among themselves.
        """

        def revive(connection: Connection, dead: Collection[int]) -> None:
            last = self._upstream.lock(connection, {destination: Advance(ids=len(dead))})[destination].last_id
            self._revive(connection, [(last + n, destination, id_) for n, id_ in enumerate(dead, 1)])

        return self._each_step(destination, ids, self._dead_step_sql, revive)

    def drop(self, destination: str, ids: Collection[int] | None = None, *, waiting: bool = False) -> int:
        """Delete dead reports, those named or all, or with ``waiting`` all that is kept; return how many there were."""

        def delete(connection: Connection, found: Collection[int]) -> None:
            self._upstream.delete(connection, destination, found)

        return self._each_step(destination, ids, self._any_step_sql if waiting else self._dead_step_sql, delete)

    def _each_step(
        self,
        destination: str,
        ids: Collection[int] | None,
        step_sql: str,
        change: Callable[[Connection, Collection[int]], None],
    ) -> int:
        count = 0
        with self._database.connect() as connection:
            with self._locked(connection, destination) as upto:
                pass
            while True:
                with self._locked(connection, destination):
                    if ids is None:
                        rows = connection.exec_driver_sql(step_sql, (destination, upto, STEP))
                    else:
                        rows = connection.exec_driver_sql(self._named_sql, (destination, self._array(ids)))
                    if found := rows.scalars().all():
                        change(connection, found)
                count += len(found)
                if ids is not None or len(found) < STEP:
                    return count

    @contextmanager
    def _locked(self, connection: Connection, destination: str) -> Iterator[int]:
        """Run a transaction that has the destination to itself; yields its last id."""
        with self._database.writing(connection, ()):
            yield self._upstream.lock(connection, {destination: Advance()})[destination].last_id
