"""The keys of the HTTP API."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update

from imd.ports.apikeys import ApiKey
from imd.storage.schema import x_apikey

_COLUMNS = [x_apikey.c[name] for name in ApiKey._fields]


def find(connection: Connection, prefixes: Sequence[str]) -> list[ApiKey]:
    """Return those of these keys that there are."""
    return [_key(row) for row in connection.execute(select(*_COLUMNS).where(x_apikey.c.prefix.in_(prefixes)))]


def listed(connection: Connection) -> list[ApiKey]:
    """Return all keys, the oldest first."""
    return [_key(row) for row in connection.execute(select(*_COLUMNS).order_by(x_apikey.c.created, x_apikey.c.prefix))]


def add(connection: Connection, key: ApiKey) -> None:
    """Keep a key."""
    connection.execute(insert(x_apikey).values(key._asdict() | {"scopes": " ".join(key.scopes)}))


def revoke(connection: Connection, prefix: str, now: int) -> bool:
    """Revoke a key, from ``now`` (ms) on; false where there is none. One that is revoked already stays so."""
    changed = update(x_apikey).where(x_apikey.c.prefix == prefix, x_apikey.c.revoked == 0).values(revoked=now)
    return connection.execute(changed).rowcount > 0 or bool(find(connection, [prefix]))


def _key(row: Sequence[object]) -> ApiKey:
    key = ApiKey._make(row)
    return key._replace(scopes=tuple(str(row[3]).split()))
