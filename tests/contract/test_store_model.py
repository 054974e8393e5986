"""Every store against a plain model: any history gives what the rules say, in every list and in every inbox."""

import itertools
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.python.failure import Failure

from imd.errors import NotInGroupError, RefusedError
from imd.ports.groups import Group, GroupChange
from imd.ports.messages import InboxAck, Raised, ReadMark, Stored
from imd.storage import unread
from imd.wire.bodies import ImGroup, ImMsg

from .model import Message, Model, Watermark
from .subject import Subject, single

MEMBERS = (1, 2, 3)
"""The users of a history, in whose group all of them are at first; 1 owns it."""


@dataclass(frozen=True)
class Step:
    """What ``uid`` does, in the single chat with ``peer`` or, where that is 0, in the group.

    Seqs are told by how far they lie ``back`` from the end of what the user sees; -1 is past it.
    """

    uid: int
    peer: int


@dataclass(frozen=True)
class Send(Step):
    """Some are repeats, since what goes with an id is the same; some, by their text or their sender, conflicts."""

    number: int
    text: str

    @property
    def msg_id(self) -> str:
        return f"{self.number}" if self.number < 3 else f"{self.uid}.{self.number}"

    @property
    def counts(self) -> bool:
        return self.number % 4 > 0

    @property
    def at(self) -> tuple[int, ...]:
        return ((), (), (1,), (2, 3), (0,), (1, 2))[self.number % 6]


@dataclass(frozen=True)
class Ack(Step):
    back: int
    length: int


@dataclass(frozen=True)
class Read(Step):
    back: int


@dataclass(frozen=True)
class Revoke(Step):
    """``back`` counts the messages that are no control messages."""

    back: int


@dataclass(frozen=True)
class Hide(Step):
    back: list[int]


@dataclass(frozen=True)
class Clear(Step):
    back: int


@dataclass(frozen=True)
class Invite(Step):
    """``peer`` is who comes in."""


@dataclass(frozen=True)
class Quit(Step):
    """Of the group, whatever ``peer`` is."""


uids = st.sampled_from(MEMBERS)
peers = st.sampled_from((*[0] * 7, *MEMBERS))
backs = st.sampled_from((0, 0, 1, 1, 2, 3, 4, 6, -1))
sends = st.builds(Send, uids, peers, st.integers(1, 12), st.sampled_from("aaaaab"))
acks = st.builds(Ack, uids, peers, backs, st.sampled_from((1, 2, 99)))
reads = st.builds(Read, uids, peers, backs)
revokes = st.builds(Revoke, uids, peers, backs)
hides = st.builds(Hide, uids, peers, st.lists(backs, min_size=1, max_size=3))
clears = st.builds(Clear, uids, peers, st.sampled_from((-1, 0, 2, 4, 6, 8)))
invites, quits = st.builds(Invite, uids, uids), st.builds(Quit, uids, uids)
kinds = (*[sends] * 10, acks, reads, reads, revokes, revokes, hides, hides, clears, invites, quits)
steps = st.sampled_from(kinds).flatmap(lambda kind: kind)  # of one_of equal ones count once
histories = st.lists(st.lists(steps, min_size=4, max_size=9), min_size=4, max_size=7)


