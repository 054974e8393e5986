"""IRetentionStore: what is too old goes, and everything else stays as the rules say (rules 3 and 6 to 9)."""

from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread, deferToThread

from imd.logic.retention import Retention
from imd.ports.retention import AgedGroups
from imd.wire.bodies import ImGroup
from imd.wire.enums import SYSTEM_GROUP, GroupType

from .subject import START, Subject, single


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
    with subject.store._engine.connect() as connection:
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
        with subject.store._engine.connect() as connection:
            before = connection.exec_driver_sql(query).all()
        assert await drop_all(subject, SYSTEM_GROUP) == [3]
        with subject.store._engine.connect() as connection:
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


KINDS = ("send", "send", "send", "read", "ack", "hide", "clear", "revoke", "quit", "invite", "drop", "drop")


@dataclass(frozen=True)
class Step:
    """What a user does in the single chat of 1 and 2 or in the group, from one tenth of it to the other."""

    kind: str
    uid: int
    is_single: bool
    low: int
    high: int


steps = st.builds(
    Step, st.sampled_from(KINDS), st.integers(1, 3), st.booleans(), st.integers(0, 10), st.integers(0, 10)
)


@dataclass
class Message:
    msg_id: str
    sender: int
    counts: bool
    at: int
    time: int
    is_revoked: bool = False


@dataclass
class Conversation:
    init_seq: int = 0
    read_seq: int = 0
    receive_seq: int = 0
    frozen_at: int | None = None
    inbox: set[int] = field(default_factory=set)
    hidden: set[int] = field(default_factory=set)


