"""What retention needs of the store."""

from collections.abc import Sequence
from typing import NamedTuple

from zope.interface import Interface


class AgedGroups(NamedTuple):
    """Groups whose oldest message is too old; ``cursor`` is where to look on, empty at the end."""

    group_ids: Sequence[str]
    cursor: str


class IRetentionStore(Interface):
    """Deletes old messages; a floor in each group keeps init_seq, gaps and unread right."""

    async def aged_groups(cursor: str, before: int, limit: int) -> AgedGroups:
        """Look at the next ``limit`` groups for messages stored before ``before`` (ms)."""

    async def drop_messages(group_id: str, before: int, limit: int) -> int:
        """Delete at most ``limit`` of a group's messages stored before ``before`` (ms), the oldest first.

        Returns how many there were.
        """
