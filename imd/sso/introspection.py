"""Token introspection (RFC 7662): an OAuth 2.0 server says whether a token is active, and whose it is."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from imd.errors import AuthExpiredError, AuthFailedError
from imd.fetch import FetchError, Response
from imd.model import Identity
from imd.ports.sso import LoginAttempt
from imd.sso.claims import identity_of, name_of

ADMIN_SCOPE = "imd_admin"
"""The scope that makes an admin; so does the member ``imd_role`` of the answer."""


class Introspection:
    """Posts the token, and takes ``{"active": true, "sub": uid}``, with ``exp``, ``iat``, ``name`` or ``username``.

    Where ``issuer`` and ``audience`` are not empty, the answer's ``iss`` and ``aud`` have to say the same. ``leeway``
    (seconds) is granted to other clocks; ``now`` gives the seconds since the epoch.
    """

    content_type = "application/x-www-form-urlencoded"

    def __init__(self, now: Callable[[], float], *, leeway: float = 0.0, issuer: str = "", audience: str = "") -> None:
        self._now = now
        self._leeway = leeway
        self._issuer = issuer
        self._audience = audience

    def body(self, attempt: LoginAttempt) -> bytes:
        """Return the form to post."""
        return urlencode({"token": attempt.token, "token_type_hint": "access_token"}).encode()

    def judge(self, attempt: LoginAttempt, response: Response) -> Identity:
        """Return what the answer says. Raises AuthFailedError, AuthExpiredError, and FetchError where it is none.

        Why a token is not active isn't said; most often it has expired, and a new one can't do harm.
        """
        if response.status in (401, 403):
            raise FetchError(
                f"it answered {response.status}: it refuses imd itself, see [sso] client_id and bearer_file"
            )
        answer = response.json(dict[str, Any])
        active = answer.get("active")
        if active is not True:
            if active is False:
                raise AuthExpiredError("the token is not active: log in with a new one")
            raise FetchError("its answer's active is neither true nor false")
        if self._issuer and answer.get("iss") != self._issuer:
            raise AuthFailedError("the token comes from another issuer (iss) than [sso] issuer says")
        audience = answer.get("aud")
        if self._audience and self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise AuthFailedError("the token was made for another service: its aud is not what [sso] audience says")
        now = self._now()
        identity = identity_of(answer, attempt.uid, now, self._leeway)
        scope = answer.get("scope")
        return replace(
            identity,
            name=identity.name or name_of(answer.get("username")),
            is_admin=identity.is_admin or (isinstance(scope, str) and ADMIN_SCOPE in scope.split()),
            issued=identity.issued or now,
        )
