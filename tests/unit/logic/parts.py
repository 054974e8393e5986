"""What logic's tests stand on: real sessions over channels that keep what is sent, and a store that only listens."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from google.protobuf.message import Message
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from imd.errors import UnavailableError
from imd.gateway.outbox import Outbox
from imd.gateway.sessions import Session, Sessions
from imd.model import Identity
from imd.ports.conversations import IConversationStore
from imd.ports.groups import Decide, Group, GroupChange, IGroupStore, Member, NewGroup
from imd.ports.messages import (
    Committed,
    IMessageStore,
    InboxAck,
    MayRevoke,
    Overdue,
    OverdueCursor,
    Raised,
    ReadMark,
    Span,
    Submission,
    Watermark,
)
from imd.ports.upstream import IReportStore, Report, Reported
from imd.ports.users import Account, IUserStore
from imd.wire.bodies import ImGroup, UserData
from imd.wire.packet import Decoder, Packet

NOW = 1_763_856_000_000
"""Milliseconds since the epoch."""


class Channel:
    """A connection that keeps what is sent until it is asked for."""

    def __init__(self, outbox: Outbox) -> None:
        self.is_open = True
        self.dropped: list[str] = []
        self._outbox = outbox
        self._sent: list[bytes] = []
        self._queued: list[bytes] = []

    def send(self, packet: bytes) -> None:
        if not self.is_open:
            return
        if not self._outbox.is_held:
            self._sent.append(packet)
            return
        if not self._queued:
            self._outbox.add(self)
        self._queued.append(packet)

    def flush(self) -> None:
        self._sent += self._queued
        self._queued = []

    def close(self) -> None:
        self.flush()
        self.is_open = False

    def drop(self, why: str) -> None:
        self.is_open = False
        self.dropped.append(why)

    def logged_in(self) -> None:
        """Limits are the gateway's."""

    def sent(self) -> list[Packet]:
        """Return what was sent since this was asked last."""
        packets = list(Decoder().feed(b"".join(self._sent)))
        self._sent.clear()
        return packets


@implementer(IMessageStore, IGroupStore, IConversationStore, IUserStore, IReportStore)
class Listener:
    """Keeps what logic hands to the store; stores nothing, and returns what the test has put into ``answer``.

    Marks come to ``raised``. While ``is_slow``, all that it answers waits until the test says ``settle``.
    """

    def __init__(self) -> None:
        self.is_full = False
        self.is_slow = False
        self.error: Exception | None = None
        self.under_way: list[Deferred[None]] = []
        self.tell: Callable[[Sequence[Committed]], None] = lambda _: None
        self.tell_reports: Callable[[Sequence[Reported]], None] = lambda _: None
        self.submissions: list[Submission] = []
        self.reports: list[Report] = []
        self.acks: list[list[InboxAck]] = []
        self.reads: list[list[ReadMark]] = []
        self.raised: list[Watermark] = []
        self.strangers: set[tuple[int, str]] = set()
        self.spoken: dict[str, list[int]] = {}
        self.spans: list[Span] = []
        self.users: list[tuple[int, str]] = []
        self.accounts: dict[int, Account] = {}
        self.blocks: dict[int, list[int]] = {}
        self.asked: list[tuple[Any, ...]] = []
        self.answer: Any = UserData()
        self.created: list[NewGroup] = []
        self.group = group_of("g")
        self.changes: list[GroupChange | None] = []
        self.overdue_of: dict[int, Overdue] = {}
        self.looks: list[tuple[list[OverdueCursor], int]] = []

    def on_commit(self, callback: Callable[[Sequence[Committed]], None]) -> None:
        self.tell = callback

    def append(self, submission: Submission) -> None:
        self._check()
        self.submissions.append(submission)

    def on_reports(self, callback: Callable[[Sequence[Reported]], None]) -> None:
        self.tell_reports = callback

    def report(self, report: Report) -> None:
        self._check()
        self.reports.append(report)

    def settle(self, error: Exception | None = None) -> None:
        """Let what is under way be durable, or fail."""
        under_way, self.under_way = self.under_way, []
        for commit in under_way:
            if error is None:
                commit.callback(None)
            else:
                commit.errback(error)

    async def raise_watermarks(self, acks: Sequence[InboxAck], reads: Sequence[ReadMark]) -> Raised:
        self._check()
        self.acks.append(list(acks))
        self.reads.append(list(reads))
        await self._commit()
        return Raised(self.raised, frozenset(self.strangers))

    async def senders(self, spans: Sequence[Span]) -> Sequence[Collection[int]]:
        """Who sent each seq of a group is in ``spoken``, from seq 1 on."""
        self._check()
        self.spans += spans
        await self._commit()
        return [set(self.spoken.get(span.group_id, ())[max(0, span.after) : span.upto]) for span in spans]

    async def revoke(self, group_id: str, msg_id: str, by: int, control_id: str, may: MayRevoke) -> None:
        await self._answer(group_id, msg_id, by, control_id, may)

    async def hide(self, uid: int, group_id: str, seq_ids: Sequence[int]) -> Any:
        return await self._answer(uid, group_id, seq_ids)

    async def clear(self, uid: int, group_id: str, init_seq: int) -> Any:
        return await self._answer(uid, group_id, init_seq)

    async def readers(self, uid: int, group_id: str, seq_id: int) -> Any:
        return await self._answer(uid, group_id, seq_id)

    async def account(self, uid: int) -> Account:
        self._check()
        return self.accounts.get(uid, Account(uid))

    async def remember_user(self, uid: int, name: str) -> None:
        self._check()
        self.users.append((uid, name))
        account = await self.account(uid)
        self.accounts[uid] = account._replace(name=name or account.name, first_seen=account.first_seen or NOW)

    async def set_banned(self, uid: int, is_banned: bool) -> None:
        await self._set(uid, is_banned=is_banned)

    async def void_tokens(self, uid: int, before: int) -> None:
        await self._set(uid, void_before=before)

    async def changed_accounts(self, account_time: int, uid: int, limit: int) -> Sequence[Account]:
        self._check()
        changed = sorted(
            (each for each in self.accounts.values() if (each.account_time, each.uid) > (account_time, uid)),
            key=lambda each: (each.account_time, each.uid),
        )
        return [each for each in changed if each.account_time][:limit]

    async def _set(self, uid: int, **values: Any) -> None:
        account = await self.account(uid)
        self.accounts[uid] = account._replace(account_time=NOW, **values)

    async def block(self, uid: int, uids: Sequence[int], limit: int) -> None:
        await self._answer(uid, uids, limit)

    async def unblock(self, uid: int, uids: Sequence[int]) -> None:
        await self._answer(uid, uids)

    async def blocked(self, uid: int) -> Sequence[int]:
        return sorted(self.blocks.get(uid, ()))

    async def blockers(self, uid: int, uids: Collection[int]) -> frozenset[int]:
        return frozenset(other for other in uids if uid in self.blocks.get(other, ()))

    async def clear_badge(self, uid: int) -> None:
        await self._answer(uid)

    async def notices(self, uid: int, cursor: str, page_size: int, now: int) -> Any:
        return await self._answer(uid, cursor, page_size, now)

    async def create_group(self, group: NewGroup, by: int, msg_id: str) -> ImGroup:
        self.created.append(group)
        return ImGroup(group_id=group.group_id)

    async def change_group(self, group_id: str, by: int, msg_id: str, decide: Decide) -> ImGroup:
        self.asked.append((group_id, by, msg_id))
        self.changes.append(decide(self.group))
        return ImGroup(group_id=group_id)

    async def conversations(self, uid: int, cursor: str, page_size: int, since: int) -> Any:
        return await self._answer(uid, cursor, page_size, since)

    async def conversations_by_id(self, uid: int, group_ids: Sequence[str]) -> Any:
        return await self._answer(uid, group_ids)

    async def unread(self, uid: int, group_ids: Sequence[str]) -> Any:
        return await self._answer(uid, group_ids)

    async def set_conversation(self, uid: int, group_id: str, settings: Mapping[str, int]) -> Any:
        return await self._answer(uid, group_id, settings)

    async def members(self, uid: int, group_id: str, cursor: str, page_size: int) -> Any:
        return await self._answer(uid, group_id, cursor, page_size)

    async def pull(self, uid: int, group_id: str, after: int, before: int, page_size: int) -> Any:
        return await self._answer(uid, group_id, after, before, page_size)

    async def overdue(self, cursors: Sequence[OverdueCursor], before: int) -> Sequence[Overdue]:
        self.looks.append((list(cursors), before))
        self._check()
        return [self.overdue_of[cursor.uid] for cursor in cursors if cursor.uid in self.overdue_of]

    async def _answer(self, *asked: Any) -> Any:
        self.asked.append(asked)
        await self._commit()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def _commit(self) -> None:
        if self.is_slow:
            self.under_way.append(Deferred())
            await self.under_way[-1]

    def _check(self) -> None:
        if self.is_full:
            raise UnavailableError("full")
        if self.error is not None:
            raise self.error


