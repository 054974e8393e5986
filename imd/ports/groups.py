"""The group store."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from zope.interface import Interface

from imd.wire.bodies import ImGroup, UserData


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a group; times in milliseconds since the epoch."""

    uid: int
    role: int
    mute_until: int
    joined_time: int


@dataclass(frozen=True, slots=True)
class Group:
    """A group as the database has it inside the transaction that changes it, at ``now`` (ms)."""

    group_id: str
    group_name: str
    avatar: str
    announcement: str
    extra: str
    owner_id: int
    join_policy: int
    mute_until: int
    is_dismissed: bool
    members: Mapping[int, Member]
    now: int


@dataclass(frozen=True, slots=True)
class GroupChange:
    """What a group command does, decided by logic and applied by the store in one transaction.

    ``op``, ``uids`` and ``value`` go into the control message; ``leave`` maps uids to the is_quit they get, ``roles``
    and ``mutes`` to their new role and mute_until (ms); ``fields`` are columns of x_group.
    """

    op: str
    uids: tuple[int, ...] = ()
    value: str = ""
    join: tuple[int, ...] = ()
    leave: Mapping[int, int] = field(default_factory=dict)
    roles: Mapping[int, int] = field(default_factory=dict)
    mutes: Mapping[int, int] = field(default_factory=dict)
    fields: Mapping[str, int | str] = field(default_factory=dict)


Decide = Callable[[Group], GroupChange | None]
"""Looks at a group and says what to change, or None for nothing. Raises RefusedError. Pure: it runs on the store's
thread, inside the transaction."""


@dataclass(frozen=True, slots=True)
class NewGroup:
    """A group to be made; the first control message is ``create``."""

    group_id: str
    group_name: str
    avatar: str
    extra: str
    join_policy: int
    owner_id: int
    member_ids: tuple[int, ...]


class IGroupStore(Interface):
    """Groups and their members; changes go into the group commit (IMessageStore)."""

    async def create_group(group: NewGroup, by: int, msg_id: str) -> ImGroup:
        """Make a group, its control message with ``msg_id``; where its id exists already, return that one unchanged."""

    async def change_group(group_id: str, by: int, msg_id: str, decide: Decide) -> ImGroup:
        """Apply what ``decide`` says and return the conversation as ``by`` sees it after.

        ``by`` 0 is the system, which sees no more of it than its id. Raises NotInGroupError where there is no such
        group or ``by`` was never in it, and what ``decide`` raises.
        """

    async def members(uid: int, group_id: str, cursor: str, page_size: int) -> UserData:
        """One page of GROUP_MEMBERS. Raises NotInGroupError."""
