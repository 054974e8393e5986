"""`imctl chat`, joined to the terminal and the reactor."""

import os
import shutil
import sys
import time
from typing import Any

import click
from twisted.internet.defer import Deferred
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react

from imd.cli.chat.program import Chat
from imd.cli.endpoint import client_endpoint
from imd.cli.options import TEXT, UID, configured
from imd.cli.token import load_secret
from imd.config import Config
from imd.errors import ImdError
from imd.sso.jwt import issue
from imd.wire.single import single_group_id

_TOKEN_SECONDS = 3600


@click.command()
@click.argument("uid", type=UID)
@click.option("--to", "peer", metavar="UID", type=UID, help="Talk with this user.")
@click.option("--group", "group_id", metavar="ID", type=TEXT, help="Talk in this group.")
@click.option("--server", metavar="ENDPOINT", type=TEXT, help="Where to connect.  [default: where the daemon listens]")
@click.option(
    "--token", metavar="TOKEN", type=TEXT, help="A login token.  [default: one made from the daemon's secret]"
)
@click.option(
    "--store", metavar="FILE", type=click.Path(dir_okay=False), help="Keep messages there.  [default: nowhere]"
)
@configured
def chat(
    config: Config,
    uid: int,
    peer: int | None,
    group_id: str | None,
    server: str | None,
    token: str | None,
    store: str | None,
) -> None:
    """Chat as the user UID, a message a line; /help lists the commands."""
    if (peer is None) == (not group_id):
        raise click.UsageError("Say with whom: either --to UID or --group ID.")
    if None in (sys.stdin, sys.stdout):
        raise click.UsageError("The chat needs its standard input and output open.")
    where = server or client_endpoint(config.server.listen[0])
    conversation = group_id or single_group_id(uid, peer or uid)
    secret = b"" if token else load_secret(config.secret_file)

    def log_in_token() -> str:
        return token or issue(secret, uid, time.time(), _TOKEN_SECONDS)

    async def main(reactor: Any) -> None:
        width = shutil.get_terminal_size().columns
        program = Chat(reactor, uid, log_in_token, where, conversation, time.time, os.urandom, width=width, store=store)
        is_person = sys.stdin.isatty()
        StandardIO(program.terminal, reactor=reactor)
        try:
            is_accepted = await program.run()
        except ImdError as error:
            is_accepted, is_person = False, False
            program.terminal.say(str(error))
        await program.terminal.close()
        for descriptor in (0, 1):
            os.set_blocking(descriptor, True)  # the shell shares them
        raise SystemExit(0 if is_accepted or is_person else 1)

    react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
