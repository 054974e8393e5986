"""GET /v1/presence: who is online, on whatever node and whoever has blocked whom."""

from typing import Annotated

from msgspec import Meta, Struct

from imd.http.fields import Uid
from imd.http.routing import NoBody, Route
from imd.http.scopes import Scope
from imd.logic.presence import MAX_QUERY
from imd.ports.presence import IPresence


class PresenceParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which users; ``uids`` is given once for each."""

    uids: Annotated[list[Uid], Meta(min_length=1, max_length=MAX_QUERY)]


class UserPresence(Struct, frozen=True):
    """The kinds of a user's devices that are online; none: offline."""

    uid: int
    client_types: list[int]


class Presence(Struct, frozen=True):
    """Who is online."""

    users: list[UserPresence]


class PresenceRoutes:
    """Tells who is online."""

    def __init__(self, presence: IPresence) -> None:
        self._presence = presence

    def routes(self) -> list[Route]:
        """Return the table."""
        return [
            Route(
                "GET",
                "/v1/presence",
                "Tell who is online",
                self.presence,
                Presence,
                Scope.PRESENCE,
                PresenceParameters,
            )
        ]

    async def presence(self, parameters: PresenceParameters, _body: NoBody) -> Presence:
        """Tell who is online."""
        found = await self._presence.client_types(list(dict.fromkeys(parameters.uids)))
        return Presence([UserPresence(uid, list(kinds)) for uid, kinds in found.items()])
