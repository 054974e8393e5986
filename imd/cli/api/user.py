"""`imctl user`: users, their sessions and whom they block."""

from typing import Any

import click

from imd.cli.api.client import ApiClient
from imd.cli.api.options import asking
from imd.cli.options import TEXT, UID


@click.group()
def user() -> None:
    """Look after users."""


@user.command()
@click.argument("uid", type=UID)
@asking
def show(api: ApiClient, uid: int) -> dict[str, Any]:
    """Tell what is known of the user UID."""
    return api.ask("GET", ("users", uid))


@user.command()
@click.argument("uid", type=UID)
@asking
def sessions(api: ApiClient, uid: int) -> dict[str, Any]:
    """List the sessions of the user UID, on whatever node."""
    return api.ask("GET", ("users", uid, "sessions"))


@user.command()
@click.argument("uids", type=UID, nargs=-1, required=True)
@asking
def presence(api: ApiClient, uids: tuple[int, ...]) -> dict[str, Any]:
    """Tell which of UIDS are online."""
    return api.ask("GET", ("presence",), {"uids": uids})


@user.command()
@click.argument("uid", type=UID)
@click.option("--client-type", type=int, default=0, help="Only devices of this kind.")
@click.option("--message", type=TEXT, default="", help="What the client shows.")
@asking
def kick(api: ApiClient, uid: int, client_type: int, message: str) -> dict[str, Any]:
    """End the sessions of the user UID; the client may log in again."""
    return api.ask("POST", ("users", uid, "kick"), body={"client_type": client_type, "message": message})


@user.command()
@click.argument("uid", type=UID)
@asking
def ban(api: ApiClient, uid: int) -> dict[str, Any]:
    """Let the user UID in no more, and end the sessions."""
    return api.ask("POST", ("users", uid, "ban"))


@user.command()
@click.argument("uid", type=UID)
@asking
def unban(api: ApiClient, uid: int) -> dict[str, Any]:
    """Let the user UID in again."""
    return api.ask("POST", ("users", uid, "unban"))


@user.command("void-tokens")
@click.argument("uid", type=UID)
@asking
def void_tokens(api: ApiClient, uid: int) -> dict[str, Any]:
    """Make every token of the user UID void that was issued until now, and end the sessions."""
    return api.ask("POST", ("users", uid, "tokens", "void"), body={})


@user.command()
@click.argument("uid", type=UID)
@asking
def blocks(api: ApiClient, uid: int) -> dict[str, Any]:
    """List whom the user UID has blocked."""
    return api.ask("GET", ("users", uid, "blocks"))


@user.command()
@click.argument("uid", type=UID)
@click.argument("others", type=UID, nargs=-1, required=True)
@asking
def block(api: ApiClient, uid: int, others: tuple[int, ...]) -> dict[str, Any]:
    """Put OTHERS on the block list of the user UID."""
    return api.ask("POST", ("users", uid, "blocks"), body={"uids": others})


@user.command()
@click.argument("uid", type=UID)
@click.argument("other", type=UID)
@asking
def unblock(api: ApiClient, uid: int, other: int) -> dict[str, Any]:
    """Take OTHER off the block list of the user UID."""
    return api.ask("DELETE", ("users", uid, "blocks", other))


@user.command()
@click.argument("uid", type=UID)
@click.option("--name", type=TEXT, default="", help="The name others see.")
@click.option("--seconds", type=click.IntRange(1), default=86_400, show_default=True, help="How long it is good.")
@asking
def token(api: ApiClient, uid: int, name: str, seconds: int) -> dict[str, Any]:
    """Issue a login token for the user UID."""
    return api.ask("POST", ("tokens",), body={"uid": uid, "name": name, "seconds": seconds})