def group_of(
    group_id: str,
    *members: int,
    join_policy: int = 0,
    roles: dict[int, int] | None = None,
    mutes: dict[int, int] | None = None,
    mute_until: int = 0,
) -> Group:
    """Return a group whose first member owns it; each has joined one ms after the one before."""
    given, muted = roles or {}, mutes or {}
    return Group(
        group_id=group_id,
        group_name="Tea",
        avatar="",
        announcement="",
        extra="",
        owner_id=members[0] if members else 0,
        join_policy=join_policy,
        mute_until=mute_until,
        is_dismissed=not members,
        members={
            uid: Member(uid, given.get(uid, 3 if number else 1), muted.get(uid, 0), NOW + number)
            for number, uid in enumerate(members)
        },
        now=NOW,
    )


class LogicTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.store = Listener()
        self.outbox = Outbox()
        self.sessions = Sessions(self.clock, self.outbox, max_unacked=100_000)
        self.channels: dict[Session, Channel] = {}

    def session(self) -> Session:
        """Return a session that has not logged in."""
        channel = Channel(self.outbox)
        session = Session(channel, self.sessions)
        self.channels[session] = channel
        return session

    def login(self, uid: int, client_type: int = 11, name: str = "", is_admin: bool = False) -> Session:
        """Return a session of ``uid``."""
        session = self.session()
        session.log_in(uid, client_type, f"{uid}/{client_type}", Identity(uid, name, is_admin))
        return session

    def sent(self, session: Session) -> list[Packet]:
        """Return what was sent to the session since this was asked last."""
        return self.channels[session].sent()

    def now(self) -> int:
        return NOW + int(self.clock.seconds() * 1000)

    def wait(self, answer: Any) -> Any:
        """Return what a coroutine returns, which waits for nothing."""
        return self.successResultOf(Deferred.fromCoroutine(answer))

    def refused(self, answer: Any, kind: type[Exception]) -> str:
        """Return the reason why a coroutine refuses."""
        return str(self.failureResultOf(Deferred.fromCoroutine(answer), kind).value)


def parsed(packet: Packet, kind: type[Message]) -> Any:
    """Return the body of a packet."""
    return kind.FromString(packet.body)
