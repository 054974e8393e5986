"""What every command has that asks the API: its address, the key, and how the answer is shown."""

import functools
import json as json_module
import os
from collections.abc import Callable
from datetime import datetime
from typing import Any, Concatenate, ParamSpec

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from imd.cli.api.client import ApiClient, read_key
from imd.cli.chat.screen import clean
from imd.errors import ConfigError

P = ParamSpec("P")

_TIMES = frozenset(
    {"time", "send_time", "created", "first_seen", "void_before", "joined_time", "mute_until", "expires", "revoked"}
)
"""Fields that hold milliseconds since the epoch."""


def asking(command: Callable[Concatenate[ApiClient, P], dict[str, Any]]) -> Callable[..., None]:
    """Add ``--url``, ``--key-file``, ``--ca`` and ``--json`` to a command, and show the answer it returns."""

    @click.option(
        "--url",
        envvar="IMCTL_URL",
        default="http://127.0.0.1:7680",
        show_default=True,
        metavar="URL",
        help="Where [http] listens.  [variable: IMCTL_URL]",
    )
    @click.option(
        "--key-file",
        envvar="IMCTL_KEY_FILE",
        metavar="FILE",
        help="The file with the API key.  [variable: IMCTL_KEY_FILE; IMCTL_KEY holds the key itself]",
    )
    @click.option("--ca", envvar="IMCTL_CA", default="", metavar="FILE", help="Trust these certificates.")
    @click.option("--json", "is_json", is_flag=True, help="Print the API's JSON.")
    @functools.wraps(command)
    def ask(url: str, key_file: str | None, ca: str, is_json: bool, *args: P.args, **kwargs: P.kwargs) -> None:
        answer = command(ApiClient(url, _key(key_file), ca), *args, **kwargs)
        if is_json:
            click.echo(json_module.dumps(answer, ensure_ascii=False))
        else:
            Console().print(table_of(answer))

    return ask


def table_of(answer: dict[str, Any]) -> Table:
    """Return an answer as a table: one row for each entry where it is a list of them, else one for each field."""
    lists = {name: value for name, value in answer.items() if isinstance(value, list) and _is_rows(value)}
    table = Table(box=None)
    if len(lists) == 1 and (rows := next(iter(lists.values()))):
        for name in rows[0]:
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(*(_cell(name, row.get(name, "")) for name in rows[0]))
        rest = {name: value for name, value in answer.items() if name not in lists and value not in ("", [])}
        table.caption = ", ".join(f"{name}: {_cell(name, value)}" for name, value in rest.items()) or None
        return table
    table.show_header = False
    for name, value in answer.items():
        table.add_row(name, _cell(name, value))
    return table


def _key(key_file: str | None) -> str:
    if key_file:
        return read_key(key_file)
    key = os.environ.get("IMCTL_KEY", "").strip()
    if not key:
        raise ConfigError(
            "There is no key: name its file by --key-file or IMCTL_KEY_FILE; imctl apikey create makes one."
        )
    return key


def _is_rows(value: list[Any]) -> bool:
    return all(isinstance(entry, dict) for entry in value)


def _cell(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_cell(name, entry) for entry in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_cell(key, entry)}" for key, entry in value.items())
    if name in _TIMES and isinstance(value, int):
        return local_time(value)
    return escape(clean(str(value)))


def local_time(milliseconds: int) -> str:
    """Return a time since the epoch as this machine's clock shows it, nothing for 0."""
    try:
        return f"{datetime.fromtimestamp(milliseconds / 1000):%Y-%m-%d %H:%M:%S}" if milliseconds else ""  # noqa: DTZ006
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)