class Stream:
    """A group as the rules say, as simply as it can be said: what is unread is counted row by row."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.conversations: dict[int, Conversation] = {}
        self.floor_seq = 0

    def say(self, message: Message) -> None:
        self.messages.append(message)
        for uid, mine in self.conversations.items():
            if uid != message.sender and mine.frozen_at is None:
                mine.inbox.add(len(self.messages))

    def end(self, uid: int) -> int:
        frozen_at = self.conversations[uid].frozen_at
        return len(self.messages) if frozen_at is None else frozen_at

    def clear_inbox(self, uid: int, low: int, high: int) -> None:
        mine = self.conversations[uid]
        mine.inbox -= set(range(low, high + 1))
        received = min(mine.inbox) - 1 if mine.inbox else self.end(uid)
        mine.receive_seq = max(mine.receive_seq, received)

    def drop(self, before: int, limit: int) -> int:
        old = [seq for seq, message in enumerate(self.messages, 1) if message.time < before and seq > self.floor_seq]
        for seq_id in old[:limit]:
            self.floor_seq = seq_id
        for uid, mine in self.conversations.items():
            if mine.receive_seq < min(self.floor_seq, self.end(uid)):
                self.clear_inbox(uid, 0, self.floor_seq)
        return len(old[:limit])

    def begins_after(self, uid: int) -> int:
        return max(self.conversations[uid].init_seq, self.floor_seq)

    def unread(self, uid: int) -> list[tuple[int, Message]]:
        """Return what is unread, whether it counts or not."""
        mine = self.conversations[uid]
        if mine.frozen_at is not None:
            return []
        mark = max(mine.read_seq, self.begins_after(uid))
        return [
            (seq, message)
            for seq, message in enumerate(self.messages, 1)
            if seq > mark and message.sender != uid and not message.is_revoked and seq not in mine.hidden
        ]


class History:
    """One history, told to the store and to the model; its uids are its own."""

    def __init__(self, subject: Subject, base: int) -> None:
        self.subject = subject
        self.base = base
        self.single = single(base + 1, base + 2)
        self.group = f"g{base}"
        self.streams = {self.single: Stream(), self.group: Stream()}

    async def run(self, history: list[Step]) -> None:
        """Tell it step by step, and compare what every user sees in the end and after each dropping."""
        members = [self.base + number for number in (1, 2, 3)]
        self.streams[self.group].conversations = {uid: Conversation() for uid in members}
        await self.subject.group(*members, group_id=self.group)
        self.say(self.group, members[0])
        for step in history:
            self.subject.time.ms += 1
            await self.tell(step)
            if step.kind == "drop":
                await self.compare()
        await self.compare()

    def say(self, group_id: str, sender: int, *, msg_id: str = "", counts: bool = False, at: int = 0) -> None:
        self.streams[group_id].say(Message(msg_id, sender, counts, at, self.subject.time.ms))

    async def tell(self, step: Step) -> None:
        """Tell one step, where it means anything."""
        uid = self.base + (step.uid - 1) % 2 + 1 if step.is_single else self.base + step.uid
        group_id = self.single if step.is_single else self.group
        if step.kind == "send":
            await self.send(step, uid, group_id)
        elif step.kind == "drop":
            await self.drop(step, group_id)
        elif uid in self.streams[group_id].conversations:
            await getattr(self, step.kind)(step, uid, group_id)

    async def send(self, step: Step, uid: int, group_id: str) -> None:
        """Send some messages, of which some do not count; in the group they mention somebody."""
        stream = self.streams[group_id]
        if step.is_single:
            for user in (1, 2):
                stream.conversations.setdefault(self.base + user, Conversation())
        elif stream.conversations[uid].frozen_at is not None:
            return
        to = {"to": 2 * self.base + 3 - uid} if step.is_single else {"group": group_id}
        for number in range(step.low % 4 + 1):
            counts, at = (step.high + number) % 4 > 0, 0 if step.is_single else self.base + step.high
            at_uids = [at] if at else []
            sent = await self.subject.send(uid, **to, whether_non_count=int(not counts), at_uids=at_uids)
            self.say(group_id, uid, msg_id=sent.message.msg_id, counts=counts, at=at)

    async def drop(self, step: Step, group_id: str) -> None:
        stream = self.streams[group_id]
        seq_id = step.high * len(stream.messages) // 10
        before = stream.messages[seq_id - 1].time if seq_id else 0
        dropped = await self.subject.store.drop_messages(group_id, before, step.low + 1)
        assert dropped == stream.drop(before, step.low + 1)

    async def read(self, step: Step, uid: int, group_id: str) -> None:
        stream = self.streams[group_id]
        mark, mine = step.high * stream.end(uid) // 10, stream.conversations[uid]
        await self.subject.read(uid, group_id, mark)
        if mark > mine.read_seq:
            mine.read_seq = mark
            stream.clear_inbox(uid, 0, mark)

    async def ack(self, step: Step, uid: int, group_id: str) -> None:
        stream = self.streams[group_id]
        low, high = (tenth * stream.end(uid) // 10 for tenth in (step.low, step.high))
        await self.subject.ack(uid, group_id, (low, high))
        stream.clear_inbox(uid, low, high)

    async def hide(self, step: Step, uid: int, group_id: str) -> None:
        stream = self.streams[group_id]
        seq_ids = {tenth * stream.end(uid) // 10 for tenth in (step.low, step.high)} - {0}
        if seq_ids:
            await self.subject.store.hide(uid, group_id, sorted(seq_ids))
        mine = stream.conversations[uid]
        for seq_id in seq_ids - mine.hidden:
            if seq_id > stream.begins_after(uid):
                mine.hidden.add(seq_id)
                stream.clear_inbox(uid, seq_id, seq_id)

    async def clear(self, step: Step, uid: int, group_id: str) -> None:
        stream = self.streams[group_id]
        mark, mine = step.low * stream.end(uid) // 10, stream.conversations[uid]
        await self.subject.store.clear(uid, group_id, mark)
        if mark > mine.init_seq:
            mine.init_seq = mark
            stream.clear_inbox(uid, 0, mark)

    async def revoke(self, step: Step, uid: int, group_id: str) -> None:
        stream = self.streams[group_id]
        seq_id = step.high * stream.end(uid) // 10
        if stream.conversations[uid].frozen_at is None and seq_id > stream.begins_after(uid):
            message = stream.messages[seq_id - 1]
            if message.msg_id and not message.is_revoked:
                await self.subject.store.revoke(group_id, message.msg_id, uid, self.subject.new_id(), lambda _: None)
                message.is_revoked = True
                self.say(group_id, uid)

    async def quit(self, step: Step, uid: int, group_id: str) -> None:
        stream = self.streams[group_id]
        if not step.is_single and step.uid > 1 and stream.conversations[uid].frozen_at is None:
            await self.subject.quit(group_id, uid)
            self.say(group_id, uid)
            stream.conversations[uid].frozen_at = len(stream.messages)

    async def invite(self, step: Step, uid: int, group_id: str) -> None:
        stream = self.streams[group_id]
        if not step.is_single and stream.conversations[uid].frozen_at is not None:
            await self.subject.invite(group_id, self.base + 1, uid)
            before = len(stream.messages)
            hidden = stream.conversations[uid].hidden
            stream.conversations[uid] = Conversation(before, before, before, hidden=hidden)
            self.say(group_id, self.base + 1)

    async def compare(self) -> None:
        for uid in (self.base + number for number in (1, 2, 3)):
            views = await listed(self.subject, uid)
            assert set(views) == {group for group, stream in self.streams.items() if uid in stream.conversations}
            for group_id, view in views.items():
                await self.compare_view(uid, view, self.streams[group_id])

    async def compare_view(self, uid: int, view: ImGroup, stream: Stream) -> None:
        mine, end, begins_after = stream.conversations[uid], stream.end(uid), stream.begins_after(uid)
        unread = stream.unread(uid)
        assert (view.max_seq, view.read_seq, view.receive_seq) == (end, mine.read_seq, mine.receive_seq)
        assert view.unread == sum(message.counts for _, message in unread)
        assert view.init_seq == min(begins_after, end) or mine.frozen_at is not None
        if mine.frozen_at is None:
            assert view.at_seq == max([seq for seq, message in unread if message.at == uid], default=0)
        left = range(begins_after + 1, end + 1)
        assert view.last_message.seq_id == max([seq for seq in left if seq not in mine.hidden], default=0)
        page = await self.subject.pull(uid, view.group_id)
        assert [message.seq_id for message in page.messages] == list(left)
        assert {message.seq_id for message in page.messages if message.msg_status == 1} == mine.hidden & set(left)
        inbox = sorted(seq for seq in mine.inbox if seq > stream.floor_seq)
        assert await self.subject.inbox_of(uid, view.group_id) == inbox
        stored = [row[2] for row in rows(self.subject, "x_inbox") if row[:2] == (uid, view.group_id)]
        assert stored == inbox


@ensureDeferred
@pytest.mark.timeout(300)
async def test_any_history_with_droppings_gives_what_the_rules_say(subject: Subject) -> None:
    bases: Iterator[int] = count(1000, 1000)

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(steps, min_size=30, max_size=50))
    def check(history: list[Step]) -> None:
        run: Coroutine[Any, Any, None] = History(subject, next(bases)).run(history)
        blockingCallFromThread(reactor, Deferred.fromCoroutine, run)

    # Hypothesis wants a plain function, which may wait for the reactor only in a thread of its own.
    await deferToThread(check)
