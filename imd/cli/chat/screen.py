"""What the chat shows: a line a message. What steers a terminal is taken out by ``clean`` as the line is written."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo

from rich.cells import cell_len, set_cell_size

from imd.cli.chat.control import control_in, sentence
from imd.cli.chat.single import peer_in
from imd.cli.chat.words import ROLES, moment, presence, user
from imd.client.values import Conversation, Message, message_of
from imd.wire.bodies import GroupMember, ImGroup
from imd.wire.enums import SYSTEM_GROUP, MsgStatus, MsgType, Quit

_MAX_COLUMN = 24
_KINDS: dict[int, str] = {
    MsgType.VOICE: "voice",
    MsgType.PICTURE: "picture",
    MsgType.VIDEO: "video",
    MsgType.LOCATION: "location",
    MsgType.ATTACHMENT: "attachment",
    MsgType.CARD: "card",
}
_OUT: dict[int, str] = {
    Quit.LEFT: "you have left",
    Quit.REMOVED: "you were removed",
    Quit.DISMISSED: "it was dismissed",
}
_LOUD = "!! "
"""Begins what is meant for the reader, or for everybody."""
# Control characters (escape sequences begin with one), and what reverses the direction of text or breaks lines.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """Return ``text`` as one line that can't steer a terminal."""
    return _UNSHOWN.sub("", re.sub(r"\r?\n", " ⏎ ", text).replace("\t", " "))


def message_line(message: Message, me: int, zone: tzinfo | None) -> str:
    """Return a message of the open conversation as a line; ``zone`` is None for the machine's own."""
    text = text_of(message, me, zone)
    if message.msg_type != MsgType.CONTROL:
        text = f"{_loud(message, me)}{_author(message, me)}: {text}"
    return f"{message.seq_id:>4}  {moment(message.send_time, zone, '%H:%M')}  {text}"


def elsewhere_line(message: Message, me: int, zone: tzinfo | None) -> str:
    """Return a message of another conversation as a line that says how to go there."""
    where = "" if message.group_id == SYSTEM_GROUP else f"in {message.group_id}"
    author = "" if message.msg_type == MsgType.CONTROL else _author(message, me)
    if author and not _is_titled(message):
        author = f"from {author}"
    head = " ".join(filter(None, (author, where)))
    return f"[{_loud(message, me)}{head}] {text_of(message, me, zone)}  (/open {message.group_id})"


def sender(message: Message, me: int) -> str:
    """Return who sent a message, by name and uid."""
    if message.sender_id == me:
        return "you"
    return f"{message.sender_name} ({message.sender_id})" if message.sender_name else user(message.sender_id, me)


def text_of(message: Message, me: int, zone: tzinfo | None) -> str:
    """Return what a message says, without its sender."""
    if message.msg_status:
        return "(taken back)" if message.msg_status == MsgStatus.REVOKED else "(deleted)"
    if message.msg_type == MsgType.CONTROL:
        return f"— {sentence(control_in(message.msg_body), me, zone)}"
    kind = _KINDS.get(message.msg_type)
    return message.msg_body if kind is None else f"[{' '.join(filter(None, (kind, message.attach_name)))}]"


def about_line(group: Conversation, now_ms: int, zone: tzinfo | None) -> str:
    """Return what one should know of a group as one comes there."""
    parts = [f"{group.group_name}, {group.member_count} member{'s' if group.member_count != 1 else ''}"]
    if group.is_quit:
        parts.append(_OUT.get(group.is_quit, "you are out"))
    return "; ".join([*parts, *silence(group, now_ms, zone)])


def silence(group: Conversation, now_ms: int, zone: tzinfo | None) -> list[str]:
    """Return what keeps one from speaking in a group."""
    parts = []
    if group.mute_all:
        parts.append("only the owner and the admins may speak now")
    if group.mute_until > now_ms:
        parts.append(f"you are muted until {moment(group.mute_until, zone)}")
    return parts


def group_table(groups: Iterable[ImGroup], me: int, width: int, zone: tzinfo | None) -> list[str]:
    """Return a table of conversations, ``width`` columns wide at most, as lines; an @ says that one is mentioned."""
    rows = [
        (
            group.group_id,
            "broadcasts" if group.group_id == SYSTEM_GROUP else group.group_name or _peer_name(group.group_id, me),
            f"{group.unread}{' @' if group.at_seq else ''}",
            text_of(message_of(group.last_message), me, zone) if group.HasField("last_message") else "",
        )
        for group in groups
    ]
    return _table(("id", "name", "unread", "last message"), rows, width)


def member_table(
    members: Iterable[GroupMember],
    online: Mapping[int, Sequence[int]] | None,
    now_ms: int,
    width: int,
    zone: tzinfo | None,
) -> list[str]:
    """Return a table of a group's members, ``width`` columns wide at most, as lines.

    ``online`` has the client types of those asked for; it is None where that isn't known.
    """
    rows = [
        (
            str(member.uid),
            ROLES.get(member.role, ""),
            "?" if online is None else presence(online.get(member.uid, ())),
            moment(member.mute_until, zone) if member.mute_until > now_ms else "",
            member.name,
        )
        for member in members
    ]
    return _table(("uid", "role", "now", "muted until", "name"), rows, width)


def _peer_name(group_id: str, me: int) -> str:
    peer = peer_in(group_id, me)
    return f"with {peer}" if peer else ""


def _is_titled(message: Message) -> bool:
    return message.msg_type == MsgType.ANNOUNCEMENT or message.group_id == SYSTEM_GROUP


def _author(message: Message, me: int) -> str:
    who = sender(message, me)
    if message.group_id == SYSTEM_GROUP:
        return f"broadcast by {who}"
    if message.msg_type == MsgType.ANNOUNCEMENT:
        return f"announcement by {who}"
    return f"{who}{_whom(message, me)}"


def _whom(message: Message, me: int) -> str:
    """Return whom a message mentions, if that includes the reader."""
    if me in message.at_uids:
        return " to you"
    return " to everybody" if 0 in message.at_uids else ""


def _loud(message: Message, me: int) -> str:
    if message.msg_type == MsgType.CONTROL or message.msg_status or message.sender_id == me:
        return ""
    return _LOUD if _is_titled(message) or _whom(message, me) else ""


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    shown = [heads, *([clean(cell) for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
    widths[1:-1] = [min(wanted, _MAX_COLUMN) for wanted in widths[1:-1]]
    lines = ("  ".join(map(set_cell_size, row, widths)).rstrip() for row in shown)
    return [line if cell_len(line) <= width else set_cell_size(line, width) for line in lines]
