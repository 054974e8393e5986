"""The store under test, in the words of its tests."""

import itertools
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Protocol, cast

from twisted.internet.defer import Deferred

from imd.errors import RefusedError
from imd.ports.delivery import ISession
from imd.ports.groups import Decide, GroupChange, NewGroup
from imd.ports.messages import (
    CheckSend,
    Committed,
    InboxAck,
    MayRevoke,
    Members,
    OverdueCursor,
    Raised,
    ReadMark,
    Stored,
    Submission,
)
from imd.wire.bodies import ImGroup, ImMsg, UserData
from imd.wire.enums import SYSTEM_GROUP

START = 1_763_856_000_000
"""Milliseconds since the epoch."""

NOBODY = cast(ISession, object())
"""Whom a store does not look at: the session that sent a message."""

Outcome = Stored | RefusedError


class Time:
    """The clock of a store: it stands until the test moves it."""

    def __init__(self) -> None:
        self.ms = START

    def now(self) -> int:
        return self.ms


class Place(Protocol):
    """Where an implementation keeps its data, and what can be done to it that no port can do."""

    def open(self, time: Time, **settings: Any) -> Any:
        """Return the store over this place, not started."""

    def fill(self, store: Any) -> None:
        """Leave no room for another message."""

    def empty(self, store: Any) -> None:
        """Make room again."""


