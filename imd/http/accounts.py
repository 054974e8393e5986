"""Accounts: who is banned, and whose tokens are void."""

from typing import Protocol

from msgspec import Struct

from imd.http.fields import Millis
from imd.http.routing import NoBody, Route
from imd.http.scopes import Scope
from imd.http.users import User
from imd.ports.users import Account, IUserStore


class Accounts(Protocol):
    """Bans users and makes their tokens void."""

    async def ban(self, uid: int) -> None:
        """Let a user in no more."""

    async def unban(self, uid: int) -> None:
        """Take a ban back."""

    async def void_tokens(self, uid: int, before: int = 0) -> None:
        """Make every token void that was issued before ``before`` (ms; 0: now)."""


class AccountAnswer(Struct, frozen=True):
    """What is known of a user; times in ms since the epoch, 0 for never.

    ``first_seen`` is the first login. Tokens issued before ``void_before`` are void.
    """

    uid: int
    name: str
    first_seen: int
    is_banned: bool
    void_before: int


class VoidTokens(Struct, frozen=True, forbid_unknown_fields=True):
    """Tokens issued before this are void from now on; 0: all issued until now."""

    before: Millis = 0


class AccountRoutes:
    """Decides about users."""

    def __init__(self, accounts: Accounts, users: IUserStore) -> None:
        self._accounts = accounts
        self._users = users

    def routes(self) -> list[Route]:
        """Return the table."""
        read, write = Scope.USERS_READ, Scope.USERS_WRITE
        of = "/v1/users/{uid}"
        return [
            Route("GET", of, "Tell what is known of a user", self.account, AccountAnswer, read, User),
            Route(
                "POST",
                f"{of}/ban",
                "Let a user in no more, and end the sessions",
                self.ban,
                AccountAnswer,
                write,
                User,
                audited=True,
            ),
            Route("POST", f"{of}/unban", "Let a user in again", self.unban, AccountAnswer, write, User, audited=True),
            Route(
                "POST",
                f"{of}/tokens/void",
                "Make a user's tokens void, and end the sessions",
                self.void_tokens,
                AccountAnswer,
                write,
                User,
                VoidTokens,
                audited=True,
            ),
        ]

    async def account(self, parameters: User, _body: NoBody) -> AccountAnswer:
        """Tell what is known of a user."""
        return _answer(await self._users.account(parameters.uid))

    async def ban(self, parameters: User, _body: NoBody) -> AccountAnswer:
        """Ban a user."""
        await self._accounts.ban(parameters.uid)
        return await self.account(parameters, _body)

    async def unban(self, parameters: User, _body: NoBody) -> AccountAnswer:
        """Take a ban back."""
        await self._accounts.unban(parameters.uid)
        return await self.account(parameters, _body)

    async def void_tokens(self, parameters: User, request: VoidTokens) -> AccountAnswer:
        """Make tokens void."""
        await self._accounts.void_tokens(parameters.uid, request.before)
        return _answer(await self._users.account(parameters.uid))


def _answer(account: Account) -> AccountAnswer:
    return AccountAnswer(account.uid, account.name, account.first_seen, account.is_banned, account.void_before)
