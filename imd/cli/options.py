"""The options that say which daemon is meant; they are the daemon's own."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from imd.config import Config, load


class _Text(click.types.StringParamType):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        text = super().convert(value, param, ctx)
        try:
            text.encode()
        except UnicodeEncodeError:
            self.fail("it is not UTF-8.", param, ctx)
        return text


UID = click.IntRange(1, 2**63 - 1)
TEXT = _Text()
P = ParamSpec("P")
R = TypeVar("R")


def configured(command: Callable[Concatenate[Config, P], R]) -> Callable[..., R]:
    """Add ``--data`` and ``--config`` to a command, and hand it the daemon's Config. Raises ConfigError."""

    @click.option("--data", metavar="DIR", help="The daemon's data folder.  [default: ./imd-data]")
    @click.option("--config", "config_file", metavar="FILE", type=click.Path(path_type=Path), help="Its TOML file.")
    @functools.wraps(command)
    def with_config(data: str | None, config_file: Path | None, *args: P.args, **kwargs: P.kwargs) -> R:
        overrides = {} if data is None else {"server.data": data}
        return command(load(config_file, overrides, os.environ), *args, **kwargs)

    return with_config
