"""IMessageStore against a plain model: any history of sends, ACKs, pulls, joins and quits gives what the rules say."""

import itertools
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread, deferToThread

from imd.errors import ConflictError, NotInGroupError, RefusedError
from imd.ports import Group, GroupChange, InboxAck, Stored, Submission

from .subject import Outcome, Subject, single

MEMBERS = (1, 2, 3, 4)
"""The users of a history; 1 owns its group, in which 2 is from the start."""


@dataclass(frozen=True)
class Send:
    """``peer`` 0 means the group. ``msg_id`` and ``text`` are few, so that some are repeats and some are conflicts."""

    sender: int
    peer: int
    msg_id: int
    text: str
    counts: bool


@dataclass(frozen=True)
class Ack:
    uid: int
    peer: int
    low: int
    high: int


@dataclass(frozen=True)
class Invite:
    by: int
    uid: int


@dataclass(frozen=True)
class Quit:
    uid: int


uids = st.sampled_from(MEMBERS)
sends = st.builds(
    Send, uids, st.sampled_from((0, 0, *MEMBERS)), st.integers(1, 12), st.sampled_from("aab"), st.booleans()
)
acks = st.builds(Ack, uids, st.sampled_from((0, 0, *MEMBERS)), st.integers(0, 8), st.integers(0, 12))
changes = st.builds(Invite, uids, uids) | st.builds(Quit, uids)
turns = st.lists(sends | sends | acks | changes, min_size=1, max_size=6)
histories = st.lists(turns, min_size=1, max_size=8)


@dataclass
class Message:
    sender: int
    msg_id: str
    text: str
    counts: bool


@dataclass
class Conversation:
    init_seq: int = 0
    receive_seq: int = 0
    frozen_at: int | None = None
    inbox: set[int] = field(default_factory=set)


class Model:
    """What the rules say, as simply as it can be said."""

    def __init__(self, group_id: str, first: int, members: set[int]) -> None:
        self.messages: dict[str, list[Message]] = {group_id: []}
        self.conversations: dict[tuple[int, str], Conversation] = {}
        self.group_id = group_id
        self.members = set(members)
        for uid in members:
            self.conversations[uid, group_id] = Conversation()
        self._say(group_id, Message(first, "", "", False), members - {first})

    def send(self, sender: int, peer: int, group_id: str, message: Message) -> int | type[RefusedError]:
        """Return the seq of a message, or what it is refused with."""
        taken = [
            (seq, old) for seq, old in enumerate(self.messages.get(group_id, ()), 1) if old.msg_id == message.msg_id
        ]
        for seq_id, old in taken:
            if old == message:
                return seq_id
        if not peer and sender not in self.members:
            return NotInGroupError
        if taken:
            return ConflictError
        if peer:
            for uid in (sender, peer):
                self.conversations.setdefault((uid, group_id), Conversation())
        return self._say(group_id, message, ({peer} if peer else self.members) - {sender})

    def ack(self, uid: int, group_id: str, low: int, high: int) -> None:
        conversation = self.conversations.get((uid, group_id))
        if conversation is not None:
            conversation.inbox -= set(range(low, high + 1))
            out = min(conversation.inbox) - 1 if conversation.inbox else self.max_seq(uid, group_id)
            conversation.receive_seq = max(conversation.receive_seq, out)

    def invite(self, by: int, uid: int) -> None:
        if by in self.members and uid not in self.members:
            self.members.add(uid)
            seq_id = self._say(self.group_id, Message(by, "", "", False), self.members - {by, uid})
            self.conversations[uid, self.group_id] = Conversation(seq_id - 1, seq_id - 1, None, {seq_id})

    def quit(self, uid: int) -> None:
        if uid in self.members and len(self.members) > 1:
            seq_id = self._say(self.group_id, Message(uid, "", "", False), self.members - {uid})
            self.members.discard(uid)
            self.conversations[uid, self.group_id].frozen_at = seq_id

    def max_seq(self, uid: int, group_id: str) -> int:
        frozen_at = self.conversations[uid, group_id].frozen_at
        return len(self.messages[group_id]) if frozen_at is None else frozen_at

    def unread(self, uid: int, group_id: str) -> int:
        conversation = self.conversations[uid, group_id]
        if conversation.frozen_at is not None:
            return 0
        seen = self.messages[group_id][conversation.init_seq :]
        return sum(message.counts and message.sender != uid for message in seen)

    def _say(self, group_id: str, message: Message, receivers: set[int]) -> int:
        stream = self.messages.setdefault(group_id, [])
        stream.append(message)
        for uid in receivers:
            self.conversations[uid, group_id].inbox.add(len(stream))
        return len(stream)


