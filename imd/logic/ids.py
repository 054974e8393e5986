"""Uids and group ids: which are well formed, and whose a single chat is (rule 1 of proto/README.md)."""

from imd.errors import BadRequestError

MAX_UID = 2**63 - 1
MAX_GROUP_ID = 64
"""Bytes of a group id."""


def check_uid(uid: int, what: str = "uid") -> int:
    """Return ``uid``. Raises BadRequestError outside 1 to 2^63-1."""
    if not 0 < uid <= MAX_UID:
        raise BadRequestError(f"{what} is {uid}; expected 1 to 2^63-1")
    return uid


def single_group_id(a: int, b: int) -> str:
    """Return the group id of the single chat of two users."""
    return f"{a}_{b}" if a < b else f"{b}_{a}"


def single_members(group_id: str) -> tuple[int, int] | None:
    """Return the two users of a single chat, None for the id of a group.

    Raises BadRequestError where it looks like a single chat's and is not.
    """
    small, separator, large = group_id.partition("_")
    if not separator:
        if len(group_id) > MAX_GROUP_ID:
            raise BadRequestError(f"a group_id has at most {MAX_GROUP_ID} characters")
        return None
    if not (small.isascii() and small.isdigit() and large.isascii() and large.isdigit()):
        raise BadRequestError("a group_id with an underscore is <small uid>_<large uid>")
    if len(small) > 19 or len(large) > 19 or group_id != single_group_id(int(small), int(large)):
        raise BadRequestError("the group_id of a single chat is <small uid>_<large uid>, without leading zeros")
    return check_uid(int(small)), check_uid(int(large))