class Subject:
    """An open store, and what it has told: ``batches`` as they were committed."""

    def __init__(self, place: Place, first_id: int = 1) -> None:
        self.time = Time()
        self.batches: list[Sequence[Committed]] = []
        self._place = place
        self._numbers = itertools.count(first_id)
        self._waiting: dict[int, Deferred[Outcome]] = {}
        self.store: Any = None
        self.check: CheckSend = lambda *_: None

    def open(self, **settings: Any) -> None:
        """Open the place, anew if it was closed."""
        self.store = self._place.open(self.time, **settings)
        self.store.on_commit(self._committed)
        self.store.start()

    async def close(self) -> None:
        """Close the store, if it is open."""
        if self.store is not None:
            store, self.store = self.store, None
            await store.stop()

    async def reopen(self, **settings: Any) -> None:
        """Close the store and open it again."""
        await self.close()
        self.open(**settings)

    def fill(self) -> None:
        """Leave no room for another message."""
        self._place.fill(self.store)

    def empty(self) -> None:
        """Make room again."""
        self._place.empty(self.store)

    def new_id(self) -> str:
        """Return an id that no message has."""
        return f"0192f5a0-7c00-7000-8000-{next(self._numbers):012d}"

    def message(
        self,
        sender: int,
        *,
        to: int = 0,
        group: str = "",
        text: str = "hi",
        msg_id: str = "",
        msg_type: int = 1,
        members: Members | None = None,
        **fields: Any,
    ) -> Submission:
        """Return a message as logic hands it to a store."""
        message = ImMsg(msg_id=msg_id or self.new_id(), msg_type=msg_type, msg_body=text, **fields)
        if to:
            message.group_id, message.group_type, message.receiver_id = single(sender, to), 1, to
        else:
            message.group_id, message.group_type = group, 3 if group == SYSTEM_GROUP else 2
        content = message.SerializeToString()
        digest = blake2b(content, digest_size=16).digest()
        message.sender_id = sender
        return Submission(NOBODY, next(self._numbers), message, members, self.check, digest, len(content))

    def put(self, submission: Submission) -> Deferred[Outcome]:
        """Hand a message to the store; fires with what became of it."""
        outcome: Deferred[Outcome] = Deferred()
        self._waiting[id(submission)] = outcome
        try:
            self.store.append(submission)
        except RefusedError:
            del self._waiting[id(submission)]
            raise
        return outcome

    async def put_all(self, *submissions: Submission) -> list[Outcome]:
        """Hand messages to the store in one turn, so that they are one batch."""
        return [await outcome for outcome in [self.put(submission) for submission in submissions]]

    async def send(self, sender: int, **what: Any) -> Stored:
        """Store one message. Raises what it is refused with."""
        outcome = await self.put(self.message(sender, **what))
        if isinstance(outcome, RefusedError):
            raise outcome
        return outcome

    async def send_many(self, count: int, sender: int, **what: Any) -> list[int]:
        """Store so many messages in one batch, and return their seqs."""
        outcomes = await self.put_all(*(self.message(sender, **what) for _ in range(count)))
        return [outcome.message.seq_id for outcome in outcomes if isinstance(outcome, Stored)]

    async def group(self, owner: int, *members: int, join_policy: int = 0, group_id: str = "", **fields: str) -> str:
        """Make a group and return its id."""
        view = await self.create(owner, *members, join_policy=join_policy, group_id=group_id, **fields)
        return view.group_id

    async def create(
        self, owner: int, *members: int, join_policy: int = 0, group_id: str = "", **fields: str
    ) -> ImGroup:
        """Make a group and return it as its owner sees it."""
        new = NewGroup(
            group_id=group_id or f"g{next(self._numbers)}",
            group_name=fields.get("group_name", "Tea"),
            avatar=fields.get("avatar", ""),
            extra=fields.get("extra", ""),
            join_policy=join_policy,
            owner_id=owner,
            member_ids=members,
        )
        view: ImGroup = await self.store.create_group(new, owner, self.new_id())
        return view

    def change(self, group_id: str, by: int, change: GroupChange | Decide | None) -> Deferred[ImGroup]:
        """Change a group as said, or as decided."""
        decide: Decide = change if callable(change) else lambda _: change
        return Deferred.fromCoroutine(self.store.change_group(group_id, by, self.new_id(), decide))

    def invite(self, group_id: str, by: int, *uids: int) -> Deferred[ImGroup]:
        """Bring users in."""
        return self.change(group_id, by, GroupChange(op="invite", uids=uids, join=uids))

    def quit(self, group_id: str, uid: int) -> Deferred[ImGroup]:
        """Take a user out."""
        return self.change(group_id, uid, GroupChange(op="quit", uids=(uid,), leave={uid: 1}))

    def dismiss(self, group_id: str, last: int) -> Deferred[ImGroup]:
        """Take the last member out, which ends the group."""
        fields = {"owner_id": 0, "is_dismissed": 1}
        return self.change(group_id, last, GroupChange(op="quit", uids=(last,), leave={last: 1}, fields=fields))

    async def ack(self, uid: int, group_id: str, *ranges: tuple[int, int]) -> Raised:
        """ACK ranges of seqs, and wait until that is durable."""
        acks = [InboxAck(uid, group_id, low, high) for low, high in ranges]
        raised: Raised = await self.store.raise_watermarks(acks, [])
        return raised

    async def read(self, uid: int, group_id: str, read_seq: int) -> Raised:
        """Raise a read mark, and wait until that is durable."""
        raised: Raised = await self.store.raise_watermarks([], [ReadMark(uid, group_id, read_seq)])
        return raised

    async def revoke(self, group_id: str, msg_id: str, by: int, may: MayRevoke = lambda _: None) -> None:
        """Take a message back for everybody."""
        await self.store.revoke(group_id, msg_id, by, self.new_id(), may)

    async def settle(self) -> None:
        """Wait until everything handed over so far is durable."""
        await self.store.remember_user(1, "")

    async def view(self, uid: int, group_id: str) -> ImGroup:
        """Return a conversation as its user sees it."""
        (group,) = (await self.store.conversations_by_id(uid, [group_id])).groups
        view: ImGroup = group
        return view

    async def changed(self, uid: int) -> list[str]:
        """Return the conversations that have changed for a user since the clock was moved."""
        page = await self.store.conversations(uid, "", 100, self.time.ms)
        return [group.group_id for group in page.groups]

    async def pull(self, uid: int, group_id: str, after: int = 0, before: int = 0, page_size: int = 100) -> UserData:
        """Return a page of history."""
        page: UserData = await self.store.pull(uid, group_id, after, before, page_size)
        return page

    async def pulled(self, uid: int, group_id: str, after: int = 0, before: int = 0, page_size: int = 100) -> list[int]:
        """Return the seqs of a page of history."""
        page = await self.pull(uid, group_id, after, before, page_size)
        return [message.seq_id for message in page.messages]

    async def inbox(self, uid: int) -> list[tuple[str, int]]:
        """Return the group and the seq of all that is in a user's inbox."""
        found: list[tuple[str, int]] = []
        cursor: OverdueCursor | None = OverdueCursor(uid)
        while cursor is not None:
            page = await self.store.overdue([cursor], self.time.ms + 1)
            cursor = None
            for overdue in page:
                found += [(message.group_id, message.seq_id) for message in overdue.messages]
                cursor = overdue.next
        return found

    async def inbox_of(self, uid: int, group_id: str) -> list[int]:
        """Return the seqs of one group that are in a user's inbox."""
        return [seq_id for group, seq_id in await self.inbox(uid) if group == group_id]

    def _committed(self, batch: Sequence[Committed]) -> None:
        self.batches.append(batch)
        for submission, outcome in batch:
            if submission is not None:
                self._waiting.pop(id(submission)).callback(outcome)


def single(a: int, b: int) -> str:
    """Return the group id of a single chat."""
    return f"{min(a, b)}_{max(a, b)}"


def seqs(outcomes: Sequence[Outcome]) -> list[Any]:
    """Return the seq of each message that was stored, and the kind of each refusal."""
    return [outcome.message.seq_id if isinstance(outcome, Stored) else type(outcome) for outcome in outcomes]
