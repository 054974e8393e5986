"""Tokens signed with a shared secret: JSON Web Tokens (RFC 7519), HS256 only."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jwt
from jwt import exceptions
from zope.interface import implementer

from imd.errors import AuthExpiredError, AuthFailedError
from imd.model import Identity
from imd.ports.sso import ISso

MAX_NAME = 128
"""Characters of the claim ``name`` that are kept."""

_ALGORITHM = "HS256"
_ROLE = "imd_role"
_ADMIN = "admin"


@implementer(ISso)
class JwtSso:
    """Checks tokens that this server's operator, or their login service, signed with ``secret``.

    ``sub`` is the uid in decimal, ``exp`` is required, ``imd_role: "admin"`` makes an admin, ``name`` names the user.
    ``leeway`` (seconds) is granted to other clocks; ``now`` gives the seconds since the epoch.
    """

    def __init__(self, secret: bytes, leeway: float, now: Callable[[], float]) -> None:
        self._secret = secret
        self._leeway = leeway
        self._now = now
        # The times are checked here, against the clock that was passed in.
        self._jwt = jwt.PyJWT(
            {"require": ["exp", "sub"], "verify_exp": False, "verify_nbf": False, "verify_iat": False}
        )

    async def verify(self, uid: int, token: str) -> Identity:
        """Return whom ``token`` belongs to: ``uid``.

        Raises AuthExpiredError where it is past ``exp``, AuthFailedError where anything else is wrong with it.
        """
        try:
            claims = self._jwt.decode(token, self._secret, algorithms=[_ALGORITHM])
        except (exceptions.InvalidTokenError, RecursionError) as error:
            raise AuthFailedError(_complaint(error)) from error
        if claims["sub"] != str(uid):
            raise AuthFailedError("the token belongs to another user: its sub has to be the uid, in decimal")
        now = self._now()
        expires = _seconds(claims, "exp", 0)
        if now >= expires + self._leeway:
            raise AuthExpiredError("the token has expired: log in with a new one")
        for claim in ("nbf", "iat"):
            if _seconds(claims, claim, 0) > now + self._leeway:
                raise AuthFailedError(f"the token's {claim} lies in the future: compare the clocks of both servers")
        name = claims.get("name")
        return Identity(
            uid=uid,
            name=_text(name)[:MAX_NAME] if isinstance(name, str) else "",
            is_admin=claims.get(_ROLE) == _ADMIN,
            expires=math.ceil(expires + self._leeway),
        )


def issue(secret: bytes, uid: int, now: float, lifetime: float, *, name: str = "", is_admin: bool = False) -> str:
    """Return a token for ``uid`` that is good for ``lifetime`` seconds from ``now`` (seconds since the epoch)."""
    claims: dict[str, object] = {"sub": str(uid), "iat": int(now), "exp": int(now + lifetime)}
    if name:
        claims["name"] = name[:MAX_NAME]
    if is_admin:
        claims[_ROLE] = _ADMIN
    return jwt.encode(claims, secret, _ALGORITHM)


def _text(text: str) -> str:
    # JSON may hold half a surrogate pair, which no protobuf string and no database takes.
    return text.encode(errors="replace").decode()


def _seconds(claims: Mapping[str, Any], claim: str, default: int) -> int:
    value = claims.get(claim, default)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return int(float(value))
        except (ValueError, OverflowError):  # JSON as Python reads it has NaN, Infinity and integers of any length
            pass
    raise AuthFailedError(f"the token's {claim} has to be a number of seconds since the epoch")


def _complaint(error: Exception) -> str:
    match error:
        case exceptions.InvalidSignatureError():
            return "the token was signed with another secret than this server's"
        case exceptions.InvalidAlgorithmError():
            return f"the token has to be signed with {_ALGORITHM}"
        case exceptions.MissingRequiredClaimError():
            return f"the token lacks the claim {error.claim}"
        case exceptions.InvalidAudienceError():
            return "the token was made for another service: it has an audience (aud)"
        case exceptions.InvalidSubjectError():
            return "the token's sub has to be the uid, in decimal, as a string"
    return "the token is not a JSON Web Token"
