"""Group commands: what each decides, looking at the group inside the store's transaction. Who comes and goes."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from imd.errors import (
    BadRequestError,
    ForbiddenError,
    NotInGroupError,
    TooLargeError,
    UnavailableError,
)
from imd.logic.groups import Groups
from imd.ports.groups import GroupChange, NewGroup
from imd.wire.bodies import (
    GroupCreate,
    GroupDismiss,
    GroupInvite,
    GroupJoin,
    GroupMembers,
    GroupMute,
    GroupQuit,
    GroupRemove,
    GroupRole,
    GroupUpdate,
    NoticeMsg,
    UserData,
)
from imd.wire.enums import JoinPolicy, Role

from .parts import NOW, LogicTestCase, group_of


class Notices:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.is_full = False
        self.sent: list[tuple[NoticeMsg, list[int]]] = []

    async def send(self, notice: NoticeMsg, uids: Sequence[int]) -> None:
        if self.is_full:
            raise UnavailableError("full")
        self.sent.append((notice, list(uids)))


class GroupsTestCase(LogicTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.ids = iter(range(1, 100))
        self.notices = Notices()
        self.groups = Groups(self.store, self.notices, 5, lambda: f"id{next(self.ids)}")
        self.me = self.login(1)

    def change(self, answer: Any) -> GroupChange | None:
        """Return what a request decides."""
        data = self.wait(answer)
        assert [group.group_id for group in data.groups] == ["g"]
        return self.store.changes.pop()


class AnyCommand(GroupsTestCase):
    def commands(self, group_id: str) -> dict[str, Any]:
        groups, me = self.groups, self.me
        return {
            "update": groups.update(me, GroupUpdate(group_id=group_id, avatar="a")),
            "dismiss": groups.dismiss(me, GroupDismiss(group_id=group_id)),
            "invite": groups.invite(me, GroupInvite(group_id=group_id, member_ids=[2])),
            "join": groups.join(me, GroupJoin(group_id=group_id)),
            "quit": groups.quit(me, GroupQuit(group_id=group_id)),
            "remove": groups.remove(me, GroupRemove(group_id=group_id, member_ids=[2])),
            "mute": groups.mute(me, GroupMute(group_id=group_id, uid=2)),
            "role": groups.role(me, GroupRole(group_id=group_id, uid=2, role=Role.ADMIN)),
            "members": groups.members(me, GroupMembers(group_id=group_id)),
        }

    def test_none_works_on_the_broadcast_stream(self) -> None:
        for answer in self.commands("system").values():
            self.refused(answer, ForbiddenError)
        assert self.store.asked == []

    def test_none_works_on_a_single_chat_or_without_a_group(self) -> None:
        for group_id in ("1_2", "2_3", ""):
            for answer in self.commands(group_id).values():
                self.refused(answer, BadRequestError)
        assert self.store.asked == []

    def test_who_is_not_in_the_group_only_joins_or_has_quit_already(self) -> None:
        for group in (group_of("g", 2, 3), group_of("g")):
            self.store.group = group
            commands = self.commands("g")
            for name in ("quit", "members"):
                self.wait(commands.pop(name))
            for answer in commands.values():
                self.refused(answer, NotInGroupError)
        assert self.store.changes == [None, None]

    def test_each_is_asked_for_by_who_asks_with_an_id_for_its_message(self) -> None:
        self.store.group = group_of("g", 1, 2)
        commands = self.commands("g")
        commands.pop("members").close()
        for answer in commands.values():
            self.wait(answer)
        assert self.store.asked == [("g", 1, f"id{number}") for number in range(1, 9)]


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
        assert reason == "a group has at most 5 members, not 6"

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
    def invite(self, *member_ids: int) -> Any:
        return self.groups.invite(self.me, GroupInvite(group_id="g", member_ids=member_ids))

    def test_those_who_are_new_come_in(self) -> None:
        self.store.group = group_of("g", 1, 2)
        assert self.change(self.invite(2, 4, 3, 4)) == GroupChange(op="invite", uids=(4, 3), join=(4, 3))
        assert self.store.asked == [("g", 1, "id1")]

    def test_where_all_are_in_already_nothing_changes(self) -> None:
        self.store.group = group_of("g", 1, 2)
        assert self.change(self.invite(2, 1)) is None

    def test_where_admins_approve_a_member_can_not_invite(self) -> None:
        self.store.group = group_of("g", 7, 1, join_policy=JoinPolicy.APPROVAL)
        self.refused(self.invite(2), ForbiddenError)

    def test_the_group_does_not_grow_past_its_limit(self) -> None:
        self.store.group = group_of("g", 1, 2, 3)
        assert self.change(self.invite(4, 5, 2)) is not None
        self.refused(self.invite(4, 5, 6), TooLargeError)

    def test_no_more_are_named_at_once_than_a_group_may_have(self) -> None:
        self.store.group = group_of("g", 1)
        self.refused(self.invite(2, 3, 4, 5, 6, 7), TooLargeError)
        assert self.store.asked == []

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
        assert self.store.asked == []


class Joining(GroupsTestCase):
    def join(self, message: str = "") -> Any:
        return self.groups.join(self.me, GroupJoin(group_id="g", message=message))

    def ask(self, message: str = "") -> tuple[NoticeMsg, list[int]]:
        """Return the notice that asks for approval."""
        self.refused(self.join(message), ForbiddenError)
        return self.notices.sent.pop()

    def test_an_open_group_lets_everybody_in(self) -> None:
        self.store.group = group_of("g", 7, join_policy=JoinPolicy.OPEN)
        assert self.change(self.join()) == GroupChange(op="join", uids=(1,), join=(1,))

    def test_who_is_in_already_changes_nothing(self) -> None:
        for policy in JoinPolicy:
            self.store.group = group_of("g", 7, 1, join_policy=policy)
            assert self.change(self.join()) is None
        assert self.notices.sent == []

    def test_where_chiefs_approve_they_are_asked(self) -> None:
        self.store.group = group_of("g", 7, 8, 9, join_policy=JoinPolicy.APPROVAL, roles={8: Role.ADMIN})
        notice, uids = self.ask("héllo")
        assert uids == [7, 8]
        assert (notice.notice_type, notice.sender, notice.send_time, notice.expire_time) == (1, "imd", 0, 0)
        assert json.loads(notice.payload) == {
            "op": "join_request",
            "group_id": "g",
            "group_name": "Tea",
            "uid": 1,
            "message": "héllo",
        }
        assert self.store.changes == []

    def test_who_has_asked_is_told_so(self) -> None:
        self.store.group = group_of("g", 7, join_policy=JoinPolicy.APPROVAL)
        reason = self.refused(self.join(), ForbiddenError)
        assert reason == "the owner or an admin of this group has to approve; they have been asked"

    def test_to_ask_again_is_the_same_notice(self) -> None:
        self.store.group = group_of("g", 7, join_policy=JoinPolicy.APPROVAL)
        first, _ = self.ask("please")
        assert str(UUID(first.notice_id)) == first.notice_id
        assert self.ask("pretty please")[0].notice_id == first.notice_id
        self.me = self.login(2)
        assert self.ask("please")[0].notice_id != first.notice_id

    def test_a_request_for_another_group_is_another_notice(self) -> None:
        self.store.group = group_of("g", 7, join_policy=JoinPolicy.APPROVAL)
        first, _ = self.ask()
        self.refused(self.groups.join(self.me, GroupJoin(group_id="h")), ForbiddenError)
        assert self.notices.sent.pop()[0].notice_id != first.notice_id

    def test_where_the_chiefs_can_not_be_asked_now_the_answer_says_so(self) -> None:
        self.store.group = group_of("g", 7, join_policy=JoinPolicy.APPROVAL)
        self.notices.is_full = True
        self.refused(self.join(), UnavailableError)

    def test_a_message_has_at_most_1024_bytes(self) -> None:
        self.store.group = group_of("g", 7, join_policy=JoinPolicy.OPEN)
        self.change(self.join("x" * 1024))
        self.refused(self.join("x" * 1025), TooLargeError)
        self.refused(self.join("é" * 513), TooLargeError)

    def test_a_group_by_invitation_and_a_dismissed_one_look_as_if_they_were_not_there(self) -> None:
        for group in (group_of("g", 7), *(group_of("g", join_policy=policy) for policy in JoinPolicy)):
            self.store.group = group
            self.refused(self.join(), NotInGroupError)

    def test_a_full_group_lets_nobody_in_and_asks_nobody(self) -> None:
        for policy in (JoinPolicy.OPEN, JoinPolicy.APPROVAL):
            self.store.group = group_of("g", 7, 8, 9, 10, 11, join_policy=policy)
            self.refused(self.join(), TooLargeError)
        assert self.notices.sent == []


class Quitting(GroupsTestCase):
    def quit(self) -> Any:
        return self.groups.quit(self.me, GroupQuit(group_id="g"))

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

    def test_who_follows_is_muted_no_more_since_nobody_could_lift_it(self) -> None:
        self.store.group = group_of("g", 1, 5, 4, mutes={5: NOW + 9, 4: NOW + 9})
        change = self.change(self.quit())
        assert change is not None
        assert (change.roles, change.mutes) == ({5: Role.OWNER}, {5: 0})


class Listing(GroupsTestCase):
    def members(self, **fields: Any) -> Any:
        return self.groups.members(self.me, GroupMembers(**{"group_id": "g", **fields}))

    def test_a_page_has_a_hundred_members_unless_it_says_otherwise(self) -> None:
        assert self.wait(self.members()) == UserData()
        self.wait(self.members(cursor="9", page_size=7))
        self.wait(self.members(page_size=1000))
        assert self.store.asked == [(1, "g", "", 100), (1, "g", "9", 7), (1, "g", "", 500)]
