"""Group commands: what each decides, looking at the group inside the store's transaction."""

from typing import Any

from imd.errors import BadRequestError, ForbiddenError, NotInGroupError, TooLargeError
from imd.logic.groups import Groups
from imd.ports import GroupChange, NewGroup
from imd.wire.bodies import GroupCreate, GroupInvite, GroupJoin, GroupMembers, GroupQuit, UserData
from imd.wire.enums import JoinPolicy, Role

from .parts import LogicTestCase, group_of


class GroupsTestCase(LogicTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.ids = iter(range(1, 100))
        self.groups = Groups(self.store, 5, lambda: f"id{next(self.ids)}")
        self.me = self.login(1)

    def change(self, answer: Any) -> GroupChange | None:
        """Return what a request decides."""
        data = self.wait(answer)
        assert [group.group_id for group in data.groups] == ["g"]
        return self.store.changes.pop()


class Creating(GroupsTestCase):
    def create(self, **fields: Any) -> Any:
        return self.groups.create(self.me, GroupCreate(**{"group_name": "Tea", **fields}))

    def created(self, **fields: Any) -> NewGroup:
        data = self.wait(self.create(**fields))
        new = self.store.created.pop()
        assert [group.group_id for group in data.groups] == [new.group_id]
        return new

    def test_the_asker_owns_the_group_and_is_in_it_once(self) -> None:
        new = self.created(member_ids=[3, 1, 2, 3], avatar="a", extra="e", join_policy=2)
        assert (new.owner_id, new.member_ids) == (1, (3, 2))
        assert (new.group_name, new.avatar, new.extra, new.join_policy) == ("Tea", "a", "e", 2)

    def test_the_same_request_id_makes_the_same_group(self) -> None:
        first = self.created(request_id="r")
        assert self.created(request_id="r").group_id == first.group_id
        assert self.created(request_id="s").group_id != first.group_id

    def test_the_same_request_id_of_another_user_makes_another_group(self) -> None:
        first = self.created(request_id="r")
        self.wait(self.groups.create(self.login(2), GroupCreate(group_name="Tea", request_id="r")))
        assert self.store.created.pop().group_id != first.group_id

    def test_without_a_request_id_every_group_is_a_new_one(self) -> None:
        assert self.created().group_id != self.created().group_id

    def test_a_group_id_looks_like_no_single_chat_and_like_no_broadcast(self) -> None:
        group_id = self.created(request_id="1_2").group_id
        assert "_" not in group_id
        assert len(group_id) <= 64

    def test_a_group_has_at_most_so_many_members(self) -> None:
        self.created(member_ids=[2, 3, 4, 5])
        reason = self.refused(self.create(member_ids=[2, 3, 4, 5, 6]), TooLargeError)
        assert reason == "a group has at most 5 members; this would make 6"

    def test_what_is_too_long_is_too_large(self) -> None:
        for name, limit in (("group_name", 256), ("avatar", 1024), ("extra", 4096)):
            self.created(**{name: "x" * limit})
            self.refused(self.create(**{name: "x" * (limit + 1)}), TooLargeError)
            self.refused(self.create(**{name: "é" * (limit // 2 + 1)}), TooLargeError)

    def test_what_makes_no_sense_is_a_bad_request(self) -> None:
        for fields in (
            {"group_name": ""},
            {"group_name": " \t "},
            {"group_name": "a\0b"},
            {"extra": "\0"},
            {"member_ids": [0]},
            {"member_ids": [-3]},
            {"join_policy": 3},
            {"join_policy": -1},
        ):
            self.refused(self.create(**fields), BadRequestError)
        assert self.store.created == []


class Inviting(GroupsTestCase):
    def invite(self, *member_ids: int, group_id: str = "g") -> Any:
        return self.groups.invite(self.me, GroupInvite(group_id=group_id, member_ids=member_ids))

    def test_those_who_are_new_come_in(self) -> None:
        self.store.group = group_of("g", 1, 2)
        assert self.change(self.invite(2, 4, 3, 4)) == GroupChange(op="invite", uids=(4, 3), join=(4, 3))
        assert self.store.asked == [("g", 1, "id1")]

    def test_where_all_are_in_already_nothing_changes(self) -> None:
        self.store.group = group_of("g", 1, 2)
        assert self.change(self.invite(2, 1)) is None

    def test_who_is_not_in_the_group_can_not_invite(self) -> None:
        self.store.group = group_of("g", 7, 8)
        self.refused(self.invite(2), NotInGroupError)

    def test_where_admins_approve_a_member_can_not_invite(self) -> None:
        self.store.group = group_of("g", 7, 1, join_policy=JoinPolicy.APPROVAL)
        self.refused(self.invite(2), ForbiddenError)

    def test_the_group_does_not_grow_past_its_limit(self) -> None:
        self.store.group = group_of("g", 1, 2, 3)
        assert self.change(self.invite(4, 5, 2)) is not None
        self.refused(self.invite(4, 5, 6), TooLargeError)

    def test_it_is_decided_for_who_asked_even_if_they_log_out_meanwhile(self) -> None:
        self.store.group = group_of("g", 1)
        answer = self.invite(2)
        change_group = self.store.change_group

        async def slow(*asked: Any) -> Any:
            self.me.log_out()
            return await change_group(*asked)

        self.patch(self.store, "change_group", slow)
        assert self.change(answer) == GroupChange(op="invite", uids=(2,), join=(2,))

    def test_what_makes_no_sense_is_a_bad_request(self) -> None:
        self.refused(self.invite(), BadRequestError)
        self.refused(self.invite(0), BadRequestError)
        self.refused(self.invite(2, group_id=""), BadRequestError)
        self.refused(self.invite(2, group_id="1_2"), BadRequestError)
        assert self.store.asked == []


class Joining(GroupsTestCase):
    def join(self, group_id: str = "g") -> Any:
        return self.groups.join(self.me, GroupJoin(group_id=group_id))

    def test_an_open_group_lets_everybody_in(self) -> None:
        self.store.group = group_of("g", 7, join_policy=JoinPolicy.OPEN)
        assert self.change(self.join()) == GroupChange(op="join", uids=(1,), join=(1,))

    def test_who_is_in_already_changes_nothing(self) -> None:
        for policy in JoinPolicy:
            self.store.group = group_of("g", 7, 1, join_policy=policy)
            assert self.change(self.join()) is None

    def test_where_admins_approve_joining_is_forbidden(self) -> None:
        self.store.group = group_of("g", 7, join_policy=JoinPolicy.APPROVAL)
        self.refused(self.join(), ForbiddenError)

    def test_a_group_by_invitation_and_a_dismissed_one_look_as_if_they_were_not_there(self) -> None:
        for group in (group_of("g", 7), group_of("g", join_policy=JoinPolicy.OPEN)):
            self.store.group = group
            self.refused(self.join(), NotInGroupError)

    def test_a_full_group_lets_nobody_in(self) -> None:
        self.store.group = group_of("g", 7, 8, 9, 10, 11, join_policy=JoinPolicy.OPEN)
        self.refused(self.join(), TooLargeError)

    def test_a_single_chat_is_no_group(self) -> None:
        self.refused(self.join("1_2"), BadRequestError)


class Quitting(GroupsTestCase):
    def quit(self, group_id: str = "g") -> Any:
        return self.groups.quit(self.me, GroupQuit(group_id=group_id))

    def test_a_member_leaves(self) -> None:
        self.store.group = group_of("g", 7, 1)
        assert self.change(self.quit()) == GroupChange(op="quit", uids=(1,), leave={1: 1})

    def test_to_leave_once_more_changes_nothing(self) -> None:
        self.store.group = group_of("g", 7)
        assert self.change(self.quit()) is None

    def test_an_owner_is_followed_by_the_admin_who_is_in_the_longest(self) -> None:
        self.store.group = group_of("g", 1, 5, 4, 3, roles={4: Role.ADMIN, 3: Role.ADMIN})
        assert self.change(self.quit()) == GroupChange(
            op="quit", uids=(1,), value="4", leave={1: 1}, roles={4: Role.OWNER}, fields={"owner_id": 4}
        )

    def test_without_admins_the_member_who_is_in_the_longest_follows(self) -> None:
        self.store.group = group_of("g", 1, 5, 4)
        change = self.change(self.quit())
        assert change is not None
        assert change.fields == {"owner_id": 5}

    def test_the_last_one_dismisses_the_group(self) -> None:
        self.store.group = group_of("g", 1)
        assert self.change(self.quit()) == GroupChange(
            op="quit", uids=(1,), leave={1: 1}, fields={"owner_id": 0, "is_dismissed": 1}
        )

    def test_nobody_quits_a_single_chat(self) -> None:
        self.refused(self.quit("1_2"), BadRequestError)


class Listing(GroupsTestCase):
    def members(self, **fields: Any) -> Any:
        return self.groups.members(self.me, GroupMembers(**{"group_id": "g", **fields}))

    def test_a_page_has_a_hundred_members_unless_it_says_otherwise(self) -> None:
        assert self.wait(self.members()) == UserData()
        self.wait(self.members(cursor="9", page_size=7))
        self.wait(self.members(page_size=1000))
        assert self.store.asked == [(1, "g", "", 100), (1, "g", "9", 7), (1, "g", "", 500)]

    def test_a_single_chat_has_no_list(self) -> None:
        self.refused(self.members(group_id="1_2"), BadRequestError)
