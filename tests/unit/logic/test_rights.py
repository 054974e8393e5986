"""Rights in a group: the table cell by cell, and the questions asked of it."""

from twisted.trial.unittest import SynchronousTestCase

from imd.errors import ForbiddenError, MutedError, NotFoundError, NotInGroupError, RefusedError, RevokeTimeoutError
from imd.logic.rights import RIGHTS, Action, check, check_send, may, may_revoke
from imd.ports.groups import Group
from imd.ports.messages import Members, Revocation
from imd.wire.bodies import ImMsg
from imd.wire.enums import GroupType, JoinPolicy, MsgType, Role

from .parts import NOW, group_of

OWNER, ADMIN, MEMBER, STRANGER = 1, 2, 3, 9
OTHER_ADMIN, OTHER_MEMBER = 4, 5
ROLES = {OWNER: Role.OWNER, ADMIN: Role.ADMIN, OTHER_ADMIN: Role.ADMIN, MEMBER: Role.MEMBER, OTHER_MEMBER: Role.MEMBER}
ACTORS = (OWNER, ADMIN, MEMBER)
TARGETS = (OWNER, OTHER_ADMIN, OTHER_MEMBER)

# Whether the owner, an admin and a member may.
PLAIN = {
    Action.UPDATE: "yes yes no",
    Action.DISMISS: "yes no no",
    Action.INVITE: "yes yes yes",
    Action.APPROVE: "yes yes no",
    Action.MUTE_ALL: "yes yes no",
    Action.REVOKE: "yes yes no",
    Action.ANNOUNCE: "yes yes no",
    Action.AT_ALL: "yes yes no",
    Action.SPEAK_WHILE_MUTED: "yes yes no",
}

# Whether they may it to the owner, to an admin and to a member who is not themselves.
AIMED = {
    Action.REMOVE: {OWNER: "no yes yes", ADMIN: "no no yes", MEMBER: "no no no"},
    Action.MUTE: {OWNER: "no yes yes", ADMIN: "no no yes", MEMBER: "no no no"},
    Action.ROLE: {OWNER: "no yes yes", ADMIN: "no no no", MEMBER: "no no no"},
}

INVITING = {
    JoinPolicy.INVITATION: "yes yes yes",
    JoinPolicy.APPROVAL: "yes yes no",
    JoinPolicy.OPEN: "yes yes yes",
}


def tea(join_policy: int = JoinPolicy.INVITATION) -> Group:
    """Return a group with an owner, two admins and two members."""
    return group_of("g", *ROLES, join_policy=join_policy, roles=dict(ROLES))


def allowed(group: Group, uid: int, action: Action, target: int | None = None) -> str:
    try:
        check(group, uid, action, target)
    except ForbiddenError:
        return "no"
    return "yes"


