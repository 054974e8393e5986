"""Who may do what in a group: one table, as data."""

from enum import IntEnum

from imd.errors import ForbiddenError, NotInGroupError
from imd.ports import Group, Member


class Role(IntEnum):
    """A member's role (``GroupMember.role``)."""

    OWNER = 1
    ADMIN = 2
    MEMBER = 3


class JoinPolicy(IntEnum):
    """How one gets into a group (``ImGroup.join_policy``)."""

    INVITATION = 0
    APPROVAL = 1
    OPEN = 2


class Quit(IntEnum):
    """How one got out of it (``ImGroup.is_quit``)."""

    LEFT = 1
    REMOVED = 2
    DISMISSED = 3


EVERYONE = frozenset(Role)
CHIEFS = frozenset({Role.OWNER, Role.ADMIN})

INVITE: dict[JoinPolicy, frozenset[Role]] = {
    JoinPolicy.INVITATION: EVERYONE,
    JoinPolicy.APPROVAL: CHIEFS,
    JoinPolicy.OPEN: EVERYONE,
}
"""Who may invite, by the group's join policy."""


def member_of(group: Group, uid: int) -> Member:
    """Return the member ``uid``. Raises NotInGroupError."""
    member = group.members.get(uid)
    if member is None:
        raise NotInGroupError(f"you are not in the group {group.group_id}")
    return member


def check_invite(group: Group, uid: int) -> None:
    """Raise NotInGroupError or ForbiddenError where ``uid`` may not invite."""
    member = member_of(group, uid)
    if member.role not in INVITE[JoinPolicy(group.join_policy)]:
        raise ForbiddenError("only the owner and the admins of this group may invite")
