"""What an operator may look at: groups, messages and their way, whoever's they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from zope.interface import Interface

from imd.wire.bodies import ImMsg


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """A conversation as a whole; times in milliseconds since the epoch.

    ``floor_seq`` is up to where retention has deleted, ``mute_until`` until when only the owner and the admins speak.
    """

    group_id: str
    group_type: int
    group_name: str
    avatar: str
    announcement: str
    extra: str
    owner_id: int
    join_policy: int
    member_count: int
    max_seq: int
    floor_seq: int
    mute_until: int
    is_dismissed: bool
    created: int
    send_time: int


class Recipient(NamedTuple):
    """A user for whom a message is, or was: how far they are in its group, and whether it is still in their inbox."""

    uid: int
    receive_seq: int
    read_seq: int
    is_waiting: bool


class Traced(NamedTuple):
    """A message and a page of its recipients, by uid; ``cursor`` is where the next one begins, empty at the end."""

    message: ImMsg
    recipients: Sequence[Recipient]
    cursor: str


class Exported(NamedTuple):
    """A page of a conversation's messages, ascending; ``cursor`` is where the next one begins, empty at the end."""

    messages: Sequence[ImMsg]
    cursor: str


class MemberInfo(NamedTuple):
    """A member of a group; times in milliseconds since the epoch."""

    uid: int
    role: int
    mute_until: int
    joined_time: int
    receive_seq: int
    read_seq: int
    name: str


class IArchive(Interface):
    """Reads, for who is no member of anything."""

    async def group_info(group_id: str) -> GroupInfo | None:
        """Return a conversation of any kind, None where there is none."""

    async def group_members(group_id: str, cursor: str, limit: int) -> tuple[Sequence[MemberInfo], str]:
        """Return a page of a conversation's members by uid, and the next one's cursor, empty at the end."""

    async def trace(group_id: str, msg_id: str, cursor: str, limit: int) -> Traced | None:
        """Return a message and a page of its recipients; None where it isn't there."""

    async def export(group_id: str, cursor: str, limit: int) -> Exported:
        """Return the next messages of a conversation, the oldest first, as no user in particular sees them."""
