"""The words for users, times and devices that more than one kind of line is made of."""

from collections.abc import Iterable
from datetime import datetime, tzinfo

ROLES = {1: "owner", 2: "admin", 3: "member"}
_DEVICES = {10: "iOS", 11: "Android", 20: "Windows", 21: "Mac", 23: "Linux", 25: "iPad", 30: "Web", 40: "H5", 50: "bot"}


def user(uid: int, me: int) -> str:
    """Return how a user is called by whom we know no more of than the uid; 0 is the system."""
    return "you" if uid == me else str(uid) if uid else "the system"


def users(uids: Iterable[int], me: int) -> str:
    """Return how several are called."""
    return ", ".join(user(uid, me) for uid in uids)


def moment(milliseconds: int, zone: tzinfo | None, timespec: str = "%H:%M:%S") -> str:
    """Return a time since the epoch as day and time; ``zone`` is None for the machine's own.

    A time that no calendar has is returned as its number.
    """
    try:
        return datetime.fromtimestamp(milliseconds / 1000, zone).strftime(f"%m-%d {timespec}")
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)


def presence(client_types: Iterable[int]) -> str:
    """Return whether a user is online, and with what."""
    kinds = list(client_types)
    devices = ", ".join(_DEVICES[kind] for kind in kinds if kind in _DEVICES)
    if not kinds:
        return "offline"
    return f"online ({devices})" if devices else "online"


def plain(error: Exception) -> str:
    """Return an error's words without a full stop, to be put into a sentence."""
    return str(error).rstrip(".")
