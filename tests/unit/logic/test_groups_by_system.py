"""Group commands of the system: it may what an owner may, and nothing in a group that has ended."""

from typing import Any, NamedTuple

from imd.errors import ForbiddenError, NotFoundError, NotInGroupError
from imd.ports.groups import GroupChange
from imd.wire.bodies import GroupDismiss, GroupInvite, GroupMute, GroupRemove, GroupRole, GroupUpdate
from imd.wire.enums import JoinPolicy, Quit, Role

from .parts import group_of
from .test_groups import GroupsTestCase


class System(NamedTuple):
    uid: int = 0


class BySystem(GroupsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.store.group = group_of("g", 1, 2, 3, roles={2: Role.ADMIN}, join_policy=JoinPolicy.APPROVAL)

    def ask(self, command: Any, request: Any) -> Any:
        return command(System(), request)

    def test_it_changes_invites_and_mutes_as_the_owner_does(self) -> None:
        update = self.change(self.ask(self.groups.update, GroupUpdate(group_id="g", avatar="a")))
        assert update == GroupChange(op="update", value="avatar", fields={"avatar": "a"})
        invite = self.change(self.ask(self.groups.invite, GroupInvite(group_id="g", member_ids=[4])))
        assert invite == GroupChange(op="invite", uids=(4,), join=(4,))
        for uid in (2, 3, 0):
            assert self.change(self.ask(self.groups.mute, GroupMute(group_id="g", uid=uid, until=2**60))) is not None
        remove = self.change(self.ask(self.groups.remove, GroupRemove(group_id="g", member_ids=[2, 3])))
        assert remove.leave == {2: Quit.REMOVED, 3: Quit.REMOVED}

    def test_it_hands_a_group_over_and_the_owner_becomes_a_member(self) -> None:
        change = self.change(self.ask(self.groups.role, GroupRole(group_id="g", uid=3, role=Role.OWNER)))
        assert change.roles == {3: Role.OWNER, 1: Role.MEMBER}
        assert change.fields == {"owner_id": 3}
        assert self.change(self.ask(self.groups.role, GroupRole(group_id="g", uid=1, role=Role.OWNER))) is None

    def test_the_owner_stays_in_and_the_owner(self) -> None:
        for command, request in (
            (self.groups.remove, GroupRemove(group_id="g", member_ids=[1])),
            (self.groups.mute, GroupMute(group_id="g", uid=1, until=2**60)),
            (self.groups.role, GroupRole(group_id="g", uid=1, role=Role.ADMIN)),
        ):
            self.refused(self.ask(command, request), ForbiddenError)
        self.refused(self.ask(self.groups.mute, GroupMute(group_id="g", uid=9, until=2**60)), NotFoundError)

    def test_it_ends_a_group_once_and_changes_it_no_more(self) -> None:
        change = self.change(self.ask(self.groups.dismiss, GroupDismiss(group_id="g")))
        assert change.fields == {"is_dismissed": 1}
        self.store.group = group_of("g")
        assert self.change(self.ask(self.groups.dismiss, GroupDismiss(group_id="g"))) is None
        self.refused(self.ask(self.groups.update, GroupUpdate(group_id="g", avatar="a")), NotInGroupError)
