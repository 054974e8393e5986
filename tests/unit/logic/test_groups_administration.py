"""Group commands that change a group and who is who in it: settings, the end, removals, mutes and roles."""

from dataclasses import replace
from typing import Any

from imd.errors import BadRequestError, ForbiddenError, NotFoundError, NotInGroupError, TooLargeError
from imd.ports.groups import GroupChange
from imd.wire.bodies import GroupDismiss, GroupMute, GroupRemove, GroupRole, GroupUpdate
from imd.wire.enums import Role

from .parts import NOW, group_of
from .test_groups import GroupsTestCase


class Updating(GroupsTestCase):
    def update(self, **fields: Any) -> Any:
        return self.groups.update(self.me, GroupUpdate(group_id="g", **fields))

    def test_what_is_set_changes_and_the_message_names_it(self) -> None:
        self.store.group = group_of("g", 7, 1, roles={1: Role.ADMIN})
        for fields in (
            {"group_name": "Coffee"},
            {"announcement": "x", "extra": "y"},
            {"group_name": "Coffee", "avatar": "a", "announcement": "x", "extra": "y", "join_policy": 2},
        ):
            change = self.change(self.update(**fields))
            assert change == GroupChange(op="update", value=" ".join(fields), fields=fields)

    def test_what_is_set_and_empty_is_emptied(self) -> None:
        self.store.group = replace(group_of("g", 1, join_policy=2), avatar="a", extra="e", announcement="x")
        fields = {"avatar": "", "announcement": "", "extra": "", "join_policy": 0}
        change = self.change(self.update(**fields))
        assert change == GroupChange(op="update", value="avatar announcement extra join_policy", fields=fields)

    def test_what_is_so_already_does_not_change(self) -> None:
        self.store.group = group_of("g", 1)
        assert self.change(self.update()) is None
        assert self.change(self.update(group_name="Tea", avatar="", join_policy=0)) is None
        change = self.change(self.update(group_name="Tea", avatar="a"))
        assert change == GroupChange(op="update", value="avatar", fields={"avatar": "a"})

    def test_it_is_for_who_may(self) -> None:
        self.store.group = group_of("g", 7, 1)
        self.refused(self.update(avatar="a"), ForbiddenError)

    def test_what_is_too_long_is_too_large(self) -> None:
        self.store.group = group_of("g", 1)
        for name, limit in (("group_name", 256), ("avatar", 1024), ("announcement", 4096), ("extra", 4096)):
            self.change(self.update(**{name: "x" * limit}))
            self.refused(self.update(**{name: "x" * (limit + 1)}), TooLargeError)
            self.refused(self.update(**{name: "é" * (limit // 2 + 1)}), TooLargeError)

    def test_what_makes_no_sense_is_a_bad_request(self) -> None:
        for fields in (
            {"group_name": ""},
            {"group_name": " \t "},
            {"announcement": "a\0b"},
            {"join_policy": 3},
            {"join_policy": -1},
        ):
            self.refused(self.update(**fields), BadRequestError)
        assert self.store.asked == []


class Dismissing(GroupsTestCase):
    def dismiss(self) -> Any:
        return self.groups.dismiss(self.me, GroupDismiss(group_id="g"))

    def test_everybody_is_out(self) -> None:
        self.store.group = group_of("g", 1, 2, 3)
        assert self.change(self.dismiss()) == GroupChange(
            op="dismiss", leave={1: 3, 2: 3, 3: 3}, fields={"is_dismissed": 1}
        )

    def test_once_more_by_the_owner_changes_nothing(self) -> None:
        self.store.group = replace(group_of("g"), owner_id=1)
        assert self.change(self.dismiss()) is None

    def test_it_is_for_who_may(self) -> None:
        self.store.group = group_of("g", 7, 1, roles={1: Role.ADMIN})
        self.refused(self.dismiss(), ForbiddenError)

    def test_who_was_not_its_owner_is_out_of_a_dismissed_group(self) -> None:
        self.store.group = replace(group_of("g"), owner_id=7)
        self.refused(self.dismiss(), NotInGroupError)


class Removing(GroupsTestCase):
    def remove(self, *member_ids: int) -> Any:
        return self.groups.remove(self.me, GroupRemove(group_id="g", member_ids=member_ids))

    def test_several_go_at_once(self) -> None:
        self.store.group = group_of("g", 1, 2, 3, 4, roles={4: Role.ADMIN})
        assert self.change(self.remove(4, 2, 4)) == GroupChange(op="remove", uids=(4, 2), leave={4: 2, 2: 2})

    def test_who_is_out_already_is_passed_over(self) -> None:
        self.store.group = group_of("g", 1, 2)
        assert self.change(self.remove(9, 2)) == GroupChange(op="remove", uids=(2,), leave={2: 2})
        assert self.change(self.remove(9, 8)) is None

    def test_all_go_or_none(self) -> None:
        self.store.group = group_of("g", 7, 1, 2, 3, roles={1: Role.ADMIN, 3: Role.ADMIN})
        assert self.change(self.remove(2)) is not None
        self.refused(self.remove(2, 3), ForbiddenError)
        self.refused(self.remove(2, 7), ForbiddenError)
        assert self.store.changes == []

    def test_who_may_remove_nobody_is_told_so_whoever_is_named(self) -> None:
        self.store.group = group_of("g", 7, 1, 2)
        self.refused(self.remove(2), ForbiddenError)
        self.refused(self.remove(9), ForbiddenError)

    def test_nobody_removes_themselves(self) -> None:
        self.store.group = group_of("g", 1, 2)
        assert "GROUP_QUIT" in self.refused(self.remove(2, 1), BadRequestError)
        assert self.store.asked == []

    def test_what_makes_no_sense_is_a_bad_request(self) -> None:
        for member_ids in ((), (0,), (2, -3)):
            self.refused(self.remove(*member_ids), BadRequestError)
        assert self.store.asked == []

    def test_no_more_are_named_at_once_than_a_group_may_have(self) -> None:
        self.refused(self.remove(2, 3, 4, 5, 6, 7), TooLargeError)
        assert self.store.asked == []


class Muting(GroupsTestCase):
    def mute(self, uid: int, until: int) -> Any:
        return self.groups.mute(self.me, GroupMute(group_id="g", uid=uid, until=until))

    def test_a_member_is_silent_until_then(self) -> None:
        self.store.group = group_of("g", 1, 2)
        until = NOW + 1
        assert self.change(self.mute(2, until)) == GroupChange(op="mute", uids=(2,), value=str(until), mutes={2: until})

    def test_everybody_is_silent_until_then(self) -> None:
        self.store.group = group_of("g", 7, 1, roles={1: Role.ADMIN})
        until = 2**63 - 1
        assert self.change(self.mute(0, until)) == GroupChange(
            op="mute", value=str(until), fields={"mute_until": until}
        )

    def test_0_lifts_it(self) -> None:
        self.store.group = group_of("g", 1, 2, mutes={2: NOW + 1}, mute_until=NOW + 1)
        assert self.change(self.mute(2, 0)) == GroupChange(op="mute", uids=(2,), value="0", mutes={2: 0})
        assert self.change(self.mute(0, 0)) == GroupChange(op="mute", value="0", fields={"mute_until": 0})

    def test_another_time_takes_the_place_of_the_first(self) -> None:
        self.store.group = group_of("g", 1, 2, mutes={2: NOW + 9}, mute_until=NOW + 9)
        for until in (NOW + 5, NOW + 10):
            change = self.change(self.mute(2, until))
            assert change is not None
            assert change.mutes == {2: until}
            change = self.change(self.mute(0, until))
            assert change is not None
            assert change.fields == {"mute_until": until}

    def test_the_same_time_once_more_changes_nothing(self) -> None:
        self.store.group = group_of("g", 1, 2, mutes={2: NOW + 9}, mute_until=NOW + 8)
        assert self.change(self.mute(2, NOW + 9)) is None
        assert self.change(self.mute(0, NOW + 8)) is None

    def test_to_lift_what_does_not_hold_changes_nothing(self) -> None:
        for then in (0, NOW - 1, NOW):
            self.store.group = group_of("g", 1, 2, mutes={2: then}, mute_until=then)
            assert self.change(self.mute(2, 0)) is None
            assert self.change(self.mute(0, 0)) is None

    def test_a_time_that_is_past_is_a_bad_request(self) -> None:
        for then in (-1, 1, NOW - 1, NOW):
            self.store.group = group_of("g", 1, 2, mutes={2: then}, mute_until=then)
            for uid in (0, 2):
                self.refused(self.mute(uid, then), BadRequestError)

    def test_a_uid_that_is_none_is_a_bad_request(self) -> None:
        self.refused(self.mute(-1, NOW + 1), BadRequestError)
        assert self.store.asked == []

    def test_who_is_not_in_the_group_is_not_found(self) -> None:
        self.store.group = group_of("g", 1, 2)
        assert self.refused(self.mute(9, NOW + 1), NotFoundError) == "9 is no member of the group g"

    def test_it_is_for_who_may(self) -> None:
        self.store.group = group_of("g", 7, 1, 2, 3, roles={1: Role.ADMIN, 2: Role.ADMIN})
        assert self.change(self.mute(3, NOW + 1)) is not None
        for uid in (7, 2, 1):
            self.refused(self.mute(uid, NOW + 1), ForbiddenError)
        self.store.group = group_of("g", 7, 1, 3)
        for uid in (0, 3, 9):
            self.refused(self.mute(uid, NOW + 1), ForbiddenError)


class GivingRoles(GroupsTestCase):
    def give(self, uid: int, role: int) -> Any:
        return self.groups.role(self.me, GroupRole(group_id="g", uid=uid, role=role))

    def test_a_member_becomes_an_admin_and_a_member_again(self) -> None:
        self.store.group = group_of("g", 1, 2, 3, roles={3: Role.ADMIN})
        assert self.change(self.give(2, Role.ADMIN)) == GroupChange(op="role", uids=(2,), value="2", roles={2: 2})
        assert self.change(self.give(3, Role.MEMBER)) == GroupChange(op="role", uids=(3,), value="3", roles={3: 3})

    def test_a_role_that_one_has_already_changes_nothing(self) -> None:
        self.store.group = group_of("g", 1, 2, 3, roles={3: Role.ADMIN})
        for uid, role in ((1, Role.OWNER), (2, Role.MEMBER), (3, Role.ADMIN)):
            assert self.change(self.give(uid, role)) is None

    def test_an_owner_who_hands_the_group_over_becomes_a_member(self) -> None:
        for role in (Role.MEMBER, Role.ADMIN):
            self.store.group = group_of("g", 1, 2, 3, roles={2: role})
            assert self.change(self.give(2, Role.OWNER)) == GroupChange(
                op="role", uids=(2,), value="1", roles={2: 1, 1: 3}, fields={"owner_id": 2}
            )

    def test_an_owner_is_muted_no_more_since_nobody_could_lift_it(self) -> None:
        self.store.group = group_of("g", 1, 2, mutes={2: NOW + 9})
        change = self.change(self.give(2, Role.OWNER))
        assert change is not None
        assert change.mutes == {2: 0}
        change = self.change(self.give(2, Role.ADMIN))
        assert change is not None
        assert change.mutes == {}

    def test_to_hand_the_group_over_once_more_changes_nothing(self) -> None:
        self.store.group = group_of("g", 2, 1)
        assert self.change(self.give(2, Role.OWNER)) is None
        self.store.group = group_of("g", 2, 3)
        self.refused(self.give(2, Role.OWNER), NotInGroupError)

    def test_an_owner_does_not_give_the_group_up(self) -> None:
        self.store.group = group_of("g", 1, 2)
        for role in (Role.ADMIN, Role.MEMBER):
            assert "hand it over" in self.refused(self.give(1, role), BadRequestError)

    def test_it_is_for_who_may(self) -> None:
        self.store.group = group_of("g", 7, 1, 2, 3, roles={1: Role.ADMIN, 2: Role.ADMIN})
        for uid in (7, 1, 2, 3, 9):
            for role in Role:
                if (uid, role) != (7, Role.OWNER):
                    self.refused(self.give(uid, role), ForbiddenError)

    def test_who_is_not_in_the_group_is_not_found(self) -> None:
        self.store.group = group_of("g", 1, 2)
        for role in Role:
            self.refused(self.give(9, role), NotFoundError)

    def test_what_makes_no_sense_is_a_bad_request(self) -> None:
        for uid, role in ((0, 2), (-1, 2), (2, 0), (2, 4), (2, -1)):
            self.refused(self.give(uid, role), BadRequestError)
        assert self.store.asked == []
