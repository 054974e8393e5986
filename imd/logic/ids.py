"""Uids and group ids: which are well formed, and whose a single chat is (rule 1 of proto/README.md)."""

from imd.errors import BadRequestError, ForbiddenError
from imd.wire.enums import SYSTEM_GROUP
from imd.wire.single import single_group_id

MAX_UID = 2**63 - 1
MAX_GROUP_ID = 64
"""Characters of a group id."""


def check_uid(uid: int, what: str = "uid") -> int:
    """Return ``uid``. Raises BadRequestError outside 1 to 2^63-1."""
    if not 0 < uid <= MAX_UID:
        raise BadRequestError(f"{what} is {uid}; expected 1 to 2^63-1")
    return uid


def single_members(group_id: str) -> tuple[int, int] | None:
    """Return the two users of a single chat, None for the id of a group.

    Raises BadRequestError where it looks like a single chat's and is not.
    """
    small, separator, large = group_id.partition("_")
    if not separator:
        if len(group_id) > MAX_GROUP_ID or "\0" in group_id:
            raise BadRequestError(f"a group_id has at most {MAX_GROUP_ID} characters, and no NUL")
        return None
    if not (small.isascii() and small.isdigit() and large.isascii() and large.isdigit()):
        raise BadRequestError("a group_id with an underscore is <small uid>_<large uid>")
    if len(small) > 19 or len(large) > 19 or group_id != single_group_id(int(small), int(large)):
        raise BadRequestError("the group_id of a single chat is <small uid>_<large uid>, without leading zeros")
    return check_uid(int(small)), check_uid(int(large))


def check_group_id(group_id: str, uid: int, *, no_system: bool = False) -> str:
    """Return ``group_id``.

    Raises BadRequestError where it is none, ForbiddenError where it is a single chat of others, or, with
    ``no_system``, the broadcast stream.
    """
    if not group_id:
        raise BadRequestError("group_id is empty")
    pair = single_members(group_id)
    if pair is not None and uid not in pair:
        raise ForbiddenError(f"the single chat {group_id} is not yours")
    if no_system and group_id == SYSTEM_GROUP:
        raise ForbiddenError("the broadcast stream is everybody's: this is not told of it")
    return group_id
