"""IRetentionStore: what is too old goes, and everything else stays as the rules say (rules 3 and 6 to 9)."""

from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor

from imd.logic.retention import Retention
from imd.ports.retention import AgedGroups
from imd.wire.bodies import ImGroup
from imd.wire.enums import SYSTEM_GROUP, GroupType

from .subject import START, Subject


async def send_apart(subject: Subject, number: int, sender: int, **what: Any) -> None:
    """Store messages, each a second after what was before."""
    for _ in range(number):
        subject.time.ms += 1000
        await subject.send(sender, **what)


async def drop(subject: Subject, group_id: str, seconds: int, limit: int = 500) -> int:
    """Drop what was stored in the first seconds of the test: message after message, where there was one in each."""
    dropped: int = await subject.store.drop_messages(group_id, START + 1000 * seconds + 1, limit)
    return dropped


async def drop_all(subject: Subject, group_id: str) -> list[int]:
    """Drop every message, and return how many went in each step."""
    steps: list[int] = []
    while number := await subject.store.drop_messages(group_id, subject.time.ms + 1, 500):
        steps.append(number)
    return steps


async def broadcast(subject: Subject, number: int) -> None:
    """Store messages in the broadcast stream, each a second after what was before."""
    for _ in range(number):
        subject.time.ms += 1000
        submission = subject.message(1, group=SYSTEM_GROUP)
        submission.message.group_type = GroupType.SYSTEM
        await subject.put(submission)


async def listed(subject: Subject, uid: int, since: int = 0) -> dict[str, ImGroup]:
    page = await subject.store.conversations(uid, "", 100, since)
    return {group.group_id: group for group in page.groups}


def rows(subject: Subject, table: str) -> list[Any]:
    """Return what no port shows: the keys of all rows of a table."""
    with subject.store._database.engine.connect() as connection:
        return list(connection.exec_driver_sql(f"SELECT uid, group_id, seq_id FROM {table} ORDER BY 1, 2, 3"))


class TestDropping:
    @ensureDeferred
    async def test_what_is_older_goes_and_nothing_else(self, subject: Subject) -> None:
        await send_apart(subject, 10, 1, to=2)
        await send_apart(subject, 1, 1, to=3)
        assert await drop(subject, "1_2", 6) == 6
        assert await subject.pulled(1, "1_2") == await subject.pulled(2, "1_2") == [7, 8, 9, 10]
        assert await subject.pulled(3, "1_3") == [1]
        assert await drop(subject, "1_2", 6) == 0

    @ensureDeferred
    async def test_the_oldest_go_first_and_never_more_than_the_limit(self, subject: Subject) -> None:
        await send_apart(subject, 10, 1, to=2)
        assert await drop(subject, "1_2", 10, limit=4) == 4
        assert await subject.pulled(2, "1_2") == [5, 6, 7, 8, 9, 10]
        assert await drop(subject, "1_2", 10, limit=100) == 6
        assert await subject.pulled(2, "1_2") == []

    @ensureDeferred
    async def test_a_group_that_is_not_there_has_nothing_to_drop(self, subject: Subject) -> None:
        assert await drop(subject, "nowhere", 10) == 0

    @ensureDeferred
    async def test_seqs_go_on_where_they_were(self, subject: Subject) -> None:
        await send_apart(subject, 3, 1, to=2)
        assert await drop_all(subject, "1_2") == [3]
        assert (await subject.send(2, to=1)).message.seq_id == 4
        assert await subject.pulled(1, "1_2") == [4]

    @ensureDeferred
    async def test_the_msg_id_of_a_message_that_went_may_be_used_again(self, subject: Subject) -> None:
        await subject.send(1, to=2, msg_id="a", text="hello")
        assert (await subject.send(1, to=2, msg_id="a", text="hello")).repeated
        assert await drop_all(subject, "1_2") == [1]
        again = await subject.send(1, to=2, msg_id="a", text="hello")
        assert (again.message.seq_id, again.repeated) == (2, False)
        assert await subject.inbox_of(2, "1_2") == [2]

    @ensureDeferred
    async def test_what_went_stays_away_when_the_store_is_opened_again(self, subject: Subject) -> None:
        await send_apart(subject, 10, 1, to=2)
        await drop(subject, "1_2", 6)
        await subject.reopen()
        assert await subject.pulled(2, "1_2") == [7, 8, 9, 10]
        assert (await subject.view(2, "1_2")).init_seq == 6

    @ensureDeferred
    async def test_one_step_stays_short_where_many_have_not_got_the_messages(self, subject: Subject) -> None:
        group = await subject.group(1, *range(2, 121))
        await subject.send_many(400, 1, group=group)
        dropped = await drop_all(subject, group)
        assert sum(dropped) == 401
        assert max(dropped) < 120
        assert rows(subject, "x_inbox") == []

    @ensureDeferred
    async def test_one_step_stays_short_where_messages_are_large(self, subject: Subject) -> None:
        await subject.send_many(40, 1, to=2, text="x" * 60_000)
        dropped = await drop_all(subject, "1_2")
        assert sum(dropped) == 40
        assert max(dropped) < 20


