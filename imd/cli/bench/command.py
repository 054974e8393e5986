"""`imctl bench`, its works and their options."""

import functools
import random
import shutil
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from imd.cli.bench.api import ApiMessages, ApiNotices
from imd.cli.bench.asked import cluster_table, table
from imd.cli.bench.broadcast import Broadcast
from imd.cli.bench.business import OwnBusiness
from imd.cli.bench.chat import Pace
from imd.cli.bench.cluster import OwnCluster
from imd.cli.bench.crash import Crash
from imd.cli.bench.drain import Drain
from imd.cli.bench.group import Group
from imd.cli.bench.idle import Idle
from imd.cli.bench.listing import Listing
from imd.cli.bench.logins import Logins
from imd.cli.bench.outcome import Work
from imd.cli.bench.pairs import Pairs
from imd.cli.bench.reports import Reports
from imd.cli.bench.run import leave_in_order, run_and_tell, stored_messages, tell_breaches
from imd.cli.bench.sdk import Sdk
from imd.cli.bench.server import find_pid
from imd.cli.bench.target import api_of, target_of
from imd.cli.options import configured
from imd.config import Config

_COUNT = click.IntRange(min=1)
_SECONDS = click.FloatRange(min=0, min_open=True)
_FILL = 500_000
_FILL_PAIRS = 100
_FILL_WINDOW = 16

_draw = random.SystemRandom().randrange
_seconds = click.option("--seconds", type=_SECONDS, default=10.0, show_default=True, help="How long to measure.")


def _measured(works: Callable[..., list[Work]]) -> Callable[..., None]:
    """Turn what makes works of its options and the Config into a command that runs them."""

    @click.option("--server", metavar="ENDPOINT", help="Where to connect.  [default: where the daemon listens]")
    @click.option("--cluster", is_flag=True, help="Start two nodes, a PostgreSQL and a Redis for it, and load these.")
    @click.option(
        "--as-configured",
        is_flag=True,
        help="With --cluster: start no PostgreSQL and no Redis, but use those of [storage] url and [presence] url"
        " (IMD_STORAGE_URL, IMD_PRESENCE_URL), which count for nothing otherwise.",
    )
    @click.option("--json", is_flag=True, help="Print one JSON object.")
    @configured
    @functools.wraps(works)
    def command(
        config: Config, /, server: str | None, cluster: bool, as_configured: bool, json: bool, **parameters: Any
    ) -> None:
        if server and cluster:
            raise click.UsageError("--cluster starts what it loads: there is no --server to name.")
        if as_configured and not cluster:
            raise click.UsageError("--as-configured belongs to --cluster.")
        chosen = works(config, **parameters)
        if not chosen:
            return
        leave_in_order()
        if not cluster:
            with api_of(config) if _needs_api(chosen) else nullcontext(lambda target: target) as with_api:
                run_and_tell(lambda: with_api(target_of(config, server, _draw)), chosen, json)
            return
        with OwnCluster(config if as_configured else None, _draw) as own:
            for line in own.told():
                click.echo(line, err=json)
            run_and_tell(own.target, chosen, json)

    return command