class Table(SynchronousTestCase):
    def test_every_action_is_written_down_here(self) -> None:
        assert PLAIN.keys() | AIMED.keys() == set(Action) == RIGHTS.keys()

    def test_who_may_what(self) -> None:
        for action, cells in PLAIN.items():
            for policy in JoinPolicy if action is not Action.INVITE else ():
                found = " ".join(allowed(tea(policy), uid, action) for uid in ACTORS)
                assert (action, found) == (action, cells)

    def test_who_may_what_to_whom(self) -> None:
        for action, rows in AIMED.items():
            for uid, cells in rows.items():
                for policy in JoinPolicy:
                    found = " ".join(allowed(tea(policy), uid, action, target) for target in TARGETS)
                    assert (action, uid, found) == (action, uid, cells)

    def test_who_may_nothing_to_anybody_is_refused_before_it_is_said_to_whom(self) -> None:
        for action, rows in AIMED.items():
            for uid, cells in rows.items():
                expected = "yes" if "yes" in cells else "no"
                assert (action, uid, allowed(tea(), uid, action)) == (action, uid, expected)
                if expected == "no":
                    self.assertRaises(ForbiddenError, check, tea(), uid, action, STRANGER)

    def test_nobody_has_a_right_over_themselves(self) -> None:
        for action in AIMED:
            for uid in ACTORS:
                assert allowed(tea(), uid, action, uid) == "no"

    def test_who_may_invite_depends_on_how_one_gets_in(self) -> None:
        for policy, cells in INVITING.items():
            found = " ".join(allowed(tea(policy), uid, Action.INVITE) for uid in ACTORS)
            assert (policy, found) == (policy, cells)

    def test_who_is_not_in_the_group_has_no_rights_in_it(self) -> None:
        for action in Action:
            for policy in JoinPolicy:
                self.assertRaises(NotInGroupError, check, tea(policy), STRANGER, action)
                self.assertRaises(NotInGroupError, check, tea(policy), STRANGER, action, MEMBER)
            assert not may(0, action)

    def test_nothing_is_done_to_who_is_not_in_the_group(self) -> None:
        for action in AIMED:
            self.assertRaises(NotFoundError, check, tea(), OWNER, action, STRANGER)

    def test_a_refusal_says_who_may(self) -> None:
        for uid, action, target, reason in (
            (MEMBER, Action.UPDATE, None, "only the owner and the admins of this group may change it"),
            (ADMIN, Action.DISMISS, None, "only the owner of this group may dismiss it"),
            (MEMBER, Action.REMOVE, None, "only the owner and the admins of this group may remove members"),
            (ADMIN, Action.REMOVE, OTHER_ADMIN, "only the owner of this group may remove the admins"),
            (ADMIN, Action.MUTE, OWNER, "nobody may mute the owner of this group"),
            (ADMIN, Action.ROLE, MEMBER, "only the owner of this group may change the role of members"),
        ):
            error = self.assertRaises(ForbiddenError, check, tea(), uid, action, target)
            assert str(error) == reason
        error = self.assertRaises(ForbiddenError, check, tea(JoinPolicy.APPROVAL), MEMBER, Action.INVITE)
        assert str(error) == "only the owner and the admins of this group may invite, since it is joined by approval"


class Sending(SynchronousTestCase):
    def refusal(
        self, uid: int, mutes: dict[int, int] | None = None, mute_until: int = 0, **fields: object
    ) -> RefusedError | None:
        """Return why ``uid`` may not send this now."""
        message = ImMsg(**{"msg_type": MsgType.TEXT, "sender_id": uid, **fields})  # type: ignore[arg-type]
        try:
            check_send(message, Members(1, ROLES, mutes or {}, mute_until), NOW)
        except RefusedError as error:
            return error
        return None

    def cells(self, kind: type[RefusedError], mute_until: int = 0, **fields: object) -> str:
        found = [self.refusal(uid, None, mute_until, **fields) for uid in ACTORS]
        assert {type(error) for error in found if error} <= {kind}
        return " ".join("no" if error else "yes" for error in found)

    def test_every_member_speaks(self) -> None:
        assert self.cells(RefusedError) == "yes yes yes"
        assert self.cells(RefusedError, at_uids=[OWNER, STRANGER], msg_type=MsgType.PASSTHROUGH) == "yes yes yes"

    def test_announcements_are_for_who_may(self) -> None:
        assert self.cells(ForbiddenError, msg_type=MsgType.ANNOUNCEMENT) == PLAIN[Action.ANNOUNCE]

    def test_to_mention_everybody_is_for_who_may(self) -> None:
        assert self.cells(ForbiddenError, at_uids=[0]) == PLAIN[Action.AT_ALL]
        assert self.cells(ForbiddenError, at_uids=[OWNER, 0]) == PLAIN[Action.AT_ALL]

    def test_while_everybody_is_muted_those_speak_who_may(self) -> None:
        assert self.cells(MutedError, mute_until=NOW + 1) == PLAIN[Action.SPEAK_WHILE_MUTED]

    def test_a_mute_of_everybody_ends_by_itself(self) -> None:
        assert self.cells(MutedError, mute_until=NOW) == "yes yes yes"

    def test_a_muted_member_cannot_send(self) -> None:
        mutes = {MEMBER: NOW + 1}
        assert isinstance(self.refusal(MEMBER, mutes), MutedError)
        assert self.refusal(OTHER_MEMBER, mutes) is None

    def test_an_admin_who_is_muted_is_as_silent_as_a_member(self) -> None:
        for fields in ({}, {"msg_type": MsgType.ANNOUNCEMENT}, {"at_uids": [0]}, {"msg_type": MsgType.PASSTHROUGH}):
            assert isinstance(self.refusal(ADMIN, {ADMIN: NOW + 1}, NOW + 1, **fields), MutedError)

    def test_the_mute_of_a_member_ends_by_itself(self) -> None:
        assert self.refusal(MEMBER, {MEMBER: NOW}) is None

    def test_who_is_no_longer_muted_is_silent_as_long_as_everybody_is(self) -> None:
        assert isinstance(self.refusal(MEMBER, {MEMBER: NOW}, NOW + 1), MutedError)

    def test_a_refusal_says_until_when(self) -> None:
        assert str(self.refusal(MEMBER, {MEMBER: 2**63 - 1})) == (
            "you are muted in this group until 9223372036854775807 (ms since the epoch)"
        )
        assert str(self.refusal(MEMBER, mute_until=NOW + 5)) == (
            "only the owner and the admins of this group may speak while everybody is muted: "
            f"until {NOW + 5} (ms since the epoch)"
        )

    def test_a_refusal_says_who_may(self) -> None:
        for fields, what in (
            ({"msg_type": MsgType.ANNOUNCEMENT}, "send announcements (msg_type 8)"),
            ({"at_uids": [0]}, "mention everybody (0 in at_uids)"),
        ):
            error = self.refusal(MEMBER, **fields)  # type: ignore[arg-type]
            assert str(error) == f"only the owner and the admins of this group may {what}"


