"""Users: their sessions and block lists."""

from typing import Annotated

from msgspec import Meta, Struct

from imd.http.fields import Done, Int32, Uid
from imd.http.routing import NoBody, Route
from imd.http.scopes import Scope
from imd.logic.login import Login
from imd.logic.settings import MAX_BLOCKED, Settings
from imd.ports.presence import IPresence
from imd.wire.bodies import Block, KickUser, ListBlocked, Unblock
from imd.wire.results import Result


class User(Struct, frozen=True, forbid_unknown_fields=True):
    """Which user."""

    uid: Uid


class BlockedUser(Struct, frozen=True, forbid_unknown_fields=True):
    """Which user, and which of those they have blocked."""

    uid: Uid
    blocked: Uid


class Session(Struct, frozen=True):
    """A session, on whatever node."""

    client_type: int
    node: str
    session_id: str


class Sessions(Struct, frozen=True):
    """The sessions of a user."""

    sessions: list[Session]


class Kick(Struct, frozen=True, forbid_unknown_fields=True):
    """Which sessions are to end; ``client_type`` 0: all. ``message`` is what the client shows."""

    client_type: Int32 = 0
    message: Annotated[str, Meta(max_length=1024)] = ""


class Kicked(Struct, frozen=True):
    """How many sessions were ended."""

    sessions: int


class Uids(Struct, frozen=True, forbid_unknown_fields=True):
    """Users."""

    uids: Annotated[list[Uid], Meta(min_length=1, max_length=MAX_BLOCKED)]


class Blocks(Struct, frozen=True):
    """Whom a user has blocked, ascending."""

    uids: list[int]


class UserRoutes:
    """Looks after users."""

    def __init__(self, login: Login, settings: Settings, presence: IPresence) -> None:
        self._login = login
        self._settings = settings
        self._presence = presence

    def routes(self) -> list[Route]:
        """Return the table."""
        read, write = Scope.USERS_READ, Scope.USERS_WRITE
        of = "/v1/users/{uid}"
        return [
            Route("GET", f"{of}/sessions", "List a user's sessions", self.sessions, Sessions, read, User),
            Route("GET", f"{of}/blocks", "List whom a user has blocked", self.blocks, Blocks, read, User),
            Route("POST", f"{of}/kick", "End a user's sessions", self.kick, Kicked, write, User, Kick, audited=True),
            Route(
                "POST",
                f"{of}/blocks",
                "Block users for a user",
                self.block,
                Blocks,
                write,
                User,
                Uids,
                frozenset({Result.TOO_LARGE}),
                audited=True,
            ),
            Route(
                "DELETE",
                f"{of}/blocks/{{blocked}}",
                "Take somebody off a user's block list",
                self.unblock,
                Done,
                write,
                BlockedUser,
                audited=True,
            ),
        ]

    async def sessions(self, parameters: User, _body: NoBody) -> Sessions:
        """List a user's sessions."""
        found = await self._presence.locations(parameters.uid)
        return Sessions([Session(kind, at.node, at.session_id) for kind, at in sorted(found.items())])

    async def kick(self, parameters: User, request: Kick) -> Kicked:
        """End sessions."""
        asked = KickUser(uid=parameters.uid, client_type=request.client_type, message=request.message)
        return Kicked((await self._login.kick(parameters, asked)).sessions)

    async def blocks(self, parameters: User, _body: NoBody) -> Blocks:
        """List whom a user has blocked."""
        return Blocks(list((await self._settings.list_blocked(parameters, ListBlocked())).uids))

    async def block(self, parameters: User, request: Uids) -> Blocks:
        """Block users."""
        await self._settings.block(parameters, Block(uids=request.uids))
        return await self.blocks(parameters, NoBody())

    async def unblock(self, parameters: BlockedUser, _body: NoBody) -> Done:
        """Take somebody off a block list."""
        await self._settings.unblock(parameters, Unblock(uids=[parameters.blocked]))
        return Done()
