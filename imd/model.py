"""The values that pass between the rooms."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a token belongs to, as the SSO says.

    ``name`` is empty where the SSO gives none; ``expires``, in seconds since the epoch, is when a session of it
    ends, 0 for never.
    """

    uid: int
    name: str = ""
    is_admin: bool = False
    expires: int = 0
