"""Control messages as sentences."""

from datetime import tzinfo

import msgspec

from imd.cli.chat.words import moment, user, users

_FIELDS = {
    "group_name": "name",
    "avatar": "picture",
    "announcement": "announcement",
    "extra": "details",
    "join_policy": "rule for joining",
}
_SENTENCES = {
    "create": "{by} made the group with {others}",
    "invite": "{by} invited {others}",
    "join": "{by} joined",
    "remove": "{by} removed {others}",
    "dismiss": "{by} dismissed the group",
}
_ROLES = {
    "1": "{by} handed the group over to {others}",
    "2": "{by} made {others} an admin",
    "3": "{by} made {others} a plain member",
}


class Control(msgspec.Struct, frozen=True):
    """What the body of a control message says (proto/README.md)."""

    op: str
    by: int = 0
    uids: tuple[int, ...] = ()
    msg_id: str = ""
    seq_id: int = 0
    value: str = ""


def control_in(body: str) -> Control:
    """Return what a body says, with an empty ``op`` where it can't be read: in a list, a long body is cut."""
    try:
        return msgspec.json.decode(body, type=Control)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return Control("")


def sentence(control: Control, me: int, zone: tzinfo | None) -> str:
    """Return what happened as a sentence; ``zone`` is None for the machine's own."""
    by = user(control.by, me)
    others = users((uid for uid in control.uids if uid != control.by), me)
    match control.op:
        case "":
            return "the group has changed"
        case "update":
            fields = [_FIELDS.get(name, name) for name in control.value.split()]
            return f"{by} changed the {' and the '.join(fields) or 'group'}"
        case "quit":
            heir = f"; {_now_owns(int(control.value), me)} the group now" if _is_number(control.value) else ""
            return f"{by} left{heir}"
        case "mute":
            return f"{by} {_muting(control, me, zone)}"
        case "revoke":
            return f"{by} took back message {control.seq_id}{f', which {others} wrote' if others else ''}"
        case "role":
            template = _ROLES.get(control.value, "{by} changed the role of {others}")
        case _:
            template = _SENTENCES.get(control.op, "{by}: {op}")
    return template.format(by=by, others=others or "nobody else", op=control.op)


def _now_owns(uid: int, me: int) -> str:
    return "you own" if uid == me else f"{uid} owns"


def _muting(control: Control, me: int, zone: tzinfo | None) -> str:
    whom = users(control.uids, me) or "everybody"
    until = int(control.value) if _is_number(control.value) else 0
    return f"muted {whom} until {moment(until, zone)}" if until else f"let {whom} speak again"


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdecimal() and len(value) < 20
