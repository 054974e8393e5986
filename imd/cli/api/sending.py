"""`imctl notice`, `send`, `broadcast` and `trace`."""

import json
import uuid
from typing import Any

import click

from imd.cli.api.client import ApiClient
from imd.cli.api.options import asking
from imd.cli.options import TEXT, UID

_MSG_ID = click.option("--msg-id", type=TEXT, help="A uuid; the same again changes nothing.  [default: a new one]")


@click.command()
@click.argument("uids", type=UID, nargs=-1, required=True)
@click.option("--text", type=TEXT, help="What it says.")
@click.option("--payload", type=TEXT, metavar="JSON", help="What it says, as JSON.")
@click.option("--type", "notice_type", type=int, default=0, help="What kind of notice it is.")
@click.option("--sender", type=TEXT, default="", help="The business line.")
@click.option("--notice-id", type=TEXT, help="A uuid; the same again changes nothing.  [default: a new one]")
@asking
def notice(
    api: ApiClient,
    uids: tuple[int, ...],
    text: str | None,
    payload: str | None,
    notice_type: int,
    sender: str,
    notice_id: str | None,
) -> dict[str, Any]:
    """Send a notice to UIDS: pushed to who is online, kept for who is not."""
    if text is not None and payload is not None:
        raise click.UsageError("A notice says one thing: --text or --payload.")
    body: dict[str, Any] = {
        "notice_id": notice_id or str(uuid.uuid4()),
        "uids": uids,
        "notice_type": notice_type,
        "sender": sender,
    }
    if text is not None:
        body["text"] = text
    if payload is not None:
        try:
            body["json"] = json.loads(payload)
        except ValueError as error:
            raise click.UsageError(f"--payload is not JSON: {error}.") from None
    return api.ask("POST", ("notices",), body={"notices": [body]})


@click.command()
@click.argument("text", type=TEXT)
@click.option("--to", type=UID, help="Into the single chat with this user; needs --from.")
@click.option("--group", "group_id", type=TEXT, help="Into this conversation.")
@click.option("--from", "sender", type=click.IntRange(0, 2**63 - 1), default=0, help="On behalf of this user.")
@_MSG_ID
@asking
def send(
    api: ApiClient, text: str, to: int | None, group_id: str | None, sender: int, msg_id: str | None
) -> dict[str, Any]:
    """Send TEXT into a conversation, on behalf of a user or, without --from, of the system."""
    if (to is None) == (group_id is None):
        raise click.UsageError("A message goes into one conversation: --to or --group.")
    body = {"msg_id": msg_id or str(uuid.uuid4()), "sender_id": sender, "msg_body": text}
    return api.ask("POST", ("messages",), body=body | ({"group_id": group_id} if to is None else {"receiver_id": to}))


@click.command()
@click.argument("text", type=TEXT)
@click.option("--from", "sender", type=click.IntRange(0, 2**63 - 1), default=0, help="On behalf of this user.")
@_MSG_ID
@asking
def broadcast(api: ApiClient, text: str, sender: int, msg_id: str | None) -> dict[str, Any]:
    """Send TEXT to everybody."""
    body = {"msg_id": msg_id or str(uuid.uuid4()), "sender_id": sender, "msg_body": text}
    return api.ask("POST", ("broadcasts",), body=body)


@click.command()
@click.argument("group_id", metavar="GROUP", type=TEXT)
@click.argument("msg_id", metavar="MSG_ID", type=TEXT)
@click.option("--cursor", type=TEXT, default="", help="Where the page before ended.")
@asking
def trace(api: ApiClient, group_id: str, msg_id: str, cursor: str) -> dict[str, Any]:
    """Tell where a message of GROUP is: in whose inbox still, received and read by whom, pushed where lately."""
    return api.ask("GET", ("messages", msg_id, "trace"), {"group_id": group_id, "cursor": cursor})


@click.command()
@asking
def statistics(api: ApiClient) -> dict[str, Any]:
    """Tell what the node that answers counts."""
    return api.ask("GET", ("statistics",))