class TestAgedGroups:
    @ensureDeferred
    async def test_those_with_an_old_message_are_found_page_by_page(self, subject: Subject) -> None:
        for peer in (2, 2, 3, 4, 5, 6):
            await subject.send(1, to=peer)
        subject.time.ms += 1000
        for peer in (3, 6, 7):
            await subject.send(1, to=peer)
        for group_id in ("1_2", "1_3"):
            await subject.store.drop_messages(group_id, START + 1, 1)
        found, pages, cursor = [], 0, ""
        while True:
            page: AgedGroups = await subject.store.aged_groups(cursor, START + 1, 2)
            found += page.group_ids
            pages += 1
            cursor = page.cursor
            if not cursor:
                break
        assert found == ["1_2", "1_4", "1_5", "1_6"]
        assert pages == 4  # of seven groups: the broadcast stream is one

    @ensureDeferred
    async def test_a_group_in_which_nothing_is_left_is_not_found(self, subject: Subject) -> None:
        await subject.send(1, to=2)
        await drop_all(subject, "1_2")
        assert await subject.store.aged_groups("", START + 10_000, 500) == AgedGroups([], "")


class TestViews:
    @ensureDeferred
    async def test_init_seq_is_never_below_the_last_message_that_went(self, subject: Subject) -> None:
        await send_apart(subject, 10, 1, to=2)
        await drop(subject, "1_2", 6)
        for uid in (1, 2):
            assert (await subject.view(uid, "1_2")).init_seq == 6
            assert (await listed(subject, uid))["1_2"].init_seq == 6

    @ensureDeferred
    async def test_an_own_init_seq_that_is_higher_stays(self, subject: Subject) -> None:
        await send_apart(subject, 10, 1, to=2)
        await subject.store.clear(2, "1_2", 8)
        await drop(subject, "1_2", 6)
        assert (await subject.view(2, "1_2")).init_seq == 8
        assert await subject.pulled(2, "1_2") == [9, 10]

    @ensureDeferred
    async def test_a_list_of_what_changed_tells_of_it(self, subject: Subject) -> None:
        await send_apart(subject, 10, 1, to=2)
        await subject.read(2, "1_2", 10)
        subject.time.ms += 10_000
        since = subject.time.ms
        assert await listed(subject, 2, since) == {}
        await drop(subject, "1_2", 9)
        assert (await listed(subject, 2, since))["1_2"].init_seq == 9

    @ensureDeferred
    async def test_it_moves_no_conversation_up_in_the_list(self, subject: Subject) -> None:
        await send_apart(subject, 3, 1, to=2)
        await send_apart(subject, 3, 1, to=3)
        await drop(subject, "1_2", 2)
        assert list(await listed(subject, 1)) == ["1_3", "1_2"]

    @ensureDeferred
    async def test_pages_of_history_end_at_the_oldest_that_is_left(self, subject: Subject) -> None:
        await send_apart(subject, 10, 1, to=2)
        await drop(subject, "1_2", 6)
        for page_size, has_more in ((3, True), (4, False), (5, False)):
            assert (await subject.pull(2, "1_2", page_size=page_size)).has_more == has_more
        for after, before in ((0, 7), (0, 3), (3, 5)):
            page = await subject.pull(2, "1_2", after, before)
            assert (list(page.messages), page.has_more) == ([], False)

    @ensureDeferred
    async def test_a_conversation_in_which_nothing_is_left_has_no_last_message(self, subject: Subject) -> None:
        await send_apart(subject, 3, 1, to=2)
        await drop_all(subject, "1_2")
        view = await subject.view(2, "1_2")
        assert (view.max_seq, view.init_seq, view.unread, view.HasField("last_message")) == (3, 3, 0, False)

    @ensureDeferred
    async def test_who_has_left_loses_the_old_messages_too(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        await send_apart(subject, 3, 1, group=group)
        subject.time.ms += 1000
        await subject.quit(group, 2)
        await send_apart(subject, 3, 1, group=group)
        await drop(subject, group, 1)
        assert await subject.pulled(2, group) == [3, 4, 5]
        await drop(subject, group, 5)
        assert await subject.pulled(2, group) == []
        assert await subject.pulled(1, group) == [7, 8]
        view = await subject.view(2, group)
        assert (view.max_seq, view.receive_seq, view.unread, view.is_quit) == (5, 5, 0, 1)
        assert {uid for uid, _, _ in rows(subject, "x_inbox")} == {3}

    @ensureDeferred
    async def test_the_newest_mention_is_forgotten_with_its_message(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        subject.time.ms += 1000
        await subject.send(1, group=group, at_uids=[2, 3])
        subject.time.ms += 1000
        await subject.send(1, group=group, at_uids=[3])
        await drop(subject, group, 1)
        assert [(await subject.view(uid, group)).at_seq for uid in (2, 3)] == [0, 3]


class TestUnread:
    @pytest.mark.parametrize("limit", [3, 500])
    @ensureDeferred
    async def test_only_what_is_left_is_unread(self, subject: Subject, limit: int) -> None:
        await send_apart(subject, 3, 1, to=2)
        await send_apart(subject, 1, 1, to=2, whether_non_count=1)
        await send_apart(subject, 1, 2, to=1)
        await send_apart(subject, 1, 1, to=2, msg_id="revoked")
        await send_apart(subject, 5, 1, to=2)
        await subject.store.hide(2, "1_2", [2, 7, 10])
        await subject.read(2, "1_2", 3)
        await subject.store.revoke("1_2", "revoked", 1, subject.new_id(), lambda _: None)
        assert (await subject.view(2, "1_2")).unread == 3  # 8, 9 and 11
        while await drop(subject, "1_2", 8, limit):
            assert (await subject.view(2, "1_2")).unread in (2, 3)
        assert (await subject.view(2, "1_2")).unread == 2
        assert (await subject.view(1, "1_2")).unread == 0  # what 2 said is gone
        await subject.send(1, to=2)
        assert (await subject.view(2, "1_2")).unread == 3
        await subject.read(2, "1_2", 100)
        assert (await subject.view(2, "1_2")).unread == 0

    @ensureDeferred
    async def test_what_was_cleared_before_it_went_is_not_counted_again(self, subject: Subject) -> None:
        await send_apart(subject, 10, 1, to=2)
        await subject.store.clear(2, "1_2", 4)
        await drop(subject, "1_2", 6)
        assert (await subject.view(2, "1_2")).unread == 4


class TestInboxes:
    @ensureDeferred
    async def test_what_goes_leaves_the_inboxes(self, subject: Subject) -> None:
        await send_apart(subject, 10, 1, to=2)
        await subject.ack(2, "1_2", (3, 4))
        await drop(subject, "1_2", 6)
        assert rows(subject, "x_inbox") == [(2, "1_2", seq_id) for seq_id in (7, 8, 9, 10)]
        assert (await subject.view(2, "1_2")).receive_seq == 6
        await subject.ack(2, "1_2", (1, 10))
        assert (await subject.view(2, "1_2")).receive_seq == 10

    @ensureDeferred
    async def test_who_has_everything_keeps_their_watermark(self, subject: Subject) -> None:
        await send_apart(subject, 10, 1, to=2)
        await subject.ack(2, "1_2", (1, 10))
        await drop(subject, "1_2", 6)
        assert (await subject.view(2, "1_2")).receive_seq == 10

    @ensureDeferred
    async def test_what_users_deleted_for_themselves_is_forgotten_with_it(self, subject: Subject) -> None:
        await send_apart(subject, 10, 1, to=2)
        for uid in (1, 2):
            await subject.store.hide(uid, "1_2", [2, 6, 7])
        await drop(subject, "1_2", 6)
        assert rows(subject, "x_hidden") == [(1, "1_2", 7), (2, "1_2", 7)]
        assert (await subject.view(2, "1_2")).unread == 3


class TestBroadcasts:
    @ensureDeferred
    async def test_old_ones_go_for_everybody(self, subject: Subject) -> None:
        for uid in (5, 6):
            await subject.store.remember_user(uid, "")
        await broadcast(subject, 10)
        await subject.store.hide(6, SYSTEM_GROUP, [2, 8])
        assert await drop(subject, SYSTEM_GROUP, 6) == 6
        assert await subject.pulled(5, SYSTEM_GROUP) == await subject.pulled(6, SYSTEM_GROUP) == [7, 8, 9, 10]
        views = [await subject.view(uid, SYSTEM_GROUP) for uid in (5, 6)]
        assert [(view.init_seq, view.unread) for view in views] == [(6, 4), (6, 3)]

    @ensureDeferred
    async def test_no_user_has_a_row_written_for_it(self, subject: Subject) -> None:
        await subject.store.remember_user(5, "")
        await broadcast(subject, 3)
        query = "SELECT * FROM x_conversation WHERE uid = 5"
        with subject.store._database.engine.connect() as connection:
            before = connection.exec_driver_sql(query).all()
        assert await drop_all(subject, SYSTEM_GROUP) == [3]
        with subject.store._database.engine.connect() as connection:
            assert connection.exec_driver_sql(query).all() == before
        assert (await listed(subject, 5, subject.time.ms))[SYSTEM_GROUP].unread == 0


class Counting:
    """A store that counts the steps in which something was dropped."""

    def __init__(self, store: Any) -> None:
        self.aged_groups = store.aged_groups
        self.ended = 0
        self._store = store

    async def drop_messages(self, group_id: str, before: int, limit: int) -> int:
        dropped: int = await self._store.drop_messages(group_id, before, limit)
        self.ended += dropped > 0
        return dropped


@ensureDeferred
async def test_a_send_during_a_long_retention_waits_for_one_step_at_most(subject: Subject) -> None:
    group = await subject.group(1, 2, 3)
    await subject.send_many(900, 1, group=group)
    subject.time.ms += 1000
    store = Counting(subject.store)
    now = subject.time.now
    retention = Retention(reactor, store, now, max_age_ms=1, step=10, pause=0.0, factor=0.0)
    retention.start()
    sends = 0
    while await subject.pulled(2, group, page_size=1):
        before = store.ended
        await subject.send(1, to=9)
        assert store.ended - before <= 1
        sends += 1
    retention.stop()
    assert store.ended == 91
    assert sends > 20
