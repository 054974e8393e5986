"""What is kept of users beside their conversations."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from zope.interface import Interface


class Account(NamedTuple):
    """What the store knows of a user; times in milliseconds since the epoch.

    ``first_seen`` is 0 before the first login. Tokens issued before ``void_before`` are void. ``account_time`` is when
    that or ``is_banned`` was set last, 0 for never.
    """

    uid: int
    name: str = ""
    first_seen: int = 0
    is_banned: bool = False
    void_before: int = 0
    account_time: int = 0


class IUserStore(Interface):
    """Users and their block lists; changes go into the group commit (IMessageStore)."""

    async def account(uid: int) -> Account:
        """What is known of a user, which is little before the first login."""

    async def remember_user(uid: int, name: str) -> None:
        """Note a user's first login, from which on they have the broadcast stream, and the name the SSO gives."""

    async def set_banned(uid: int, is_banned: bool) -> None:
        """Ban a user, or take that back; they need not have logged in ever."""

    async def void_tokens(uid: int, before: int) -> None:
        """Make all tokens of a user void that were issued before ``before`` (ms); it never falls."""

    async def changed_accounts(account_time: int, uid: int, limit: int) -> Sequence[Account]:
        """The next ``limit`` accounts that were set after (``account_time``, ``uid``), in that order.

        A change that is under way becomes visible late by as long as a commit takes.
        """

    async def block(uid: int, uids: Sequence[int], limit: int) -> None:
        """Add to ``uid``'s block list. Raises TooLargeError where it would hold more than ``limit``."""

    async def unblock(uid: int, uids: Sequence[int]) -> None:
        """Take off ``uid``'s block list."""

    async def blocked(uid: int) -> Sequence[int]:
        """Whom ``uid`` has blocked, ascending."""

    async def blockers(uid: int, uids: Collection[int]) -> frozenset[int]:
        """Those of ``uids`` who have blocked ``uid``."""

    async def clear_badge(uid: int) -> None:
        """Count the badge of offline pushes from now on."""
