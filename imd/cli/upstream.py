"""`imctl upstream`: what clients have reported and the business hasn't taken yet, and what it refused for good."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from imd.cli.options import configured
from imd.config import Config
from imd.errors import ConfigError, ImdError, StartError
from imd.storage import open as storage
from imd.storage import version
from imd.storage.reports import DeadReport, Reports, State

_UNAVAILABLE = 75

_json = click.option("--json", "is_json", is_flag=True, help="Print JSON.")
_all = click.option("--all", "is_all", is_flag=True, help="All of them, instead of those named.")


@click.group()
def upstream() -> None:
    """Look after what clients report to the business: what waits, and what is dead.

    The daemon may run meanwhile.
    """


@upstream.command()
@_json
@configured
def status(config: Config, is_json: bool) -> None:
    """Tell of each destination how many reports wait, since when, and how many are dead."""
    with _reports(config) as reports:
        known = {state.destination: state for state in reports.states()}
    configured_ = config.upstream.destinations
    states = [known.get(name) or State(name, 0, 0, 0, 0, "") for name in configured_]
    states += [state for name, state in known.items() if name not in configured_ and (state.waiting or state.dead)]
    now = time.time() * 1000
    rows = [
        {
            "destination": state.destination,
            "configured": state.destination in configured_,
            "waiting": state.waiting,
            "oldest_seconds": round(max(0.0, now - state.oldest) / 1000, 3) if state.oldest else None,
            "dead": state.dead,
            "bytes": state.size,
            "node": state.node,
        }
        for state in states
    ]
    if is_json:
        click.echo(json.dumps(rows))
    elif rows:
        Console().print(_status_table(rows))
    else:
        click.echo("There are no destinations: name them in [upstream.destinations] of the configuration.")


@upstream.command()
@click.argument("destination")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="List no more.")
@_json
@configured
def dead(config: Config, destination: str, limit: int, is_json: bool) -> None:
    """List reports that DESTINATION has refused for good, the oldest first."""
    with _reports(config) as reports:
        _check(config, reports, destination)
        found = reports.dead(destination, limit)
    if is_json:
        click.echo(json.dumps([report._asdict() for report in found]))
    elif found:
        Console().print(_dead_table(found))
        if len(found) == limit:
            click.echo(f"These are the first {limit:,}; --limit lists more.")
    else:
        click.echo(f"No report to {destination} is dead.")


@upstream.command()
@click.argument("destination")
@click.argument("ids", metavar="[ID]…", type=click.IntRange(min=1), nargs=-1)
@_all
@configured
def replay(config: Config, destination: str, ids: tuple[int, ...], is_all: bool) -> None:
    """Send dead reports to DESTINATION once more, behind all that waits.

    An ID is as `imctl upstream dead` lists it; a report gets another one when it is sent again.
    """
    _check_choice(ids, is_all)
    with _reports(config) as reports:
        _check(config, reports, destination)
        count = reports.replay(destination, None if is_all else ids)
    _tell("sent again", count, ids)


@upstream.command()
@click.argument("destination")
@click.argument("ids", metavar="[ID]…", type=click.IntRange(min=1), nargs=-1)
@_all
@click.option("--waiting", is_flag=True, help="With --all: also what is not dead and waits still.")
@configured
def drop(config: Config, destination: str, ids: tuple[int, ...], is_all: bool, waiting: bool) -> None:
    """Delete dead reports to DESTINATION; it will never get them."""
    _check_choice(ids, is_all)
    if waiting and not is_all:
        raise click.UsageError("--waiting belongs to --all.")
    with _reports(config) as reports:
        _check(config, reports, destination)
        count = reports.drop(destination, None if is_all else ids, waiting=waiting)
    _tell("deleted", count, ids)


@contextmanager
def _reports(config: Config) -> Iterator[Reports]:
    """Open the database, which must be of this version: a daemon may be using it. Raises StartError."""
    settings = config.storage
    found = storage.current(config.database_url, settings.password_file)
    if version.is_behind(found):
        has = f"is of version {found}" if found else "is not there yet"
        raise StartError(
            f"the database {has}, and this imctl needs version {version.needed()}: start the daemon of this version"
            " first, or run imctl db upgrade",
            _UNAVAILABLE,
        )
    database = storage.open_database(
        config.database_url, settings.password_file, readers=1, cache_mib=8, timeout=settings.timeout_seconds
    )
    try:
        with version.usable(database.engine):
            yield Reports(database)
    finally:
        database.stop()


def _check(config: Config, reports: Reports, destination: str) -> None:
    known = {*config.upstream.destinations, *(state.destination for state in reports.states())}
    if destination not in known:
        names = ", ".join(sorted(known)) or "none"
        raise ConfigError(f"There is no destination {destination}: known are {names}.")


def _check_choice(ids: Sequence[int], is_all: bool) -> None:
    if is_all == bool(ids):
        raise click.UsageError("Name the IDs, as `imctl upstream dead` lists them, or say --all.")


def _tell(what: str, count: int, ids: Sequence[int]) -> None:
    click.echo(f"{count:,} {'report is' if count == 1 else 'reports are'} {what}.")
    if count < len(set(ids)):
        raise ImdError(f"{len(set(ids)) - count:,} of the IDs named are of no dead report.")


def _status_table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None)
    table.add_column("destination")
    for heading in ("waiting", "oldest", "dead", "KiB"):
        table.add_column(heading, justify="right")
    table.add_column("carried on by")
    for row in rows:
        oldest = row["oldest_seconds"]
        table.add_row(
            row["destination"],
            f"{row['waiting']:,}",
            "" if oldest is None else f"{oldest:,.0f} s",
            f"{row['dead']:,}",
            f"{row['bytes'] / 1024:,.0f}",
            (row["node"] or "nobody now") if row["configured"] else "nobody: it is not configured",
        )
    return table


def _dead_table(found: Sequence[DeadReport]) -> Table:
    table = Table(box=None)
    for heading in ("ID", "uid"):
        table.add_column(heading, justify="right")
    for heading in ("message_id", "content_type", "reported"):
        table.add_column(heading)
    for heading in ("attempts", "bytes"):
        table.add_column(heading, justify="right")
    for report in found:
        table.add_row(
            str(report.id),
            str(report.uid),
            report.message_id,
            report.content_type,
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(report.created / 1000)),
            str(report.attempts),
            f"{report.size:,}",
        )
    return table
