"""`imctl group`: groups, their members, and what was said in them."""

import time
from typing import Any

import click

from imd.cli.api.client import ApiClient
from imd.cli.api.options import asking
from imd.cli.options import TEXT, UID

_GROUP = click.argument("group_id", metavar="GROUP", type=TEXT)
_CURSOR = click.option("--cursor", type=TEXT, default="", help="Where the page before ended.")
_LIMIT = click.option("--limit", type=click.IntRange(1, 500), default=100, show_default=True, help="Entries of a page.")


@click.group()
def group() -> None:
    """Look after groups."""


@group.command()
@_GROUP
@asking
def show(api: ApiClient, group_id: str) -> dict[str, Any]:
    """Show GROUP."""
    return api.ask("GET", ("groups", group_id))


@group.command()
@click.argument("owner", type=UID)
@click.argument("name", type=TEXT)
@click.argument("members", type=UID, nargs=-1)
@click.option("--request-id", type=TEXT, default="", help="The same again returns the first group.")
@click.option("--join-policy", type=click.IntRange(0, 2), default=0, help="0 invitation, 1 approval, 2 open.")
@asking
def create(
    api: ApiClient, owner: int, name: str, members: tuple[int, ...], request_id: str, join_policy: int
) -> dict[str, Any]:
    """Make a group called NAME for OWNER, with MEMBERS."""
    body = {
        "owner_id": owner,
        "group_name": name,
        "member_ids": members,
        "request_id": request_id,
        "join_policy": join_policy,
    }
    return api.ask("POST", ("groups",), body=body)


@group.command()
@_GROUP
@click.option("--name", "group_name", type=TEXT)
@click.option("--avatar", type=TEXT)
@click.option("--announcement", type=TEXT)
@click.option("--extra", type=TEXT)
@click.option("--join-policy", type=click.IntRange(0, 2), help="0 invitation, 1 approval, 2 open.")
@asking
def update(api: ApiClient, /, group_id: str, **settings: str | int | None) -> dict[str, Any]:
    """Change what GROUP is called, and how it is shown and joined."""
    return api.ask("PATCH", ("groups", group_id), body={k: v for k, v in settings.items() if v is not None})


@group.command()
@_GROUP
@_CURSOR
@_LIMIT
@asking
def members(api: ApiClient, group_id: str, cursor: str, limit: int) -> dict[str, Any]:
    """List members of GROUP."""
    return api.ask("GET", ("groups", group_id, "members"), {"cursor": cursor, "limit": limit})


@group.command()
@_GROUP
@click.argument("uids", type=UID, nargs=-1, required=True)
@asking
def invite(api: ApiClient, group_id: str, uids: tuple[int, ...]) -> dict[str, Any]:
    """Bring UIDS into GROUP."""
    return api.ask("POST", ("groups", group_id, "members"), body={"uids": uids})


@group.command()
@_GROUP
@click.argument("uid", type=UID)
@asking
def remove(api: ApiClient, group_id: str, uid: int) -> dict[str, Any]:
    """Put the member UID out of GROUP."""
    return api.ask("DELETE", ("groups", group_id, "members", uid))


@group.command()
@_GROUP
@click.argument("uid", type=UID)
@click.argument("role", type=click.Choice(["owner", "admin", "member"]))
@asking
def role(api: ApiClient, group_id: str, uid: int, role: str) -> dict[str, Any]:
    """Give the member UID of GROUP a role; the owner's makes the owner a member."""
    number = ("owner", "admin", "member").index(role) + 1
    return api.ask("PUT", ("groups", group_id, "members", uid, "role"), body={"role": number})


@group.command()
@_GROUP
@click.argument("uid", type=UID, required=False)
@click.option("--minutes", type=click.FloatRange(0), required=True, help="For how long; 0 lifts it.")
@asking
def mute(api: ApiClient, group_id: str, uid: int | None, minutes: float) -> dict[str, Any]:
    """Silence the member UID of GROUP; without UID all but the owner and the admins."""
    until = int((time.time() + minutes * 60) * 1000) if minutes else 0
    path = ("members", uid, "mute") if uid else ("mute",)
    return api.ask("PUT", ("groups", group_id, *path), body={"until": until})


@group.command()
@_GROUP
@asking
def dismiss(api: ApiClient, group_id: str) -> dict[str, Any]:
    """End GROUP: everybody is out of it."""
    return api.ask("DELETE", ("groups", group_id))


@group.command()
@_GROUP
@_CURSOR
@_LIMIT
@asking
def history(api: ApiClient, group_id: str, cursor: str, limit: int) -> dict[str, Any]:
    """Show the messages of GROUP, the oldest first; single chats, such as 1_2, and `system` too."""
    return api.ask("GET", ("groups", group_id, "messages"), {"cursor": cursor, "limit": limit})
