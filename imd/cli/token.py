"""`imctl token`: a login token for a user, signed with the daemon's secret."""

import os
import time
from pathlib import Path

import click

from imd.cli.options import TEXT, UID, configured
from imd.config import Config
from imd.errors import ConfigError, ImdError
from imd.sso.jwt import issue
from imd.sso.secret import load_or_create

_DAY = 86_400


def load_secret(path: Path) -> bytes:
    """Return the secret the daemon made. Raises ImdError where it has not, ConfigError where it can't be used."""
    try:
        return load_or_create(path, create=False, random=os.urandom)
    except ConfigError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise ImdError(
                f"There is no token secret {path}: start the daemon first, or name its folder by --data."
            ) from None
        raise


@click.command()
@click.argument("uid", type=UID)
@click.option("--admin", is_flag=True, help="Make the token an admin's.")
@click.option("--name", type=TEXT, default="", help="The name others see.")
@click.option("--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="How long it is good.")
@configured
def token(config: Config, uid: int, admin: bool, name: str, days: int) -> None:
    """Print a login token for the user UID."""
    secret = load_secret(config.secret_file)
    click.echo(issue(secret, uid, time.time(), days * _DAY, name=name, is_admin=admin))