class History:
    """One history, told to the store and to the model; its uids are its own."""

    def __init__(self, subject: Subject, base: int) -> None:
        self.subject = subject
        self.base = base
        self.group_id = f"g{base}"
        self.model = Model(self.group_id, base + 1, {base + 1, base + 2})

    async def run(self, history: list[list[Any]]) -> None:
        """Tell it turn by turn, each of which is one batch, and compare what comes of it."""
        await self.subject.group(self.base + 1, self.base + 2, group_id=self.group_id)
        for turn in history:
            told = [self.tell(step) for step in turn]
            await self.subject.settle()
            for outcome, expected in told:
                if outcome is not None:
                    assert came_of(await outcome) == expected
            await self.compare()

    def tell(self, step: Any) -> tuple[Deferred[Outcome] | None, int | type[RefusedError] | None]:
        """Tell one step; return what the store will say, and what the model says."""
        match step:
            case Send():
                submission = self.message(step)
                message = Message(submission.message.sender_id, str(step.msg_id), step.text, step.counts)
                peer = self.base + step.peer if step.peer else 0
                expected = self.model.send(message.sender, peer, submission.message.group_id, message)
                return self.subject.put(submission), expected
            case Ack():
                uid, group_id = self.base + step.uid, self.where(step.uid, step.peer)
                self.subject.store.acknowledge([InboxAck(uid, group_id, step.low, step.high)])
                self.model.ack(uid, group_id, step.low, step.high)
            case Invite():
                self.change(self.base + step.by, self.base + step.uid, "invite")
                self.model.invite(self.base + step.by, self.base + step.uid)
            case Quit():
                self.change(self.base + step.uid, self.base + step.uid, "quit")
                self.model.quit(self.base + step.uid)
        return None, None

    def message(self, step: Send) -> Submission:
        """Return the message of a step."""
        return self.subject.message(
            self.base + step.sender,
            to=self.base + step.peer if step.peer else 0,
            group=self.group_id,
            msg_id=str(step.msg_id),
            text=step.text,
            whether_non_count=int(not step.counts),
        )

    def where(self, uid: int, peer: int) -> str:
        return single(self.base + uid, self.base + peer) if peer else self.group_id

    def change(self, by: int, uid: int, op: str) -> None:
        """Bring ``uid`` in, or let them leave, where that is possible."""

        def decide(group: Group) -> GroupChange | None:
            members = set(group.members)
            if op == "invite" and by in members and uid not in members:
                return GroupChange(op=op, uids=(uid,), join=(uid,))
            if op == "quit" and uid in members and len(members) > 1:
                return GroupChange(op=op, uids=(uid,), leave={uid: 1})
            return None

        self.subject.change(self.group_id, by, decide).addErrback(lambda failure: failure.trap(NotInGroupError))

    async def compare(self) -> None:
        """Compare what every user sees with what the model says."""
        for uid in (self.base + member for member in MEMBERS):
            mine = {group: found for (user, group), found in self.model.conversations.items() if user == uid}
            page = await self.subject.store.conversations(uid, "", 100, 0)
            views = {view.group_id: view for view in page.groups}
            assert set(views) == set(mine)
            inbox = await self.subject.inbox(uid)
            assert inbox == sorted((group, seq) for group, found in mine.items() for seq in found.inbox)
            for group_id, found in mine.items():
                view = views[group_id]
                assert (view.max_seq, view.init_seq, view.receive_seq, view.unread, view.is_quit) == (
                    self.model.max_seq(uid, group_id),
                    found.init_seq,
                    found.receive_seq,
                    self.model.unread(uid, group_id),
                    int(found.frozen_at is not None),
                )
                if view.group_type == 2:
                    assert view.member_count == len(self.model.members)
                assert view.last_message.seq_id == view.max_seq
                pulled = [seq_id async for seq_id in self.pages(uid, group_id)]
                assert pulled == list(range(view.max_seq, view.init_seq, -1))

    async def pages(self, uid: int, group_id: str) -> Any:
        """Yield all seqs of a conversation, newest first, from small pages."""
        before = 0
        while True:
            page = await self.subject.pull(uid, group_id, before=before, page_size=3)
            for message in reversed(page.messages):
                yield message.seq_id
            if not page.has_more:
                return
            before = page.messages[0].seq_id


def came_of(outcome: Outcome) -> int | type[RefusedError]:
    return outcome.message.seq_id if isinstance(outcome, Stored) else type(outcome)


@ensureDeferred
async def test_any_history_gives_what_the_rules_say(subject: Subject) -> None:
    bases: Iterator[int] = itertools.count(1000, 1000)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(histories)
    def check(history: list[list[Any]]) -> None:
        run: Coroutine[Any, Any, None] = History(subject, next(bases)).run(history)
        blockingCallFromThread(reactor, Deferred.fromCoroutine, run)

    # Hypothesis wants a plain function, which may wait for the reactor only in a thread of its own.
    await deferToThread(check)
