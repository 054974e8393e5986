"""What the chat shows: a line a message. What steers a terminal is taken out by ``clean`` as the line is written."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo

import msgspec
from rich.cells import cell_len, set_cell_size

from imd.cli.chat.single import peer_in
from imd.wire.bodies import GroupMember, ImGroup, ImMsg
from imd.wire.enums import MsgType

_REVOKED = 2
_MAX_COLUMN = 24
_KINDS = {2: "voice", 3: "picture", 4: "video", 5: "location", 6: "attachment", 7: "card", 8: "announcement"}
_ROLES = {1: "owner", 2: "admin", 3: "member"}
_SENTENCES = {
    "create": "{by} made the group with {uids}",
    "update": "{by} changed the group",
    "invite": "{by} invited {uids}",
    "join": "{by} joined",
    "quit": "{by} left",
    "remove": "{by} removed {uids}",
    "mute": "{by} changed who may speak",
    "role": "{by} changed the role of {uids}",
    "dismiss": "{by} dismissed the group",
    "revoke": "{by} took message {seq_id} back",
}
# Control characters (escape sequences begin with one), and what reverses the direction of text or breaks lines.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class _Control(msgspec.Struct):
    op: str
    by: int
    uids: list[int] = []
    seq_id: int = 0


def clean(text: str) -> str:
    """Return ``text`` as one line that can't steer a terminal."""
    return _UNSHOWN.sub("", re.sub(r"\r?\n", " ⏎ ", text).replace("\t", " "))


def message_line(message: ImMsg, me: int, zone: tzinfo | None) -> str:
    """Return a message of the open conversation as a line; ``zone`` is None for the machine's own."""
    when = datetime.fromtimestamp(message.send_time / 1000, zone).strftime("%m-%d %H:%M")
    text = text_of(message, me)
    if message.msg_type != MsgType.CONTROL:
        text = f"{sender(message, me)}: {text}"
    return f"{message.seq_id:>4}  {when}  {text}"


def elsewhere_line(message: ImMsg, me: int) -> str:
    """Return a message of another conversation as a line that says how to go there."""
    author = "" if message.msg_type == MsgType.CONTROL else f"from {sender(message, me)} "
    return f"[{author}in {message.group_id}] {text_of(message, me)}  (/open {message.group_id})"


def sender(message: ImMsg, me: int) -> str:
    """Return who sent a message, by name and uid."""
    if message.sender_id == me:
        return "you"
    return f"{message.sender_name} ({message.sender_id})" if message.sender_name else str(message.sender_id)


def text_of(message: ImMsg, me: int) -> str:
    """Return what a message says, without its sender."""
    if message.msg_status:
        return "(taken back)" if message.msg_status == _REVOKED else "(deleted)"
    if message.msg_type == MsgType.CONTROL:
        return _sentence(message.msg_body, me)
    kind = _KINDS.get(message.msg_type)
    return message.msg_body if kind is None else f"[{' '.join(filter(None, (kind, message.attach_name)))}]"


def group_table(groups: Iterable[ImGroup], me: int, width: int) -> list[str]:
    """Return a table of conversations, ``width`` columns wide at most, as lines."""
    rows = [
        (
            group.group_id,
            group.group_name or f"with {peer_in(group.group_id, me)}",
            str(group.unread),
            text_of(group.last_message, me) if group.HasField("last_message") else "",
        )
        for group in groups
    ]
    return _table(("id", "name", "unread", "last message"), rows, width)


def member_table(members: Iterable[GroupMember], width: int) -> list[str]:
    """Return a table of a group's members, ``width`` columns wide at most, as lines."""
    rows = [(str(member.uid), _ROLES.get(member.role, ""), member.name) for member in members]
    return _table(("uid", "role", "name"), rows, width)


def _sentence(body: str, me: int) -> str:
    try:
        control = msgspec.json.decode(body, type=_Control)
    except msgspec.MsgspecError:
        return "— the group has changed"  # in a list, a long body is cut
    by = _user(control.by, me)
    uids = ", ".join(_user(uid, me) for uid in control.uids if uid != control.by) or "nobody else"
    sentence = _SENTENCES.get(control.op)
    if sentence is None:
        return f"— {by}: {control.op}"
    return f"— {sentence.format(by=by, uids=uids, seq_id=control.seq_id)}"


def _user(uid: int, me: int) -> str:
    return "you" if uid == me else str(uid)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    shown = [heads, *([clean(cell) for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
    widths[1:-1] = [min(wanted, _MAX_COLUMN) for wanted in widths[1:-1]]
    lines = ("  ".join(map(set_cell_size, row, widths)).rstrip() for row in shown)
    return [line if cell_len(line) <= width else set_cell_size(line, width) for line in lines]
