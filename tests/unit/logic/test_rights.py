"""Rights in a group."""

from twisted.trial.unittest import SynchronousTestCase

from imd.errors import ForbiddenError, NotInGroupError
from imd.logic.rights import check_invite, member_of
from imd.wire.enums import JoinPolicy, Role

from .parts import group_of

OWNER, ADMIN, MEMBER, STRANGER = 1, 2, 3, 9


class Rights(SynchronousTestCase):
    def may_invite(self, policy: JoinPolicy) -> list[int]:
        group = group_of("g", OWNER, ADMIN, MEMBER, join_policy=policy, roles={ADMIN: Role.ADMIN})
        may = []
        for uid in (OWNER, ADMIN, MEMBER):
            try:
                check_invite(group, uid)
            except ForbiddenError:
                continue
            may.append(uid)
        return may

    def test_every_member_invites_where_the_group_is_by_invitation_or_open(self) -> None:
        assert self.may_invite(JoinPolicy.INVITATION) == [OWNER, ADMIN, MEMBER]
        assert self.may_invite(JoinPolicy.OPEN) == [OWNER, ADMIN, MEMBER]

    def test_only_the_owner_and_admins_invite_where_they_approve(self) -> None:
        assert self.may_invite(JoinPolicy.APPROVAL) == [OWNER, ADMIN]

    def test_who_is_not_in_the_group_has_no_rights_in_it(self) -> None:
        group = group_of("g", OWNER, join_policy=JoinPolicy.OPEN)
        self.assertRaises(NotInGroupError, check_invite, group, STRANGER)
        self.assertRaises(NotInGroupError, member_of, group, STRANGER)
        assert member_of(group, OWNER).uid == OWNER
