"""Reports of clients: a row for each until its destination has it, or until somebody looks at why it is dead.

The row of a destination in x_upstream_queue is the lock of its reports: who adds some holds it until the commit. So
their ids rise in the order of the commits, and who reads on after an id misses nothing. It also counts what is kept,
and says which node carries it on.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from imd.errors import ConflictError, RefusedError, UnavailableError
from imd.ports.upstream import ROW_SIZE, Bound, Queued, Report, Reported, Settled
from imd.storage.database import Database, Fault
from imd.storage.schema import x_upstream
from imd.storage.sql import Row
from imd.storage.transaction import Transaction, explain

_NOW = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000 AS BIGINT)",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
}
_COLUMNS = ("queue", "id", "uid", "message_id", "content_type", "created", "payload")

Key = tuple[str, str, int]
"""What tells reports from each other: destination, message_id, uid."""


class Advance(NamedTuple):
    """By how much a destination's row rises: ids that are taken, reports that are kept, and their bytes."""

    ids: int = 0
    kept: int = 0
    size: int = 0


class Head(NamedTuple):
    """A destination's row as it was before it was locked: its last id, what is kept, and the bytes of that."""

    last_id: int
    kept: int
    size: int


class Upstream:
    """Keeps reports; its statements are written for one database. ``bounds`` are by destination."""

    def __init__(self, database: Database, bounds: Mapping[str, Bound]) -> None:
        self._bounds = bounds
        self._fault = database.fault
        sql = database.sql
        now = clock_of(database)
        self._array = sql.array
        self._advances = a = sql.rows(queue=str, ids=int, kept=int, size=int)
        self._advance_sql = sql(
            f"UPDATE x_upstream_queue SET last_id = last_id + {a['ids']}, kept = x_upstream_queue.kept + {a['kept']},"
            f" size = x_upstream_queue.size + {a['size']} FROM {a} WHERE x_upstream_queue.queue = {a['queue']}"
            " RETURNING x_upstream_queue.queue, last_id, x_upstream_queue.kept, x_upstream_queue.size"
        )
        self._names = n = sql.rows(queue=str)
        self._open_sql = sql(
            f"INSERT INTO x_upstream_queue (queue) SELECT {n['queue']} FROM {n} WHERE 1 = 1 ON CONFLICT DO NOTHING"
        )
        self._keys = k = sql.rows(queue=str, message_id=str, uid=int)
        self._find_sql = sql(
            f"SELECT u.queue, u.message_id, u.uid, u.content_type, u.payload FROM {k} JOIN x_upstream AS u"
            f" ON u.queue = {k['queue']} AND u.message_id = {k['message_id']} AND u.uid = {k['uid']}"
        )
        self._insert = sql.insert(x_upstream, _COLUMNS)
        self._page_sql = sql(
            f"SELECT {', '.join(Queued._fields)} FROM x_upstream"
            f" WHERE queue = :queue AND id > :after AND dead = 0 AND NOT (uid {sql.among('without', int)})"
            " ORDER BY id LIMIT :n"
        )
        self._delete_sql = sql(
            f"DELETE FROM x_upstream WHERE queue = :queue AND id {sql.among('ids', int)} RETURNING length(payload)"
        )
        self._attempted = sql.many(
            "UPDATE x_upstream SET attempts = {attempts}{rows}"
            " WHERE x_upstream.queue = {queue} AND x_upstream.id = {id}",
            attempts=int,
            queue=str,
            id=int,
        )
        self._die_sql = sql(f"UPDATE x_upstream SET dead = 1 WHERE queue = :queue AND id {sql.among('ids', int)}")
        self._lease_sql = sql(
            f"UPDATE x_upstream_queue SET node = :node, lease_until = {now} + :ms"
            f" WHERE queue {sql.among('queues', str)} AND (node = :mine OR lease_until <= {now}) RETURNING queue"
        )
        self._release_sql = sql(
            f"UPDATE x_upstream_queue SET lease_until = 0 WHERE node = :node AND queue {sql.among('queues', str)}"
        )

    def lock(self, connection: Connection, advances: Mapping[str, Advance]) -> dict[str, Head]:
        """Lock destinations and raise the row of each; return how it was before."""
        # Sorted, since each locks its row: two nodes take what both want in the same order.
        heads = self._advance(connection, sorted(advances), advances)
        if missing := sorted(advances.keys() - heads.keys()):
            connection.exec_driver_sql(self._open_sql, tuple(self._names.pack([(queue,) for queue in missing])))
            heads |= self._advance(connection, missing, advances)
        return heads

    def append(self, transaction: Transaction, reports: Sequence[Report]) -> list[Reported]:
        """Keep reports, and return what became of each. Raises what the database refuses any of them with."""
        connection, time = transaction.connection, transaction.time
        advances = _advances(reports)
        heads = self.lock(connection, advances)
        known = self._known(connection, reports)
        bounds = self._bounds
        refused: dict[str, Advance] = {}
        reported: list[Reported] = []
        rows: list[Row] = []
        for report in reports:
            _, _, uid, destination, message_id, content_type, payload, size = report
            key = (destination, message_id, uid)
            last_id, kept, taken = heads[destination]
            refusal: RefusedError | None = None
            if key in known:
                if known[key] != (content_type, payload):
                    refusal = ConflictError(f"message_id {message_id} is already another message to {destination}")
            elif kept >= bounds[destination].rows or taken + size > bounds[destination].size:
                refusal = UnavailableError(f"too much waits for {destination} already; send it again later")
            else:
                heads[destination] = Head(last_id + 1, kept + 1, taken + size)
                rows.append((destination, last_id + 1, uid, message_id, content_type, time, payload))
                known[key] = (content_type, payload)
                reported.append(Reported(report, None))
                continue
            ids, kept, taken = refused.get(destination, Advance())
            refused[destination] = Advance(ids, kept - 1, taken - size)
            reported.append(Reported(report, refusal))
        if refused:
            self.lock(connection, refused)
        if rows:
            self._insert(connection, rows)
        return reported

    def one_by_one(self, transaction: Transaction, reports: Sequence[Report]) -> list[Reported]:
        """Keep reports so that one which the database refuses fails alone."""
        reported: list[Reported] = []
        for report in reports:
            savepoint = transaction.connection.begin_nested()
            try:
                reported += self.append(transaction, [report])
                savepoint.commit()
            except Exception as error:
                if self._fault(error) is not Fault.ROW:
                    raise
                savepoint.rollback()
                reported.append(Reported(report, explain(error, "a report")))
        return reported

    def page(
        self, connection: Connection, destination: str, after: int, limit: int, size: int, without: Collection[int]
    ) -> list[Queued]:
        """The next reports that wait."""
        page: list[Queued] = []
        parameters = (destination, after, self._array(without), limit)
        with connection.exec_driver_sql(self._page_sql, parameters) as rows:
            for row in rows:
                queued = Queued._make(row)
                size -= len(queued.payload)
                if size < 0 and page:
                    break
                page.append(queued)
        return page

    def settle(self, transaction: Transaction, destination: str, settled: Settled) -> None:
        """Note what became of reports; those that are gone already are no error."""
        connection = transaction.connection
        if settled.taken:
            self.delete(connection, destination, settled.taken)
        if settled.refused:
            self._attempted(connection, [(attempts, destination, id_) for id_, attempts in settled.refused])
        if settled.dead:
            connection.exec_driver_sql(self._die_sql, (destination, self._array(settled.dead)))

    def delete(self, connection: Connection, destination: str, ids: Collection[int]) -> int:
        """Delete reports; return how many there were."""
        sizes = connection.exec_driver_sql(self._delete_sql, (destination, self._array(ids))).scalars().all()
        if sizes:
            self.lock(connection, {destination: Advance(0, -len(sizes), -sum(sizes) - ROW_SIZE * len(sizes))})
        return len(sizes)

    def lease(
        self, transaction: Transaction, destinations: Collection[str], node: str, seconds: float
    ) -> Collection[str]:
        """Take or keep leases; return which are this node's."""
        parameters = (node, int(seconds * 1000), self._array(destinations), node)
        return frozenset(transaction.connection.exec_driver_sql(self._lease_sql, parameters).scalars())

    def release(self, transaction: Transaction, destinations: Collection[str], node: str) -> None:
        """Give leases back."""
        transaction.connection.exec_driver_sql(self._release_sql, (node, self._array(destinations)))

    def _advance(
        self, connection: Connection, queues: Sequence[str], advances: Mapping[str, Advance]
    ) -> dict[str, Head]:
        rows = self._advances.pack([(queue, *advances[queue]) for queue in queues])
        found = connection.exec_driver_sql(self._advance_sql, tuple(rows)).all()
        return {
            queue: Head(last_id - advances[queue].ids, kept - advances[queue].kept, size - advances[queue].size)
            for queue, last_id, kept, size in found
        }

    def _known(self, connection: Connection, reports: Iterable[Report]) -> dict[Key, tuple[str, bytes]]:
        """Return the content of those of the reports that are kept already."""
        keys = self._keys.pack([(report.destination, report.message_id, report.uid) for report in reports])
        rows = connection.exec_driver_sql(self._find_sql, tuple(keys)).all()
        return {(queue, message_id, uid): (kind, payload) for queue, message_id, uid, kind, payload in rows}


def clock_of(database: Database) -> str:
    """Return the SQL for the database's own clock, in ms: leases depend on no other."""
    return _NOW[database.engine.dialect.name]


def _advances(reports: Iterable[Report]) -> dict[str, Advance]:
    advances: dict[str, Advance] = {}
    for report in reports:
        ids, kept, size = advances.get(report.destination, (0, 0, 0))
        advances[report.destination] = Advance(ids + 1, kept + 1, size + report.size)
    return advances
