"""IConversationStore: LIST_GROUP and GROUP_BY_ID."""

import pytest
from pytest_twisted import ensureDeferred

from imd.errors import BadRequestError
from imd.wire.bodies import ImGroup, UserData

from .subject import START, Place, Subject


async def listed(subject: Subject, uid: int, cursor: str = "", page_size: int = 50, since: int = 0) -> UserData:
    page: UserData = await subject.store.conversations(uid, cursor, page_size, since)
    return page


def ids(page: UserData) -> list[str]:
    return [group.group_id for group in page.groups]


class TestLists:
    @ensureDeferred
    async def test_who_has_no_conversations_has_an_empty_list(self, subject: Subject) -> None:
        page = await listed(subject, 1)
        assert (ids(page), page.has_more, page.cursor) == ([], False, "")
        assert 0 < page.server_time <= START

    @ensureDeferred
    async def test_a_single_chat_is_listed_for_both(self, subject: Subject) -> None:
        await subject.send(1, to=2, text="hello", sender_name="Ann")
        (mine,) = (await listed(subject, 1)).groups
        (theirs,) = (await listed(subject, 2)).groups
        assert (mine.group_id, mine.group_type, mine.max_seq, mine.unread) == ("1_2", 1, 1, 0)
        assert (theirs.group_id, theirs.group_type, theirs.max_seq, theirs.unread) == ("1_2", 1, 1, 1)
        assert (mine.last_message.msg_body, mine.last_message.status) == ("hello", 0)
        assert (theirs.last_message.msg_body, theirs.last_message.status) == ("hello", -4)
        assert theirs.last_message.sender_name == "Ann"

    @ensureDeferred
    async def test_the_newest_comes_first_whoever_spoke(self, subject: Subject) -> None:
        group = await subject.group(3, 1)
        for number, (sender, where) in enumerate([(1, {"to": 2}), (4, {"to": 1}), (3, {"group": group})]):
            subject.time.ms += 1000 + number
            await subject.send(sender, **where)
        assert ids(await listed(subject, 1)) == [group, "1_4", "1_2"]
        subject.time.ms += 1000
        await subject.send(2, to=1)
        assert ids(await listed(subject, 1)) == ["1_2", group, "1_4"]

    @ensureDeferred
    async def test_a_group_that_one_has_left_stays_where_one_left_it(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        for step in (
            lambda: subject.send(3, to=2),
            lambda: subject.quit(group, 2),
            lambda: subject.send(4, to=2),
        ):
            subject.time.ms += 1000
            await step()
        for step in (
            lambda: subject.send(1, group=group),
            lambda: subject.read(2, group, 2),
            lambda: subject.store.hide(2, group, [1]),
            lambda: subject.store.set_conversation(2, group, {"is_top": 1}),
        ):
            subject.time.ms += 1000
            await step()
            assert ids(await listed(subject, 2)) == ["2_4", group, "2_3"]

    @ensureDeferred
    async def test_pages_are_the_whole_list(self, subject: Subject) -> None:
        for peer in range(2, 14):
            subject.time.ms += peer % 3  # some at the same time
            await subject.send(1, to=peer)
        whole = ids(await listed(subject, 1))
        found: list[str] = []
        cursor = ""
        while True:
            page = await listed(subject, 1, cursor, page_size=5)
            found += ids(page)
            assert page.has_more == bool(page.cursor)
            if not page.has_more:
                break
            assert len(page.groups) == 5
            cursor = page.cursor
        assert found == whole
        assert len(set(found)) == 12

    @ensureDeferred
    async def test_a_list_that_just_fills_its_page_has_no_more(self, subject: Subject) -> None:
        for peer in (2, 3):
            await subject.send(1, to=peer)
        page = await listed(subject, 1, page_size=2)
        assert (len(page.groups), page.has_more, page.cursor) == (2, False, "")

    @ensureDeferred
    async def test_what_moves_while_one_pages_is_found_by_the_next_since(self, subject: Subject) -> None:
        for peer in range(2, 12):
            subject.time.ms += 1000
            await subject.send(1, to=peer)
        found: list[str] = []
        cursor, since = "", 0
        while True:
            page = await listed(subject, 1, cursor, page_size=3)
            found += ids(page)
            since = since or page.server_time
            assert page.server_time == since
            if not page.has_more:
                break
            cursor = page.cursor
            subject.time.ms += 10_000
            await subject.send(1, to=2)  # the oldest becomes the newest before its page is reached
        found += ids(await listed(subject, 1, since=since))
        assert set(found) == {f"1_{peer}" for peer in range(2, 12)}

    @ensureDeferred
    async def test_the_time_for_the_next_since_misses_nothing(self, subject: Subject) -> None:
        for number in range(20):
            page = await listed(subject, 1)
            await subject.send(number + 2, to=1)
            since = page.server_time
            assert f"1_{number + 2}" in ids(await listed(subject, 1, since=since))
            subject.time.ms += 100

    @ensureDeferred
    async def test_it_misses_nothing_of_a_node_whose_clock_is_a_little_behind(
        self, subject: Subject, place: Place
    ) -> None:
        other = Subject(place)
        other.open()
        other.time.ms = subject.time.ms - 1500
        try:
            since = (await listed(subject, 1)).server_time
            await other.send(2, to=1)
            assert ids(await listed(subject, 1, since=since)) == ["1_2"]
        finally:
            await other.close()

    @ensureDeferred
    async def test_a_page_that_would_pass_an_answer_stops_early(self, subject: Subject) -> None:
        await subject.reopen(max_body=100_000)
        for peer in range(2, 7):
            subject.time.ms += 1
            await subject.send(1, to=peer, extra="x" * 40_000)
        found: list[str] = []
        cursor = ""
        while True:
            page = await listed(subject, 1, cursor)
            assert page.ByteSize() <= 100_000
            found += ids(page)
            if not page.has_more:
                break
            cursor = page.cursor
        assert found == [f"1_{peer}" for peer in (6, 5, 4, 3, 2)]

    @ensureDeferred
    async def test_the_last_message_is_cut_at_256_bytes_and_never_inside_a_character(self, subject: Subject) -> None:
        for text, cut in (
            ("x" * 256, "x" * 256),
            ("x" * 257, "x" * 256),
            ("é" * 200, "é" * 128),
            ("好" * 100, "好" * 85),
            ("👋" * 100, "👋" * 64),
        ):
            await subject.send(1, to=2, text=text)
            assert (await subject.view(2, "1_2")).last_message.msg_body == cut

    @ensureDeferred
    async def test_a_cursor_that_no_list_made_is_a_bad_request(self, subject: Subject) -> None:
        await subject.send(1, to=2)
        for cursor in ("x", "1", "1:2x:g", ":::", "-1:5:g", "1:+5:g", "1: 5:g", "1:1_0:g", f"1:{2**63}:g", "9" * 9999):
            with pytest.raises(BadRequestError):
                await listed(subject, 1, cursor)


class TestById:
    async def by_id(self, subject: Subject, uid: int, *group_ids: str) -> UserData:
        page: UserData = await subject.store.conversations_by_id(uid, list(group_ids))
        return page

    @ensureDeferred
    async def test_my_conversations_come_whole_in_the_order_asked_for_and_once(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(1, to=2)
        page = await self.by_id(subject, 1, "1_2", group, "1_2")
        assert ids(page) == ["1_2", group]
        assert list(page.groups) == [
            view for wanted in ("1_2", group) for view in (await listed(subject, 1)).groups if view.group_id == wanted
        ]

    @ensureDeferred
    async def test_of_a_group_of_others_one_sees_what_everybody_may_see(self, subject: Subject) -> None:
        for policy in (1, 2):
            group = await subject.group(1, 2, join_policy=policy, group_name="Tea", avatar="a", extra="secret")
            await subject.send(1, group=group, text="secret")
            (view,) = (await self.by_id(subject, 9, group)).groups
            assert view == ImGroup(
                group_id=group, group_type=2, group_name="Tea", avatar="a", member_count=2, join_policy=policy
            )

    @ensureDeferred
    async def test_groups_by_invitation_and_chats_of_others_and_what_is_not_there_are_left_out(
        self, subject: Subject
    ) -> None:
        group = await subject.group(1, 2)
        await subject.send(1, to=2)
        assert ids(await self.by_id(subject, 9, group, "1_2", "nowhere", "", "g\0", "1_9")) == []
        assert ids(await self.by_id(subject, 9)) == []

    @ensureDeferred
    async def test_a_dismissed_group_is_left_out_for_strangers_only(self, subject: Subject) -> None:
        group = await subject.group(1, join_policy=2)
        await subject.dismiss(group, 1)
        assert ids(await self.by_id(subject, 9, group)) == []
        assert ids(await self.by_id(subject, 1, group)) == [group]

    @ensureDeferred
    async def test_what_would_pass_an_answer_stops_early_with_has_more(self, subject: Subject) -> None:
        await subject.reopen(max_body=100_000)
        wanted = []
        for peer in range(2, 6):
            await subject.send(1, to=peer, extra="x" * 40_000)
            wanted.append(f"1_{peer}")
        page = await self.by_id(subject, 1, *wanted)
        assert (ids(page), page.has_more) == (wanted[:2], True)
        assert page.ByteSize() <= 100_000
        assert not (await self.by_id(subject, 1, *wanted[2:])).has_more