class Revoking(SynchronousTestCase):
    def outcome(self, by: int, age: int = 0, is_admin: bool = False, **fields: object) -> str:
        """Return what becomes of a request to revoke what MEMBER sent ``age`` ms ago; the window is 2 s."""
        message = ImMsg(
            **{
                "msg_type": MsgType.TEXT,
                "sender_id": MEMBER,
                "group_type": GroupType.GROUP,
                "send_time": NOW - age,
                **fields,
            }  # type: ignore[arg-type]
        )
        role = ROLES.get(by, 0) if message.group_type == GroupType.GROUP else 0
        try:
            may_revoke(2000, is_admin)(Revocation(by, role, message, NOW))
        except (ForbiddenError, RevokeTimeoutError) as error:
            return str(error)
        return "revoked"

    def test_the_sender_has_some_time(self) -> None:
        for group_type in (GroupType.GROUP, GroupType.SINGLE):
            assert self.outcome(MEMBER, 2000, group_type=group_type) == "revoked"
            late = self.outcome(MEMBER, 2001, group_type=group_type)
            assert late == "a message can be revoked for 2 s after it was sent"

    def test_what_others_sent_is_revoked_by_those_who_may_at_any_time(self) -> None:
        for age in (0, 10**10):
            found = [self.outcome(uid, age) for uid in (OWNER, ADMIN, OTHER_MEMBER)]
            forbidden = "only the owner and the admins of this group may revoke what others have sent"
            assert found == ["revoked" if may == "yes" else forbidden for may in PLAIN[Action.REVOKE].split()]

    def test_the_owner_and_admins_are_in_time_for_what_they_sent_themselves(self) -> None:
        for uid in (OWNER, ADMIN):
            assert self.outcome(uid, 10**10, sender_id=uid) == "revoked"

    def test_in_a_single_chat_only_the_sender_revokes(self) -> None:
        forbidden = self.outcome(OWNER, group_type=GroupType.SINGLE)
        assert forbidden == "only its sender may revoke a message of a single chat"

    def test_an_admin_of_the_sso_revokes_broadcasts_and_nobody_else(self) -> None:
        for by in (OWNER, MEMBER):
            assert self.outcome(by, 10**10, is_admin=True, group_type=GroupType.SYSTEM) == "revoked"
            assert "only an admin" in self.outcome(by, group_type=GroupType.SYSTEM)

    def test_an_admin_of_the_sso_has_no_more_rights_in_a_group_than_others(self) -> None:
        for group_type in (GroupType.GROUP, GroupType.SINGLE):
            assert "only" in self.outcome(OTHER_MEMBER, is_admin=True, group_type=group_type)

    def test_nobody_revokes_a_control_message(self) -> None:
        for group_type in GroupType:
            for by in ROLES:
                refused = self.outcome(by, is_admin=True, msg_type=MsgType.CONTROL, group_type=group_type)
                assert refused == "a control message can't be revoked"
