"""`imctl`: the commands, and how their errors end."""

from typing import Any

import click

from imd.cli.api.group import group
from imd.cli.api.sending import broadcast, notice, send, statistics, trace
from imd.cli.api.user import user
from imd.cli.apikey import apikey
from imd.cli.bench.command import bench
from imd.cli.chat.command import chat
from imd.cli.db import db
from imd.cli.nodes import nodes
from imd.cli.token import token
from imd.cli.upstream import upstream
from imd.errors import ConfigError, ImdError, StartError

_EX_CONFIG = 78


class _ConfigFailure(click.ClickException):
    exit_code = _EX_CONFIG


class _Imctl(click.Group):
    """Tells an ImdError as one sentence; the exit code is 78 for the configuration, else the error's own or 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            raise _ConfigFailure(str(error)) from error
        except StartError as error:
            click.ClickException(str(error)).show()
            ctx.exit(error.exit_code)
        except ImdError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Imctl)
def main() -> None:
    """Operate imd, the instant-messaging daemon."""


main.add_command(token)
main.add_command(chat)
main.add_command(bench)
main.add_command(db)
main.add_command(nodes)
for command in (apikey, user, group, notice, send, broadcast, trace, statistics):
    main.add_command(command)
main.add_command(upstream)
