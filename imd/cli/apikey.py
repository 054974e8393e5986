"""`imctl apikey`: the keys of the HTTP API, in the database itself, so that the first one needs no other."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy import Connection

from imd.cli.api.options import local_time
from imd.cli.chat.screen import clean
from imd.cli.options import TEXT, configured
from imd.config import Config
from imd.errors import ImdError
from imd.http.auth import new_key
from imd.http.scopes import Scope
from imd.ports.apikeys import ApiKey
from imd.storage import apikeys
from imd.storage import open as storage

_DAY_MS = 86_400_000
_SCOPES = [scope.value for scope in Scope]


@click.group()
def apikey() -> None:
    """Make, list and revoke keys of the HTTP API."""


@apikey.command()
@click.argument("name", type=TEXT)
@click.option("--scope", "scopes", multiple=True, type=click.Choice(_SCOPES), help="What it may do; repeatable.")
@click.option("--all", "is_all", is_flag=True, help="It may do everything.")
@click.option("--days", type=click.IntRange(1, 36_500), help="How long it is good.  [default: for good]")
@click.option("--per-second", type=click.IntRange(1, 1_000_000), help="Requests a second on one node.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@configured
def create(
    config: Config,
    name: str,
    scopes: tuple[str, ...],
    is_all: bool,
    days: int | None,
    per_second: int | None,
    is_json: bool,
) -> None:
    """Make a key called NAME and print it, this once: only its hash is kept."""
    if bool(scopes) == is_all:
        raise click.UsageError("Say what the key may do: --scope, once or more, or --all.")
    now = _now()
    granted = _SCOPES if is_all else sorted(set(scopes))
    expires = now + days * _DAY_MS if days else 0
    key, kept = new_key(os.urandom, name, granted, now, expires, per_second or 0)
    with _database(config) as connection:
        apikeys.add(connection, kept)
    click.echo(json.dumps({"key": key, **_told(kept)}) if is_json else key)


@apikey.command("list")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@configured
def list_(config: Config, is_json: bool) -> None:
    """List the keys, revoked and expired ones too."""
    with _database(config) as connection:
        keys = apikeys.listed(connection)
    if is_json:
        click.echo(json.dumps([_told(key) for key in keys]))
    elif keys:
        Console().print(_table(keys, _now()))
    else:
        click.echo("There are no keys.")


@apikey.command()
@click.argument("prefix", type=TEXT)
@configured
def revoke(config: Config, prefix: str) -> None:
    """Revoke the key that begins with PREFIX, as imctl apikey list shows it. Nodes learn it within 3 seconds."""
    with _database(config) as connection:
        if not apikeys.revoke(connection, prefix.removeprefix("imd_"), _now()):
            raise ImdError(f"There is no key {prefix}: imctl apikey list shows those that there are.")
    click.echo(f"The key {prefix} is revoked.")


@contextmanager
def _database(config: Config) -> Iterator[Connection]:
    with storage.transaction(config.database_url, config.storage.password_file) as connection:
        yield connection


def _told(key: ApiKey) -> dict[str, object]:
    return {
        "prefix": key.prefix,
        "name": key.name,
        "scopes": list(key.scopes),
        "per_second": key.per_second,
        "created": key.created,
        "expires": key.expires,
        "revoked": key.revoked,
    }


def _table(keys: list[ApiKey], now: int) -> Table:
    table = Table(box=None)
    for heading in ("prefix", "name", "state", "scopes", "created", "expires"):
        table.add_column(heading)
    for key in keys:
        state = "revoked" if key.revoked else "expired" if 0 < key.expires <= now else "good"
        table.add_row(
            key.prefix,
            escape(clean(key.name)),
            state,
            ", ".join(key.scopes),
            local_time(key.created),
            local_time(key.expires) or "never",
        )
    return table


def _now() -> int:
    return time.time_ns() // 1_000_000
