"""IMessageStore: groups. Control messages, members, and what leaving and coming back do (rules 2 and 9)."""

import json
from typing import Any

import pytest
from pytest_twisted import ensureDeferred

from imd.errors import BadRequestError, ForbiddenError, NotInGroupError, RefusedError
from imd.ports.groups import Group, GroupChange, Member
from imd.ports.messages import Stored
from imd.wire.bodies import GroupMember, ImMsg

from .subject import START, Subject


def control(message: ImMsg) -> dict[str, Any]:
    """Return what a control message says."""
    assert (message.msg_type, message.whether_non_count) == (100, 1)
    said: dict[str, Any] = json.loads(message.msg_body)
    return said


class TestCreating:
    @ensureDeferred
    async def test_a_new_group_is_as_asked_for(self, subject: Subject) -> None:
        view = await subject.create(1, 2, 3, group_name="Tea ☕", avatar="a", extra="e", join_policy=2)
        assert (view.group_name, view.avatar, view.extra, view.join_policy) == ("Tea ☕", "a", "e", 2)
        assert (view.group_type, view.owner_id, view.member_count, view.role) == (2, 1, 3, 1)
        assert (view.max_seq, view.init_seq, view.is_quit) == (1, 0, 0)
        assert (await subject.view(2, view.group_id)).role == 3

    @ensureDeferred
    async def test_its_first_message_tells_of_it(self, subject: Subject) -> None:
        group = await subject.group(1, 3, 2, group_name="Tea ☕")
        for uid in (1, 2, 3):
            (message,) = (await subject.pull(uid, group)).messages
            assert (message.seq_id, message.sender_id, message.group_name) == (1, 1, "Tea ☕")
            assert control(message) == {
                "op": "create",
                "by": 1,
                "uids": [1, 3, 2],
                "msg_id": "",
                "seq_id": 0,
                "value": "Tea ☕",
            }
        assert await subject.inbox(1) == []
        assert await subject.inbox(2) == await subject.inbox(3) == [(group, 1)]

    @ensureDeferred
    async def test_the_message_is_told_with_the_members(self, subject: Subject) -> None:
        await subject.group(1, 2, 3)
        ((submission, outcome),) = subject.batches[-1]
        assert submission is None
        assert isinstance(outcome, Stored)
        assert sorted(outcome.receivers) == [2, 3]
        assert outcome.members is not None
        assert dict(outcome.members.roles) == {1: 1, 2: 3, 3: 3}

    @ensureDeferred
    async def test_a_group_that_is_there_already_is_returned_unchanged(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.invite(group, 1, 3)
        again = await subject.create(1, 7, 8, group_id=group, group_name="Other")
        assert (again.group_name, again.member_count, again.max_seq) == ("Tea", 3, 2)
        assert await subject.inbox(7) == []

    @ensureDeferred
    async def test_two_at_once_make_one_group(self, subject: Subject) -> None:
        views = [subject.create(1, 2, group_id="g7") for _ in range(2)]
        assert [(await view).max_seq for view in views] == [1, 1]


class TestChanging:
    @ensureDeferred
    async def test_what_decides_sees_the_group_as_it_is(self, subject: Subject) -> None:
        group = await subject.group(1, 2, join_policy=1, avatar="a", extra="e")
        seen: list[Group] = []
        await subject.change(group, 1, lambda found: seen.append(found))
        assert seen == [
            Group(
                group_id=group,
                group_name="Tea",
                avatar="a",
                announcement="",
                extra="e",
                owner_id=1,
                join_policy=1,
                mute_until=0,
                is_dismissed=False,
                members={1: Member(1, 1, 0, START), 2: Member(2, 3, 0, START)},
                now=START,
            )
        ]

    @ensureDeferred
    async def test_a_change_is_a_control_message_for_everybody_concerned(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        view = await subject.invite(group, 1, 4, 3)
        assert (view.member_count, view.max_seq) == (4, 2)
        for uid in (1, 2, 3, 4):
            message = (await subject.pull(uid, group)).messages[-1]
            assert (message.seq_id, message.sender_id) == (2, 1)
            said = control(message)
            assert (said["op"], said["by"], said["uids"]) == ("invite", 1, [4, 3])
        assert await subject.inbox_of(2, group) == [1, 2]
        assert await subject.inbox_of(3, group) == [2]

    @ensureDeferred
    async def test_nothing_decided_is_nothing_changed(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        subject.batches.clear()
        view = await subject.change(group, 1, None)
        assert (view.max_seq, view.member_count) == (1, 2)
        assert [list(batch) for batch in subject.batches] == [[]]
        assert await subject.inbox_of(2, group) == [1]

    @ensureDeferred
    async def test_what_decide_refuses_is_answered_and_changes_nothing(self, subject: Subject) -> None:
        def refuse(_: Group) -> None:
            raise ForbiddenError("no")

        group = await subject.group(1, 2)
        with pytest.raises(ForbiddenError, match="no"):
            await subject.change(group, 2, refuse)
        assert (await subject.send(1, group=group)).message.seq_id == 2

    @ensureDeferred
    async def test_a_decide_that_fails_harms_nobody_else_of_its_batch(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        before = subject.put(subject.message(1, group=group))
        broken = subject.change(group, 1, lambda _: 1 / 0)  # type: ignore[arg-type, return-value]
        after = subject.put(subject.message(1, group=group))
        with pytest.raises(RefusedError, match="log"):
            await broken
        outcomes = [await before, await after]
        assert [outcome.message.seq_id for outcome in outcomes if isinstance(outcome, Stored)] == [2, 3]

    @ensureDeferred
    async def test_a_change_that_fails_half_way_leaves_nothing_behind(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        bad: Any = object()
        with pytest.raises(RefusedError, match="log"):
            await subject.change(group, 1, GroupChange(op="role", join=(3,), roles={2: bad}))
        assert (await subject.view(1, group)).max_seq == 1
        assert await subject.inbox(3) == []
        assert (await subject.send(1, group=group)).message.seq_id == 2

    @ensureDeferred
    async def test_a_change_in_a_batch_that_is_done_over_is_done_once(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(1, group=group, msg_id="m")
        repeat = subject.put(subject.message(1, group=group, msg_id="m"))
        changed = subject.invite(group, 1, 3)
        another = subject.put(subject.message(1, group=group))
        assert (await changed).max_seq == 3
        assert [o.message.seq_id for o in (await repeat, await another) if isinstance(o, Stored)] == [2, 4]
        assert await subject.inbox_of(3, group) == [3, 4]

    @ensureDeferred
    async def test_a_group_that_is_not_there_and_a_single_chat_can_not_be_changed(self, subject: Subject) -> None:
        await subject.send(1, to=2)
        for group_id in ("nowhere", "1_2"):
            with pytest.raises(NotInGroupError):
                await subject.change(group_id, 1, None)

    @ensureDeferred
    async def test_who_was_never_in_the_group_sees_nothing_of_it(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        with pytest.raises(NotInGroupError):
            await subject.change(group, 9, None)

    @ensureDeferred
    async def test_what_a_group_is_called_and_says_is_shown_to_its_members(self, subject: Subject) -> None:
        group = await subject.group(1, 2, join_policy=2)
        fields = {"group_name": "Coffee", "avatar": "b", "announcement": "at 5", "extra": "x", "join_policy": 1}
        changed = await subject.change(group, 1, GroupChange(op="update", value=" ".join(fields), fields=fields))
        for view in (changed, await subject.view(2, group)):
            assert {name: getattr(view, name) for name in fields} == fields
        assert control((await subject.pull(2, group)).messages[-1])["value"] == " ".join(fields)
        assert (await subject.send(1, group=group)).message.group_name == "Coffee"
        seen: list[str] = []
        await subject.change(group, 1, lambda found: seen.append(found.announcement))
        assert seen == ["at 5"]

    @ensureDeferred
    async def test_an_owner_hands_the_group_over(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        await subject.change(
            group, 1, GroupChange(op="quit", uids=(1,), value="3", leave={1: 1}, roles={3: 1}, fields={"owner_id": 3})
        )
        view = await subject.view(3, group)
        assert (view.owner_id, view.role, view.member_count) == (3, 1, 2)
        assert control((await subject.pull(2, group)).messages[-1])["value"] == "3"

    @ensureDeferred
    async def test_a_dismissed_group_says_so_to_who_decides(self, subject: Subject) -> None:
        group = await subject.group(1)
        await subject.dismiss(group, 1)
        seen: list[bool] = []
        await subject.change(group, 1, lambda found: seen.append(found.is_dismissed))
        assert seen == [True]


class TestLeaving:
    """Rule 9: leaving freezes my view at the leaving message, inclusive."""

    @ensureDeferred
    async def test_the_view_is_frozen_at_the_message_that_tells_it(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        await subject.send(1, group=group, text="before")
        left = await subject.quit(group, 2)
        await subject.send(1, group=group, text="after")
        for view in (left, await subject.view(2, group)):
            assert (view.is_quit, view.max_seq, view.unread, view.role) == (1, 3, 0, 0)
            assert control(view.last_message)["op"] == "quit"
        assert (await subject.view(1, group)).max_seq == 4

    @ensureDeferred
    async def test_nothing_new_reaches_who_has_left(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.quit(group, 2)
        assert tuple((await subject.send(1, group=group)).receivers) == ()
        assert await subject.inbox_of(2, group) == [1]

    @ensureDeferred
    async def test_what_lay_in_the_inbox_stays_until_it_is_acked(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(1, group=group)
        await subject.quit(group, 2)
        await subject.ack(2, group, (0, 1))
        assert await subject.inbox_of(2, group) == [2]

    @ensureDeferred
    async def test_to_leave_is_counted(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        await subject.quit(group, 2)
        view = await subject.view(1, group)
        assert view.member_count == 2


class TestComingBack:
    """Rule 9: joining sets init_seq to just before the join message and drops older inbox rows."""

    @ensureDeferred
    async def test_history_begins_at_the_message_that_tells_it(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send_many(3, 1, group=group)
        await subject.quit(group, 2)
        await subject.send_many(3, 1, group=group)
        await subject.invite(group, 1, 2)
        view = await subject.view(2, group)
        assert (view.init_seq, view.read_seq, view.receive_seq, view.max_seq) == (8, 8, 8, 9)
        assert (view.is_quit, view.role, view.unread) == (0, 3, 0)
        assert await subject.pulled(2, group) == [9]
        assert await subject.inbox_of(2, group) == [9]
        await subject.send(1, group=group)
        assert await subject.inbox_of(2, group) == [9, 10]
        assert (await subject.view(2, group)).unread == 1

    @ensureDeferred
    async def test_to_come_back_is_to_begin_anew_as_a_member(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.change(
            group, 1, GroupChange(op="quit", uids=(1,), leave={1: 1}, roles={2: 1}, fields={"owner_id": 2})
        )
        subject.time.ms += 5000
        await subject.invite(group, 2, 1)
        page = await subject.store.members(1, group, "", 10)
        assert list(page.members) == [
            GroupMember(uid=1, role=3, joined_time=START + 5000, read_seq=2),
            GroupMember(uid=2, role=1, joined_time=START),
        ]

    @ensureDeferred
    async def test_leaving_and_coming_back_many_times_leaves_no_gap(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        for _ in range(4):
            await subject.quit(group, 2)
            await subject.send(1, group=group)
            await subject.invite(group, 1, 2)
        assert await subject.pulled(1, group) == list(range(1, 14))
        assert await subject.pulled(2, group) == [13]


class TestMembers:
    @ensureDeferred
    async def test_pages_are_the_whole_list_by_uid(self, subject: Subject) -> None:
        uids = [2**63 - 1, 7, 3, 20, 100]
        group = await subject.group(1, *uids)
        found: list[int] = []
        cursor = ""
        while True:
            page = await subject.store.members(7, group, cursor, 2)
            found += [member.uid for member in page.members]
            assert page.has_more == bool(page.cursor)
            if not page.has_more:
                break
            cursor = page.cursor
        assert found == sorted([1, *uids])

    @ensureDeferred
    async def test_a_member_is_told_whole(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        page = await subject.store.members(2, group, "", 10)
        assert list(page.members) == [
            GroupMember(uid=1, role=1, joined_time=START),
            GroupMember(uid=2, role=3, joined_time=START),
        ]

    @ensureDeferred
    async def test_who_has_left_is_not_listed_and_can_not_list(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        await subject.quit(group, 2)
        assert [member.uid for member in (await subject.store.members(1, group, "", 10)).members] == [1, 3]
        for uid, group_id in ((2, group), (9, group), (1, "nowhere")):
            with pytest.raises(NotInGroupError):
                await subject.store.members(uid, group_id, "", 10)

    @ensureDeferred
    async def test_a_cursor_that_no_list_made_is_a_bad_request(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        for cursor in ("x", "-1", "+1", " 1", "1_0", "1.5", "٣", str(2**63), "9" * 9999):
            with pytest.raises(BadRequestError):
                await subject.store.members(1, group, cursor, 10)
