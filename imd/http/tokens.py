"""POST /v1/tokens: login tokens, where imd has the secret that signs them."""

from collections.abc import Callable
from typing import Annotated

from msgspec import Meta, Struct

from imd.http.fields import Text, Uid
from imd.http.routing import NoParameters, Route
from imd.http.scopes import Scope

MAX_SECONDS = 30 * 86_400

Issue = Callable[[int, str, float], str]
"""Returns a token for a uid, with a name, good for so many seconds."""


class TokenRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For whom, under which name others see them, and for how long. It is never an admin's."""

    uid: Uid
    name: Annotated[Text, Meta(max_length=256)] = ""
    seconds: Annotated[int, Meta(ge=1, le=MAX_SECONDS)] = 86_400


class Token(Struct, frozen=True):
    """A login token, and when it ends (ms since the epoch)."""

    token: str
    expires: int


class TokenRoutes:
    """Issues tokens. ``now`` gives milliseconds since the epoch."""

    def __init__(self, issue: Issue, now: Callable[[], int]) -> None:
        self._issue = issue
        self._now = now

    def routes(self) -> list[Route]:
        """Return the table."""
        return [
            Route(
                "POST",
                "/v1/tokens",
                "Issue a login token",
                self.issue,
                Token,
                Scope.TOKENS,
                body=TokenRequest,
            )
        ]

    async def issue(self, _parameters: NoParameters, request: TokenRequest) -> Token:
        """Issue a token."""
        token = self._issue(request.uid, request.name, request.seconds)
        return Token(token, self._now() + request.seconds * 1000)
