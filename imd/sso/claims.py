"""What a login system says of a token, checked: whose it is, and from when until when it is good."""

import math
from collections.abc import Mapping
from typing import Any

from imd.errors import AuthExpiredError, AuthFailedError
from imd.model import Identity

MAX_NAME = 128
"""Characters of a user's name that are kept."""

ROLE = "imd_role"
ADMIN = "admin"


def identity_of(claims: Mapping[str, Any], uid: int, now: float, leeway: float) -> Identity:
    """Return the identity in a token's claims: ``sub`` is the uid in decimal, the times are seconds since the epoch.

    Where there is no ``exp``, its sessions have no end. Raises AuthExpiredError where it is past ``exp``,
    AuthFailedError where anything else is wrong.
    """
    if claims.get("sub") != str(uid):
        raise AuthFailedError("the token belongs to another user: its sub has to be the uid, in decimal")
    expires = _seconds(claims, "exp", math.inf)
    if now >= expires + leeway:
        raise AuthExpiredError("the token has expired: log in with a new one")
    issued = _seconds(claims, "iat", 0)
    for claim, time in (("nbf", _seconds(claims, "nbf", 0)), ("iat", issued)):
        if time > now + leeway:
            raise AuthFailedError(f"the token's {claim} lies in the future: compare the clocks of both servers")
    return Identity(
        uid=uid,
        name=name_of(claims.get("name")),
        is_admin=claims.get(ROLE) == ADMIN,
        expires=0 if expires == math.inf else math.ceil(expires + leeway),
        issued=issued,
    )


def name_of(name: object) -> str:
    """Return a name as it is kept, empty for what is none."""
    # JSON may hold half a surrogate pair, which no protobuf string and no database takes; nor does one take a NUL.
    return name.encode(errors="replace").decode().replace("\0", "?")[:MAX_NAME] if isinstance(name, str) else ""


def _seconds(claims: Mapping[str, Any], claim: str, default: float) -> float:
    if claim not in claims:
        return default
    value = claims[claim]
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            seconds = float(value)
        except OverflowError:  # JSON as Python reads it has NaN, Infinity and integers of any length
            seconds = math.nan
        if math.isfinite(seconds):
            return seconds
    raise AuthFailedError(f"the token's {claim} has to be a number of seconds since the epoch")
