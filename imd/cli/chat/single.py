"""Whose single chat a group id is, where it is one."""

import re

_PAIR = re.compile(r"(\d{1,19})_(\d{1,19})", re.ASCII)


def peer_in(group_id: str, uid: int) -> int:
    """Return with whom ``uid`` is in this single chat, 0 where it is a group or the chat of others."""
    pair = _PAIR.fullmatch(group_id)
    uids = [int(digits) for digits in pair.groups()] if pair else []
    return sum(uids) - uid if uid in uids else 0