@click.group(invoke_without_command=True)
@_seconds
@click.option(
    "--fill", type=click.IntRange(min=0), help="Messages stored before.  [default: 500,000; none with --cluster]"
)
@_measured
def bench(config: Config, seconds: float, fill: int | None) -> list[Work]:
    """Load the running daemon, or with --cluster two nodes started for it; count every message, and measure.

    Without a COMMAND all that is asked of imd is measured; the options before a COMMAND are for that alone.
    """
    context = click.get_current_context()
    if context.invoked_subcommand:
        given = [name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
        if given:
            raise click.UsageError(f"Options come after the command: imctl bench {context.invoked_subcommand} …")
        return []
    if context.params["cluster"]:
        return [*([_fill(fill)] if fill else []), *cluster_table(seconds)]
    find_pid(config.data)
    works: list[Work] = list(table(seconds))
    if not config.http.listen:
        works = [work for work in works if not _needs_api([work])]
    # Memory that other works have left free would hide what connections take.
    works.sort(key=lambda work: not isinstance(work, Idle))
    if (missing := (_FILL if fill is None else fill) - stored_messages(config.database)) > 0:
        works.insert(1, _fill(missing))
    return works


@bench.command()
@click.option("--pairs", type=_COUNT, default=20, show_default=True, help="Users who send, each to one other.")
@click.option("--window", type=_COUNT, default=16, show_default=True, help="Messages of a pair under way at once.")
@click.option("--rate", type=_SECONDS, metavar="N", help="Send N messages a second in all, instead of by the window.")
@click.option("--count", type=_COUNT, help="Send so many messages, instead of for some time.")
@click.option("--uuid4", is_flag=True, help="Random message ids.")
@_seconds
@_measured
def pairs(
    _config: Config, pairs: int, window: int, rate: float | None, count: int | None, uuid4: bool, seconds: float
) -> list[Work]:
    """1:1 chat with receipts and read marks. With --rate, latency counts from when a message should have been sent."""
    return [Pairs(Pace(seconds, count or 0, rate or 0.0), pairs, window, uuid4)]


@bench.command()
@click.option("--members", type=click.IntRange(min=2), default=100, show_default=True, help="One of them sends.")
@click.option("--window", type=_COUNT, default=4, show_default=True, help="Messages under way at once.")
@_seconds
@_measured
def group(_config: Config, members: int, window: int, seconds: float) -> list[Work]:
    """One group, all members online."""
    return [Group(Pace(seconds), members, window)]


@bench.command()
@click.option("--connections", type=_COUNT, default=10_000, show_default=True)
@click.option("--seconds", type=_SECONDS, default=20.0, show_default=True, help="How long to measure heartbeats.")
@_measured
def idle(_config: Config, connections: int, seconds: float) -> list[Work]:
    """Connections that only stay: memory and heartbeats. Truest on a daemon just started."""
    return [Idle(connections, seconds)]


@bench.command()
@click.option("--logins", type=_COUNT, default=10_000, show_default=True)
@click.option("--users", type=_COUNT, default=1_000, show_default=True, help="Who take turns.")
@_measured
def login(_config: Config, logins: int, users: int) -> list[Work]:
    """A storm of logins by known users."""
    return [Logins(logins, users)]


@bench.command()
@click.option("--messages", type=_COUNT, default=10_000, show_default=True)
@click.option("--page", type=click.IntRange(1, 100), default=100, show_default=True, help="Messages in one page.")
@_measured
def drain(_config: Config, messages: int, page: int) -> list[Work]:
    """A user who was offline pulls what was missed."""
    return [Drain(messages, page)]


@bench.command("list")
@click.option("--conversations", type=_COUNT, default=1_000, show_default=True)
@click.option("--unread", type=_COUNT, default=20, show_default=True, help="Messages in each.")
@click.option("--changed", type=_COUNT, default=10, show_default=True, help="How many change, to list only those.")
@_measured
def listing(_config: Config, conversations: int, unread: int, changed: int) -> list[Work]:
    """A user lists the conversations: all, then those with a change."""
    if changed > conversations:
        raise click.UsageError(f"{changed:,} of {conversations:,} conversations can't change.")
    return [Listing(conversations, unread), Listing(conversations, unread, changed, times=200)]


@bench.command()
@click.option("--users", type=_COUNT, default=10_000, show_default=True, help="Who are online, beside the pairs.")
@click.option("--every", type=_SECONDS, default=3.0, show_default=True, help="Seconds from one broadcast to the next.")
@click.option("--pairs", type=_COUNT, default=20, show_default=True, help="Users who send, each to one other.")
@click.option("--rate", type=_SECONDS, default=2_000.0, show_default=True, help="Messages a second of all pairs.")
@_seconds
@_measured
def broadcast(_config: Config, users: int, every: float, pairs: int, rate: float, seconds: float) -> list[Work]:
    """Broadcasts to everyone online, and 1:1 chat beside them: its latency is told while one is under way."""
    return [Broadcast(Pace(seconds, rate=rate), users, every, pairs)]


@bench.command()
@click.option("--users", type=_COUNT, default=1_000, show_default=True, help="Who are online and get the notices.")
@click.option("--batch", type=click.IntRange(1, 100), default=100, show_default=True, help="Notices of a request.")
@click.option("--window", type=_COUNT, default=4, show_default=True, help="Requests with notices under way at once.")
@click.option("--rate", type=_SECONDS, default=100.0, show_default=True, help="Messages a second.")
@_seconds
@_measured
def http(_config: Config, users: int, batch: int, window: int, rate: float, seconds: float) -> list[Work]:
    """Notices and messages by the HTTP API, which the daemon has to have by [http] listen."""
    return [ApiNotices(Pace(seconds), users, batch, window), ApiMessages(Pace(seconds, rate=rate))]


@bench.command()
@click.option("--groups", type=_COUNT, default=100, show_default=True, help="In which each sends one after the other.")
@_seconds
@_measured
def sdk(_config: Config, groups: int, seconds: float) -> list[Work]:
    """The client SDK: two clients write to each other from one process; its CPU is told as the load's."""
    return [Sdk(groups, seconds)]


@bench.command()
@click.argument("messages", type=_COUNT, default=500_000)
@_measured
def fill(_config: Config, messages: int) -> list[Work]:
    """Store MESSAGES messages, 500,000 unless told."""
    return [_fill(messages)]


@bench.command()
@_seconds
@click.option("--users", type=_COUNT, default=20, show_default=True, help="Who report.")
@click.option("--window", type=_COUNT, default=16, show_default=True, help="Reports of a user under way at once.")
@click.option("--json", is_flag=True, help="Print one JSON object.")
def upstream(seconds: float, users: int, window: int, json: bool) -> None:
    """Start a daemon and a Redis, and report to the business: until the ACK, and on to Redis Streams."""
    leave_in_order()
    with OwnBusiness(_draw) as own:
        works = [Reports(seconds, is_carried_on, users, window, own.redis_port) for is_carried_on in (False, True)]
        run_and_tell(own.target, works, json)


@bench.command()
@click.option("--rounds", type=_COUNT, default=20, show_default=True, help="How often to kill it.")
@click.option("--seed", type=int, help="Decides when; told at the start.  [default: another each time]")
def crash(rounds: int, seed: int | None) -> None:
    """Start a daemon, kill -9 it under load, again and again, and look for what was lost."""
    seed = random.randrange(1 << 32) if seed is None else seed  # noqa: S311 - not a secret
    folder = Path(tempfile.mkdtemp(prefix="imd-crash-"))
    click.echo(f"seed {seed}, data in {folder}")
    breaches = Crash(folder, seed).run(rounds, click.echo)
    tell_breaches(breaches)
    shutil.rmtree(folder)


def _needs_api(works: list[Work]) -> bool:
    return any(isinstance(work, ApiNotices | ApiMessages) for work in works)


def _fill(messages: int) -> Work:
    return Pairs(Pace(count=messages), _FILL_PAIRS, _FILL_WINDOW)
