"""What is kept of users beside their conversations."""

from collections.abc import Collection, Sequence

from zope.interface import Interface


class IUserStore(Interface):
    """Users and their block lists; changes go into the group commit (IMessageStore)."""

    async def remember_user(uid: int, name: str) -> None:
        """Note a user's first login, from which on they have the broadcast stream, and the name the SSO gives."""

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
