"""Who may do what in a group: one table, as data."""

from imd.errors import ForbiddenError, NotInGroupError
from imd.ports import Group, Member
from imd.wire.enums import JoinPolicy, Role

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
