"""Notices: what the daemon, or a line of business, has to say to one user."""

import msgspec

from imd.client.values import Notice

_DAEMON = "imd"


class _JoinRequest(msgspec.Struct, tag_field="op", tag="join_request"):
    group_id: str
    uid: int
    group_name: str = ""
    message: str = ""


def notice_line(notice: Notice, group_id: str) -> str:
    """Return a notice as a line, for one who is in the conversation ``group_id``."""
    if notice.sender == _DAEMON:
        try:
            return _asking(msgspec.json.decode(notice.payload, type=_JoinRequest), group_id)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass
    try:
        text = notice.payload.decode()
    except UnicodeDecodeError:
        text = f"({len(notice.payload)} bytes)"
    return f"!! notice from {notice.sender or 'nobody named'}: {text}"


def _asking(request: _JoinRequest, group_id: str) -> str:
    name = f"{request.group_name} ({request.group_id})" if request.group_name else request.group_id
    words = f": {request.message}" if request.message else ""
    first = "" if request.group_id == group_id else f"/open {request.group_id}, then "
    return f"!! {request.uid} asks to join {name}{words}  (to agree: {first}/invite {request.uid})"
