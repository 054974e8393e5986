"""What is printed: a table for people, one JSON object for programs."""

import json
from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from imd.cli.bench.asked import limits_of
from imd.cli.bench.outcome import Outcome

_MIB = 1024 * 1024
_BUSY = 85
"""Percent of a core from which on a process is the one that sets the speed."""


def as_json(outcomes: Sequence[Outcome]) -> str:
    """Return one JSON object: ``{"works": […]}``, times in the units their names end with, ``null`` for no figure."""
    return json.dumps({"works": [_work(outcome) for outcome in outcomes]}, ensure_ascii=False)


def as_table(outcomes: Sequence[Outcome]) -> Table:
    """Return a table of 80 columns with one row for each work: its figures, and what is asked of it.

    CPU is told for each of what is counted, and as a share of one core: with several nodes that of all of them
    together, and that of what they share.
    """
    return _on_nodes(outcomes) if any(outcome.nodes > 1 for outcome in outcomes) else _on_one(outcomes)


def _on_one(outcomes: Sequence[Outcome]) -> Table:
    grid = Table(box=None, padding=(0, 1, 1, 0))
    grid.add_column("\nwork", min_width=16)
    for heading in ("each\nsecond", "p50\nms", "p99\nms", "max\nms", "server\nCPU", "load\nCPU", "server\nmemory"):
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column("asked:\nat most", no_wrap=True)
    for outcome in outcomes:
        figures = outcome.figures()
        growth = figures["connection_kib"]
        grid.add_row(
            outcome.work,
            *(_number(figures[name]) for name in ("per_second", "p50_ms", "p99_ms", "max_ms")),
            *(_cpu_cell(figures, who) for who in ("server", "load")),
            f"{_number(outcome.resident / _MIB)} MiB" + ("" if growth is None else f"\n{growth:.2f} KiB\neach"),
            _asked(outcome),
        )
    return grid


def _on_nodes(outcomes: Sequence[Outcome]) -> Table:
    grid = Table(box=None, padding=(0, 1, 1, 0))
    grid.add_column("\nwork", min_width=14)
    for heading in ("each\nsecond", "p50\nms", "p99\nms", "nodes\nCPU", "Postgre-\nSQL CPU", "Redis\nCPU"):
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column("asked:\nat most", no_wrap=True)
    for outcome in outcomes:
        figures = outcome.figures()
        grid.add_row(
            outcome.work,
            *(_number(figures[name]) for name in ("per_second", "p50_ms", "p99_ms")),
            *(_cpu_cell(figures, who) for who in ("server", "postgresql", "redis")),
            _asked(outcome),
        )
    return grid


def _cpu_cell(figures: Mapping[str, float | None], who: str) -> str:
    if f"{who}_us" not in figures:
        return "–"
    return f"{_cpu(figures[f'{who}_us'])}\n{_number(figures[f'{who}_core'])} %"


def remarks(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what was counted, and a sentence for each work whose figures have to be read with care."""
    counts: dict[str, int] = {}
    for outcome in outcomes:
        for unit, count in {outcome.plural(): outcome.count, **outcome.also}.items():
            counts[unit] = counts.get(unit, 0) + count
    counted = ", ".join(f"{count:,} {unit}" for unit, count in counts.items())
    whole = not any(outcome.breaches for outcome in outcomes)
    said = [f"Counted one by one: {counted}{'; none lost, doubled or out of order' if whole else ''}."]
    for outcome in outcomes:
        figures = outcome.figures()
        server, load = figures["server_core"], figures["load_core"]
        if server is not None and load is not None and load >= _BUSY > server:
            said.append(f"{outcome.work}: the load was busier than the server, which could have done more.")
        if outcome.reach is not None:
            said.append(f"{outcome.work}: the slowest broadcast was with its last user after {outcome.reach:.2f} s.")
        if outcome.repeats:
            said.append(f"{outcome.work}: {outcome.repeats:,} came again, and were dropped by (group_id, msg_id).")
    return said


def _work(outcome: Outcome) -> dict[str, object]:
    return {
        "work": outcome.work,
        "nodes": outcome.nodes,
        "unit": outcome.unit,
        "count": outcome.count,
        **outcome.figures(),
        "resident_mib": outcome.resident / _MIB,
        "repeats": outcome.repeats,
        "also": outcome.also,
        "asked": {limit.figure: limit.at_most for limit in limits_of(outcome)},
        "met": all(limit.met(outcome) for limit in limits_of(outcome) if not limit.is_open(outcome)),
        "breaches": list(outcome.breaches),
    }


def _number(value: float | None) -> str:
    """Return ``value`` with a decimal below 100, so that it takes at most seven characters below a million."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _cpu(microseconds: float | None) -> str:
    """Return ``microseconds`` in µs, from 1,000 of them on in ms, in at most seven characters below a second."""
    if microseconds is None or microseconds < 1000:
        return f"{_number(microseconds)} µs"
    milliseconds = microseconds / 1000
    return f"{milliseconds:.2f} ms" if milliseconds < 10 else f"{_number(milliseconds)} ms"


def _asked(outcome: Outcome) -> Text:
    cell = Text()
    for limit in limits_of(outcome):
        cell.append("\n" if cell else "")
        if limit.is_open(outcome):
            cell.append(f"{limit} –")
            continue
        met = limit.met(outcome)
        cell.append(f"{limit} {'✓' if met else '✗'}", style="green" if met else "red")
    return cell
