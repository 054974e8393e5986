"""The group id of a single chat: the two uids, the smaller first (rule 1)."""


def single_group_id(a: int, b: int) -> str:
    """Return the group id of the single chat of two users."""
    return f"{a}_{b}" if a < b else f"{b}_{a}"


def users_of(group_id: str) -> tuple[int, ...]:
    """Return the two users of a single chat, the one of a chat with themselves."""
    small, _, large = group_id.partition("_")
    return (int(small), int(large)) if small != large else (int(small),)


def peer_of(group_id: str, uid: int) -> int:
    """Return the other one of a single chat of ``uid``; themselves in a chat with themselves."""
    small, _, large = group_id.partition("_")
    return int(large) if uid == int(small) else int(small)
