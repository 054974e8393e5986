"""IRetentionStore against a plain model: whatever users do between droppings, they see what the rules say."""

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

from imd.wire.bodies import ImGroup

from .subject import Subject, single
from .test_store_retention import listed, rows

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
