"""Works run one after the other, watched by a progress bar, and told in the end."""

import signal
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, TaskID

from imd.cli.bench.asked import in_order
from imd.cli.bench.child import run_apart
from imd.cli.bench.load import Target
from imd.cli.bench.outcome import Outcome, Work
from imd.cli.bench.report import as_json, as_table, remarks
from imd.cli.bench.server import cores_apart, processes
from imd.cli.bench.wire import LoadError

_BREACHES_TOLD = 20


def run_and_tell(target: Callable[[], Target], works: Sequence[Work], json: bool) -> None:
    """Run each of ``works`` on what ``target`` returns then, and print what they came to.

    Leaves with exit code 1 where a message was lost, doubled or misplaced. Raises LoadError where a work can't go on,
    once the works before it are told.
    """
    outcomes: list[Outcome] = []
    try:
        _run(target, works, outcomes)
    finally:
        tell(in_order(outcomes), json)
    tell_breaches([f"{outcome.work}: {breach}" for outcome in outcomes for breach in outcome.breaches])


def tell_breaches(breaches: Sequence[str]) -> None:
    """Say what was lost, doubled or misplaced, and leave with exit code 1; return where nothing was."""
    for breach in breaches[:_BREACHES_TOLD]:
        click.echo(breach, err=True)
    if len(breaches) > _BREACHES_TOLD:
        click.echo(f"and {len(breaches) - _BREACHES_TOLD:,} more", err=True)
    if breaches:
        raise SystemExit(1)


def tell(outcomes: Sequence[Outcome], json: bool) -> None:
    """Print ``outcomes``, if there are any."""
    if not outcomes:
        return
    if json:
        click.echo(as_json(outcomes))
    else:
        console = Console()
        console.print(as_table(outcomes))
        for remark in remarks(outcomes):
            console.print(remark)


def stored_messages(database: Path) -> int:
    """Return how many messages are in the SQLite file ``database``, which is only read. Raises LoadError."""
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM x_message").fetchone()[0])
    except sqlite3.Error as error:
        raise LoadError(f"The messages stored in {database} can't be counted: {error}.") from error


def leave_in_order() -> None:
    """Let what ends this process end it by way of what cleans up: cores are given back, what was started is ended."""
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _leave)


def _run(target: Callable[[], Target], works: Sequence[Work], outcomes: list[Outcome]) -> None:
    terminal = Console(stderr=True)
    first = target()
    with (
        cores_apart(processes(first)) as apart,
        Progress(console=terminal, disable=not terminal.is_terminal, refresh_per_second=4) as progress,
    ):
        if not apart:
            terminal.print("Server and load share their cores: the figures show less than the daemon can do.")
        elif first.others:
            terminal.print("The load has one core, all else shares another: what counts is the CPU, not the speed.")
        for work in works:
            task = progress.add_task(work.label, total=None)

            def advance(done: float, whole: float, task: TaskID = task) -> None:
                progress.update(task, completed=done, total=whole)

            outcomes.append(run_apart(work, target(), advance))
            progress.remove_task(task)


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)
