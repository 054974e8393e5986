"""The company's own login system, asked at a URL of its choice: JSON there, JSON back."""

import math
from collections.abc import Callable

import msgspec
from msgspec import Struct

from imd.errors import AuthExpiredError, AuthFailedError
from imd.fetch import FetchError, Response
from imd.model import Identity
from imd.ports.sso import LoginAttempt
from imd.sso.claims import ADMIN, name_of

_REFUSED = (401, 403)


class _Answer(Struct, frozen=True):
    """Times are in seconds since the epoch; ``expired`` tells a client that a new token would do."""

    ok: bool
    name: str = ""
    role: str = ""
    expires: float = 0.0
    expired: bool = False


class Login:
    """Posts what a client says of itself, and takes ``{"ok": true, "name": …, "role": "admin", "expires": seconds}``.

    401 and 403 refuse as ``{"ok": false}`` does. Only ``ok`` is required. ``now`` gives seconds since the epoch.
    """

    content_type = "application/json"

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now

    def body(self, attempt: LoginAttempt) -> bytes:
        """Return the JSON to post."""
        return msgspec.json.encode(
            {
                "uid": attempt.uid,
                "token": attempt.token,
                "device_id": attempt.device_id,
                "client_type": attempt.client_type,
                "app_id": attempt.app_id,
            }
        )

    def judge(self, attempt: LoginAttempt, response: Response) -> Identity:
        """Return what the answer says. Raises AuthFailedError, AuthExpiredError, and FetchError where it is none."""
        if response.status in _REFUSED:
            raise AuthFailedError("the login system has refused the token")
        answer = response.json(_Answer)
        now = self._now()
        if not answer.ok:
            if answer.expired:
                raise AuthExpiredError("the token has expired: log in with a new one")
            raise AuthFailedError("the login system has refused the token")
        if answer.expires < 0:
            raise FetchError("its answer's expires is no time")
        if 0 < answer.expires <= now:
            raise AuthExpiredError("the token has expired: log in with a new one")
        return Identity(
            uid=attempt.uid,
            name=name_of(answer.name),
            is_admin=answer.role == ADMIN,
            expires=math.ceil(answer.expires),
            issued=now,
        )
