"""JSON Web Tokens (RFC 7519), signed with a shared secret or with a private key whose public half is known here."""

from collections.abc import Callable

import jwt
from jwt import exceptions
from zope.interface import implementer

from imd.errors import AuthFailedError
from imd.model import Identity
from imd.ports.sso import ISso, LoginAttempt
from imd.sso.claims import ADMIN, MAX_NAME, ROLE, identity_of
from imd.sso.jwks import KeySet
from imd.sso.keys import HS256, Key


@implementer(ISso)
class JwtSso:
    """Checks tokens by their signature.

    ``keys`` is the key, or a set of them, of which a token names one. ``sub`` is the uid in decimal, ``exp`` is
    required, ``imd_role: "admin"`` makes an admin, ``name`` names the user. Where ``issuer`` and ``audience`` are not
    empty, ``iss`` and ``aud`` have to say the same; without, a token that has ``aud`` is refused. ``leeway`` (seconds)
    is granted to other clocks; ``now`` gives the seconds since the epoch.
    """

    def __init__(
        self,
        keys: Key | KeySet,
        now: Callable[[], float],
        *,
        leeway: float = 0.0,
        issuer: str = "",
        audience: str = "",
    ) -> None:
        self._keys = keys
        self._now = now
        self._leeway = leeway
        self._issuer = issuer or None
        self._audience = audience or None
        required = ["exp", "sub"] + ["iss"] * bool(issuer) + ["aud"] * bool(audience)
        # The times are checked here, against the clock that was passed in.
        self._jwt = jwt.PyJWT({"require": required, "verify_exp": False, "verify_nbf": False, "verify_iat": False})

    async def verify(self, attempt: LoginAttempt) -> Identity:
        """Return whom the token belongs to.

        Raises AuthExpiredError where it is past ``exp``, AuthFailedError where anything else is wrong with it, and
        UnavailableError where its key can't be fetched.
        """
        token, key = attempt.token, self._keys
        if isinstance(key, KeySet):
            key = await key.find(_named(token))
        try:
            claims = self._jwt.decode(
                token, key.key, algorithms=[key.algorithm], issuer=self._issuer, audience=self._audience
            )
        except (exceptions.InvalidTokenError, RecursionError) as error:
            raise AuthFailedError(_complaint(error, key)) from error
        return identity_of(claims, attempt.uid, self._now(), self._leeway)

    def close(self) -> None:
        """Close the connections to where the keys are."""
        if isinstance(self._keys, KeySet):
            self._keys.close()


def issue(secret: bytes, uid: int, now: float, lifetime: float, *, name: str = "", is_admin: bool = False) -> str:
    """Return a token for ``uid`` that is good for ``lifetime`` seconds from ``now`` (seconds since the epoch)."""
    claims: dict[str, object] = {"sub": str(uid), "iat": int(now), "exp": int(now + lifetime)}
    if name:
        claims["name"] = name[:MAX_NAME]
    if is_admin:
        claims[ROLE] = ADMIN
    return jwt.encode(claims, secret, HS256)


def _named(token: str) -> str:
    """Return which key a token names, empty where it names none. Raises AuthFailedError."""
    try:
        kid = jwt.get_unverified_header(token).get("kid", "")
    except (exceptions.InvalidTokenError, RecursionError) as error:
        raise AuthFailedError("the token is not a JSON Web Token") from error
    if not isinstance(kid, str):
        raise AuthFailedError("the token's kid has to be a string")
    return kid


def _complaint(error: Exception, key: Key) -> str:
    match error:
        case exceptions.InvalidSignatureError():
            return (
                f"the token was signed with another {'secret' if key.algorithm == HS256 else 'key'} than this server's"
            )
        case exceptions.InvalidAlgorithmError():
            return f"the token has to be signed with {key.algorithm}"
        case exceptions.MissingRequiredClaimError():
            return f"the token lacks the claim {error.claim}"
        case exceptions.InvalidAudienceError():
            return "the token was made for another service: its audience (aud) is not what [sso] audience says"
        case exceptions.InvalidIssuerError():
            return "the token comes from another issuer (iss) than [sso] issuer says"
        case exceptions.InvalidSubjectError():
            return "the token's sub has to be the uid, in decimal, as a string"
    return "the token is not a JSON Web Token"
