"""Who may do what in a group: one table, as data, and the questions asked of it."""

from collections.abc import Mapping
from enum import Enum

from imd.errors import ForbiddenError, MutedError, NotFoundError, NotInGroupError, RevokeTimeoutError
from imd.logic.actors import SYSTEM
from imd.ports.groups import Group
from imd.ports.messages import MayRevoke, Members, Revocation
from imd.wire.bodies import ImMsg
from imd.wire.enums import GroupType, JoinPolicy, MsgType, Role


class Action(Enum):
    """What needs a right; the value ends the sentence "only the owner of this group may …"."""

    UPDATE = "change it"
    DISMISS = "dismiss it"
    INVITE = "invite"
    APPROVE = "invite, since it is joined by approval"
    REMOVE = "remove {}"
    MUTE = "mute {}"
    MUTE_ALL = "mute everybody"
    ROLE = "change the role of {}"
    REVOKE = "revoke what others have sent"
    ANNOUNCE = "send announcements (msg_type 8)"
    AT_ALL = "mention everybody (0 in at_uids)"
    SPEAK_WHILE_MUTED = "speak while everybody is muted"


Targets = frozenset[int]
"""The roles of those whom an action may hit; of an action without a target, whether there are any says it all."""

ALL: Targets = frozenset(Role)
OTHERS: Targets = frozenset({Role.ADMIN, Role.MEMBER})
MEMBERS: Targets = frozenset({Role.MEMBER})
NONE: Targets = frozenset()


def _row(owner: Targets, admin: Targets, member: Targets) -> Mapping[int, Targets]:
    return {Role.OWNER: owner, Role.ADMIN: admin, Role.MEMBER: member}


RIGHTS: Mapping[Action, Mapping[int, Targets]] = {
    Action.UPDATE: _row(ALL, ALL, NONE),
    Action.DISMISS: _row(ALL, NONE, NONE),
    Action.INVITE: _row(ALL, ALL, ALL),
    Action.APPROVE: _row(ALL, ALL, NONE),
    Action.REMOVE: _row(OTHERS, MEMBERS, NONE),
    Action.MUTE: _row(OTHERS, MEMBERS, NONE),
    Action.MUTE_ALL: _row(ALL, ALL, NONE),
    Action.ROLE: _row(OTHERS, NONE, NONE),
    Action.REVOKE: _row(ALL, ALL, NONE),
    Action.ANNOUNCE: _row(ALL, ALL, NONE),
    Action.AT_ALL: _row(ALL, ALL, NONE),
    Action.SPEAK_WHILE_MUTED: _row(ALL, ALL, NONE),
}
"""By action and by the role of who does it: to whom they may."""

_ANNOUNCEMENT = int(MsgType.ANNOUNCEMENT)  # looked up for every message into a group

_WHO = {Role.OWNER: "the owner", Role.ADMIN: "the admins", Role.MEMBER: "the members"}


def may(role: int, action: Action, target: int | None = None) -> bool:
    """Whether ``role`` may do this to someone of the role ``target``, or at all; role 0 may nothing."""
    targets = RIGHTS[action].get(role, NONE)
    return bool(targets) if target is None else target in targets


def check(group: Group, uid: int, action: Action, target: int | None = None) -> None:
    """Check that the member ``uid`` may do this in the group, to the member ``target`` where one is given.

    SYSTEM may what its owner may. Raises NotInGroupError, ForbiddenError, and NotFoundError where ``target`` is no
    member.
    """
    role = _role(group, uid)
    if action is Action.INVITE and group.join_policy == JoinPolicy.APPROVAL:
        action = Action.APPROVE
    if not may(role, action):
        raise ForbiddenError(_who_may(action))
    if target is None:
        return
    hit = group.members.get(target)
    if hit is None:
        raise NotFoundError(f"{target} is no member of the group {group.group_id}")
    if not may(role, action, hit.role):
        raise ForbiddenError(_who_may(action, hit.role))


def check_send(message: ImMsg, members: Members, now: int) -> None:
    """Check that the sender, a member, may send this into the group at ``now`` (ms).

    Raises MutedError, and ForbiddenError for an announcement or a mention of everybody.
    """
    if members.mutes or members.mute_until:
        _check_mutes(message.sender_id, members, now)
    if message.msg_type == _ANNOUNCEMENT:
        _check_sender(message, members, Action.ANNOUNCE)
    at_uids = message.at_uids
    if at_uids and 0 in at_uids:
        _check_sender(message, members, Action.AT_ALL)


def may_always_send(message: ImMsg, members: Members, now: int) -> None:
    """Let everything pass: mutes and roles don't bind the system."""


def may_revoke(window_ms: int, is_admin: bool = False) -> MayRevoke:
    """Return the rule of REVOKE_MSG for a sender who has ``window_ms``; ``is_admin``: the SSO says so of who asks.

    It raises ForbiddenError or RevokeTimeoutError.
    """

    def check_revocation(revocation: Revocation) -> None:
        message = revocation.message
        if message.msg_type == MsgType.CONTROL:
            raise ForbiddenError("a control message can't be revoked")
        if message.group_type == GroupType.SYSTEM:
            if not is_admin:
                raise ForbiddenError("only an admin may revoke a broadcast; the token lacks imd_role: admin")
            return
        if may(revocation.role, Action.REVOKE):
            return
        if message.sender_id != revocation.by:
            if message.group_type == GroupType.SINGLE:
                raise ForbiddenError("only its sender may revoke a message of a single chat")
            raise ForbiddenError(_who_may(Action.REVOKE))
        if revocation.now - message.send_time > window_ms:
            raise RevokeTimeoutError(f"a message can be revoked for {window_ms / 1000:g} s after it was sent")

    return check_revocation


def _role(group: Group, uid: int) -> int:
    if uid == SYSTEM and not group.is_dismissed:
        return Role.OWNER
    member = group.members.get(uid)
    if member is None:
        raise NotInGroupError(f"you are not in the group {group.group_id}")
    return member.role


def _check_mutes(uid: int, members: Members, now: int) -> None:
    until = members.mutes.get(uid, 0)
    if until > now:
        raise MutedError(f"you are muted in this group until {until} (ms since the epoch)")
    if members.mute_until > now and not may(members.roles.get(uid, 0), Action.SPEAK_WHILE_MUTED):
        raise MutedError(f"{_who_may(Action.SPEAK_WHILE_MUTED)}: until {members.mute_until} (ms since the epoch)")


def _check_sender(message: ImMsg, members: Members, action: Action) -> None:
    if not may(members.roles.get(message.sender_id, 0), action):
        raise ForbiddenError(_who_may(action))


def _who_may(action: Action, target: int | None = None) -> str:
    """Return the sentence that says who may do this."""
    who = " and ".join(name for role, name in _WHO.items() if may(role, action, target))
    what = action.value.format("members" if target is None else _WHO[Role(target)])
    return f"only {who} of this group may {what}" if who else f"nobody may {what} of this group"