class History:
    """One history, told to the store and to the model; its uids are its own.

    A turn is one batch, unless its steps are told ``one_by_one``.
    """

    def __init__(self, subject: Subject, base: int, *, one_by_one: bool) -> None:
        self.subject = subject
        self.base = base
        self.one_by_one = one_by_one
        self.group_id = f"g{base}"
        self.model = Model(self.group_id, base + 1, set(self.everybody()))
        self.shown: dict[tuple[int, str], ImGroup] = {}

    async def run(self, history: list[list[Step]]) -> None:
        """Tell it turn by turn, and compare what comes of it and what everybody sees then."""
        await self.subject.group(*self.everybody(), group_id=self.group_id)
        for turn in ([], *history):
            told: list[tuple[Step, Deferred[Any], Any]] = []
            for step in turn:
                told.append((step, *self.tell(step)))
                if self.one_by_one:
                    await self.subject.settle()
                    await self.came_of(*told.pop())
            await self.subject.settle()
            for one in told:
                await self.came_of(*one)
            for uid in self.everybody():
                await self.compare(uid)
            self.model.turn += 1
            self.subject.time.ms += 10
        for uid, group_id in self.model.conversations:
            await self.compare_history(uid, group_id)

    def everybody(self) -> list[int]:
        return [self.base + member for member in MEMBERS]

    def tell(self, step: Step) -> tuple[Deferred[Any], Any]:
        """Tell one step; return what the store says, and what the model says."""
        store, model = self.subject.store, self.model
        uid, peer = self.base + step.uid, self.base + step.peer if step.peer else 0
        group_id = single(uid, peer) if peer else self.group_id
        end = model.max_seq(uid, group_id) if (uid, group_id) in model.conversations else 0
        match step:
            case Send():
                at = tuple(self.base + member if member else 0 for member in step.at)
                submission = self.subject.message(
                    uid,
                    to=peer,
                    group=self.group_id,
                    msg_id=step.msg_id,
                    text=step.text,
                    whether_non_count=int(not step.counts),
                    at_uids=at,
                )
                message = Message(uid, step.msg_id, step.text, step.counts, at)
                return self.subject.put(submission), model.send(uid, peer, group_id, message)
            case Ack(back=back, length=length):
                low, high = max(0, end - back - length), max(0, end - back)
                raised = self.did(store.raise_watermarks([InboxAck(uid, group_id, low, high)], []))
                return raised, (model.ack(uid, group_id, low, high), set())
            case Read(back=back):
                raised = self.did(store.raise_watermarks([], [ReadMark(uid, group_id, max(0, end - back))]))
                watermarks = model.read(uid, group_id, end - back)
                return raised, (watermarks or [], {(uid, group_id)} if watermarks is None else set())
            case Revoke(back=back):
                msg_id = model.msg_id(group_id, back)
                revoked = store.revoke(group_id, msg_id, uid, self.subject.new_id(), lambda _: None)
                return self.did(revoked), model.revoke(uid, group_id, msg_id)
            case Hide(back=backs):
                seq_ids = [max(1, end - back) for back in backs]
                return self.did(store.hide(uid, group_id, seq_ids)), model.hide(uid, group_id, seq_ids)
            case Clear(back=back):
                init_seq = max(0, end - back)
                return self.did(store.clear(uid, group_id, init_seq)), model.clear(uid, group_id, init_seq)
            case Invite():
                model.invite(uid, peer)
                return self.change(uid, peer, "invite"), None
            case _:
                model.quit(uid)
                return self.change(uid, uid, "quit"), None

    def did(self, change: Coroutine[Any, Any, Any]) -> Deferred[Any]:
        return Deferred.fromCoroutine(change).addErrback(refusal)

    def change(self, by: int, uid: int, op: str) -> Deferred[Any]:
        """Bring ``uid`` in, or let them leave, where that is possible."""

        def decide(group: Group) -> GroupChange | None:
            members = set(group.members)
            if op == "invite" and by in members and uid not in members:
                return GroupChange(op=op, uids=(uid,), join=(uid,))
            if op == "quit" and uid in members and len(members) > 1:
                return GroupChange(op=op, uids=(uid,), leave={uid: 1})
            return None

        changed = self.subject.change(self.group_id, by, decide)
        return changed.addErrback(lambda failure: failure.trap(NotInGroupError)).addCallback(lambda _: None)

    async def came_of(self, step: Step, outcome: Deferred[Any], expected: Any) -> None:
        """Compare what a step came to."""
        match await outcome:
            case Stored(message=message):
                found: Any = message.seq_id
            case RefusedError() as refused:
                found = type(refused)
            case Raised() as raised:
                found = merged(raised), set(raised.strangers)
            case None:
                found = None
            case answer:
                (group,) = answer.groups
                found = [m.seq_id for m in answer.messages] if isinstance(step, Hide) else group.init_seq
        assert found == expected, step

    async def compare(self, uid: int) -> None:
        """Compare all that one user sees in lists, and what their inbox holds."""
        store, mine = self.subject.store, {group for user, group in self.model.conversations if user == uid}
        views = {view.group_id: view for view in (await store.conversations(uid, "", 100, 0)).groups}
        assert set(views) == mine
        assert list((await store.conversations_by_id(uid, list(views))).groups) == list(views.values())
        for group_id, view in views.items():
            self.compare_view(uid, group_id, view)
        counts = {group_id: view.unread for group_id, view in views.items()}
        asked = await store.unread(uid, list(views)) if views else None
        for answer in (asked, await store.unread(uid, [])):
            if answer is not None:
                found = {group.group_id: (group.unread, group.read_seq, group.at_seq) for group in answer.groups}
                shown = {group: (v.unread, v.read_seq, v.at_seq) for group, v in views.items()}
                assert found == {g: said for g, said in shown.items() if answer is asked or counts[g]}
                assert answer.total == sum(counts.values())
        inboxes = {group_id: self.model.conversations[uid, group_id].inbox for group_id in mine}
        assert await self.subject.inbox(uid) == sorted((g, seq_id) for g, inbox in inboxes.items() for seq_id in inbox)
        await self.compare_changes(uid, views)

    def compare_view(self, uid: int, group_id: str, view: ImGroup) -> None:
        model, mine = self.model, self.model.conversations[uid, group_id]
        found = (view.max_seq, view.init_seq, view.read_seq, view.receive_seq, view.unread, view.is_quit)
        assert found == (
            model.max_seq(uid, group_id),
            mine.init_seq,
            mine.read_seq,
            mine.receive_seq,
            model.unread(uid, group_id),
            int(mine.frozen_at is not None),
        )
        if view.group_type == 2:
            assert view.member_count == len(model.members)
        peers = [theirs for (user, group), theirs in model.conversations.items() if group == group_id and user != uid]
        if view.group_type == 1 and peers:
            assert (view.peer_receive_seq, view.peer_read_seq) == (peers[0].receive_seq, peers[0].read_seq)
        if not self.one_by_one:  # who looks back no further than STEP forgets older mentions
            assert view.at_seq == model.at_seq(uid, group_id)
        last = model.last_seq(uid, group_id)
        assert view.last_message.seq_id == last
        if last:
            self.compare_message(uid, group_id, view.last_message)

    async def compare_changes(self, uid: int, views: dict[str, ImGroup]) -> None:
        """Compare what a list since this turn holds: what looks different now, and what was deleted."""
        for view in views.values():
            if view.is_quit:  # who is out is told neither of the group's size nor of what is revoked afterwards
                view.ClearField("member_count")
                view.ClearField("last_message")
        page = await self.subject.store.conversations(uid, "", 100, self.subject.time.ms)
        tombstones = {group_id: self.model.tombstones(uid, group_id) for group_id in views}
        changed = {group_id for group_id, view in views.items() if view != self.shown.get((uid, group_id))}
        changed |= {group_id for group_id, seq_ids in tombstones.items() if seq_ids}
        assert {view.group_id for view in page.groups} == changed
        for group_id, seq_ids in tombstones.items():
            found = [message for message in page.messages if message.group_id == group_id]
            assert [(message.seq_id, message.msg_status) for message in found] == [(seq_id, 1) for seq_id in seq_ids]
        self.shown |= {(uid, group_id): view for group_id, view in views.items()}

    async def compare_history(self, uid: int, group_id: str) -> None:
        """Compare all that one user pulls of a conversation."""
        found = []
        async for message in self.pages(uid, group_id):
            self.compare_message(uid, group_id, message)
            found.append(message.seq_id)
        assert found == [seq_id for seq_id, _ in self.model.seen(uid, group_id)]

    def compare_message(self, uid: int, group_id: str, found: ImMsg) -> None:
        mine = self.model.conversations[uid, group_id]
        wanted = self.model.messages[group_id][found.seq_id - 1]
        if found.seq_id in mine.hidden:
            bare = {"group_id": group_id, "group_type": found.group_type, "seq_id": found.seq_id, "msg_status": 1}
            assert found == ImMsg(**bare)
            return
        status = 0 if wanted.sender == uid else -3 if found.seq_id <= mine.read_seq else -4
        assert (found.sender_id, found.msg_status, found.status) == (wanted.sender, 2 * wanted.is_revoked, status)
        if wanted.msg_id:
            assert found.msg_id == wanted.msg_id
            assert found.msg_body == ("" if wanted.is_revoked else wanted.text)
            assert tuple(found.at_uids) == (() if wanted.is_revoked else wanted.at)

    async def pages(self, uid: int, group_id: str) -> Any:
        """Yield all messages of a conversation, the newest first, from small pages."""
        before = 0
        while True:
            page = await self.subject.pull(uid, group_id, before=before, page_size=4)
            for message in reversed(page.messages):
                yield message
            if not page.has_more:
                return
            before = page.messages[0].seq_id


def refusal(failure: Failure) -> BaseException | None:
    """Return what was refused, as a value."""
    failure.trap(RefusedError)
    return failure.value


def merged(raised: Raised) -> list[Watermark]:
    """Return where the watermarks are in the end, and where they were in the beginning."""
    merged: dict[tuple[int, str], Watermark] = {}
    for found in raised.watermarks:
        key = found.uid, found.group_id
        merged[key] = tuple(found._replace(read_from=merged[key][4] if key in merged else found.read_from))
    return list(merged.values())


@pytest.mark.parametrize("one_by_one", [False, True], ids=["in batches", "in small steps"])
@ensureDeferred
async def test_any_history_gives_what_the_rules_say(
    subject: Subject, one_by_one: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bases: Iterator[int] = itertools.count(1000, 1000)
    if one_by_one:
        monkeypatch.setattr(unread, "STEP", 2)

    @settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
    @given(histories)
    def check(history: list[list[Step]]) -> None:
        run = History(subject, next(bases), one_by_one=one_by_one).run(history)
        blockingCallFromThread(reactor, Deferred.fromCoroutine, run)

    # Hypothesis wants a plain function, which may wait for the reactor only in a thread of its own.
    await deferToThread(check)
