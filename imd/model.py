"""The values that pass between the rooms."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a token belongs to, as the SSO says; times in seconds since the epoch.

    ``name`` is empty where the SSO gives none. ``expires`` is when a session of it ends, 0 for never. ``issued`` is
    since when the SSO has stood by it, 0 where it doesn't say so.
    """

    uid: int
    name: str = ""
    is_admin: bool = False
    expires: int = 0
    issued: float = 0.0
