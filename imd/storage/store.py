"""The SQL store: every port of storage over one database, writes by group commit, reads beside it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from zope.interface import implementer

from imd.batching import IReactor
from imd.ports.apikeys import ApiKey, IApiKeyStore
from imd.ports.archive import Exported, GroupInfo, IArchive, MemberInfo, Traced
from imd.ports.conversations import IConversationStore
from imd.ports.groups import Decide, IGroupStore, NewGroup
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
)
from imd.ports.notices import Addressed, INoticeStore, Kept, NoticeAck
from imd.ports.retention import AgedGroups, IRetentionStore
from imd.ports.upstream import Bound, IReportStore, IUpstreamStore, Queued, Report, Reported, Settled
from imd.ports.users import Account, IUserStore
from imd.storage import apikeys, members, settings, users
from imd.storage.accounts import Accounts
from imd.storage.append import Append
from imd.storage.archive import Archive
from imd.storage.commit import GroupCommit
from imd.storage.conversations import Conversations
from imd.storage.database import Database
from imd.storage.groups import Groups
from imd.storage.history import History
from imd.storage.lookups import Lookups
from imd.storage.notices import Notices
from imd.storage.readers import Readers
from imd.storage.removal import Removal
from imd.storage.retention import Retention
from imd.storage.transaction import Transaction
from imd.storage.unread import Unread
from imd.storage.upstream import Upstream
from imd.storage.watermarks import Watermarks
from imd.storage.writer import Writer
from imd.wire.bodies import ImGroup, ListMsgReaderAck, UnreadCountAck, UserData
from imd.wire.enums import SYSTEM_GROUP

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")

SINCE_MARGIN_MS = 2000
"""How much earlier than now the next ``since`` is, so that a commit under way is not missed."""

ANSWER_ROOM = 1024
"""Bytes of an answer kept free for what is not messages or groups."""


@implementer(
    IMessageStore,
    IGroupStore,
    IConversationStore,
    IRetentionStore,
    IUserStore,
    INoticeStore,
    IArchive,
    IApiKeyStore,
    IReportStore,
    IUpstreamStore,
)
class SqlStore:
    """Every port of storage over one database, which it closes in the end.

    ``now`` gives milliseconds since the epoch, ``gap`` is in seconds, ``max_pending`` the items that may wait for a
    commit, whose messages have at most ``max_pending_bytes``. ``upstream`` bounds what is kept for each destination.
    """

    def __init__(
        self,
        reactor: IReactor,
        database: Database,
        now: Callable[[], int],
        *,
        gap: float,
        max_pending: int,
        readers: int,
        max_body: int,
        max_pending_bytes: int = 64 * 1024 * 1024,
        upstream: Mapping[str, Bound] | None = None,
    ) -> None:
        self._now = now
        max_body -= ANSWER_ROOM
        self._database = database
        sql = database.sql
        append = Append(database)
        self._unread = Unread(sql)
        self._watermarks = Watermarks(sql, self._unread)
        self._conversations = Conversations(sql, max_body)
        self._history = History(sql, max_body)
        self._groups = Groups(append, self._conversations)
        self._removal = Removal(append, self._unread, self._watermarks, self._conversations)
        self._retention = Retention(sql, self._watermarks)
        self._notices = Notices(sql, max_body)
        self._archive = Archive(sql, max_body)
        self._accounts = Accounts(sql)
        self._upstream = Upstream(database, upstream or {})
        self._commit = GroupCommit(database, now, append, self._upstream)
        self._writer = Writer(
            reactor,
            database,
            self._commit,
            gap=gap,
            max_pending=max_pending,
            max_pending_bytes=max_pending_bytes,
        )
        self._readers = Readers(reactor, database, self._writer.outage, readers)
        self._account_lookups = Lookups(reactor, lambda uids: self._read(self._accounts.accounts, uids))
        self.append: Callable[[Submission], None] = self._writer.append
        self.report: Callable[[Report], None] = self._writer.append

    def start(self) -> None:
        """Start the threads."""
        self._database.start()
        self._writer.start()

    async def stop(self) -> None:
        """Commit what waits, answer it, and close the database."""
        await self._writer.stop()
        self._readers.stop()
        self._commit.close()
        self._database.stop()

    # Messages

    def on_commit(self, callback: Callable[[Sequence[Committed]], None]) -> None:
        """Call ``callback`` with each batch."""
        self._writer.tell = callback

    async def raise_watermarks(self, acks: Sequence[InboxAck], reads: Sequence[ReadMark]) -> Raised:
        """Raise receive_seq and read_seq; a mark that passes very many messages takes several changes."""
        groups = {ack.group_id for ack in acks} | {read.group_id for read in reads}
        # Of the broadcast stream nothing depends on anything else, and everybody would wait for its row.
        groups.discard(SYSTEM_GROUP)
        raised: Raised = await self._change(groups, self._watermarks.rise, acks, reads)
        last = {(mark.uid, mark.group_id): mark for mark in raised.watermarks}
        rest = raised.rest
        while rest:
            further: Raised = await self._change(groups, self._watermarks.rise, (), rest)
            for mark in further.watermarks:
                before = last.get((mark.uid, mark.group_id), mark)
                last[mark.uid, mark.group_id] = mark._replace(read_from=before.read_from)
            rest = further.rest
        return Raised(list(last.values()), raised.strangers)

    async def revoke(self, group_id: str, msg_id: str, by: int, control_id: str, may: MayRevoke) -> None:
        """Take a message back for everybody."""
        await self._change((group_id,), self._removal.revoke, group_id, msg_id, by, control_id, may)

    async def hide(self, uid: int, group_id: str, seq_ids: Sequence[int]) -> UserData | None:
        """Delete messages for one user."""
        return await self._change((group_id,), self._removal.hide, uid, group_id, seq_ids)

    async def clear(self, uid: int, group_id: str, init_seq: int) -> UserData | None:
        """Clear a user's history; where it is very long, in several changes."""
        cleared = further = await self._change((group_id,), self._removal.clear, uid, group_id, init_seq)
        while further is not None and further.groups[0].init_seq < min(init_seq, further.groups[0].max_seq):
            cleared = further
            further = await self._change((group_id,), self._removal.clear, uid, group_id, init_seq)
        return further or cleared

    async def readers(self, uid: int, group_id: str, seq_id: int) -> ListMsgReaderAck:
        """Who has read a message and who has not."""
        return await self._read(members.readers, self._unread, uid, group_id, seq_id)

    async def senders(self, spans: Sequence[Span]) -> Sequence[Collection[int]]:
        """Who sent the messages of each span."""
        return await self._read(self._history.senders, spans)

    async def pull(self, uid: int, group_id: str, after: int, before: int, page_size: int) -> UserData:
        """A page of history."""
        return await self._read(self._history.pull, uid, group_id, after, before, page_size)

    async def overdue(self, cursors: Sequence[OverdueCursor], before: int) -> Sequence[Overdue]:
        """What has lain too long in inboxes."""
        return await self._read(self._history.overdue, cursors, before)

    # Groups

    async def create_group(self, group: NewGroup, by: int, msg_id: str) -> ImGroup:
        """Make a group."""
        return await self._change((group.group_id,), self._groups.create, group, by, msg_id)

    async def change_group(self, group_id: str, by: int, msg_id: str, decide: Decide) -> ImGroup:
        """Change a group."""
        return await self._change((group_id,), self._groups.change, group_id, by, msg_id, decide)

    async def members(self, uid: int, group_id: str, cursor: str, page_size: int) -> UserData:
        """One page of GROUP_MEMBERS."""
        return await self._read(members.list_members, uid, group_id, cursor, page_size, self._now())

    # Conversations

    async def conversations(self, uid: int, cursor: str, page_size: int, since: int) -> UserData:
        """One page of LIST_GROUP."""
        settled = self._settled_time()
        return await self._read(self._conversations.page, uid, cursor, page_size, since, settled, self._now())

    async def conversations_by_id(self, uid: int, group_ids: Sequence[str]) -> UserData:
        """GROUP_BY_ID."""
        return await self._read(self._conversations.by_id, uid, group_ids, self._now())

    async def unread(self, uid: int, group_ids: Sequence[str]) -> UnreadCountAck:
        """UNREAD_COUNT."""
        return await self._read(self._conversations.unread, uid, group_ids)

    async def set_conversation(self, uid: int, group_id: str, values: Mapping[str, int]) -> UserData | None:
        """Set is_shield and is_top."""
        return await self._change((group_id,), settings.set_conversation, self._conversations, uid, group_id, values)

    # Users

    async def account(self, uid: int) -> Account:
        """What is known of a user."""
        return await self._account_lookups.find(uid) or Account(uid)

    async def remember_user(self, uid: int, name: str) -> None:
        """Note the first login."""
        await self._change((), self._accounts.remember, uid, name)

    async def set_banned(self, uid: int, is_banned: bool) -> None:
        """Ban a user, or take that back."""
        await self._change((), self._accounts.set_banned, uid, is_banned)

    async def void_tokens(self, uid: int, before: int) -> None:
        """Make older tokens void."""
        await self._change((), self._accounts.void_tokens, uid, before)

    async def changed_accounts(self, account_time: int, uid: int, limit: int) -> Sequence[Account]:
        """The next accounts that were set."""
        return await self._read(self._accounts.changed, account_time, uid, limit)

    async def block(self, uid: int, uids: Sequence[int], limit: int) -> None:
        """Add to a block list."""
        await self._change((), users.block, uid, uids, limit)

    async def unblock(self, uid: int, uids: Sequence[int]) -> None:
        """Take off a block list."""
        await self._change((), users.unblock, uid, uids)

    async def blocked(self, uid: int) -> Sequence[int]:
        """Whom the user has blocked."""
        return await self._read(users.blocked, uid)

    async def blockers(self, uid: int, uids: Collection[int]) -> frozenset[int]:
        """Those of ``uids`` who have blocked ``uid``."""
        return await self._read(users.blockers, uid, uids)

    async def clear_badge(self, uid: int) -> None:
        """Count the badge of offline pushes from now on."""
        await self._change((), users.clear_badge, uid)

    # Notices

    async def keep_notices(self, notices: Sequence[Addressed]) -> Sequence[Kept]:
        """Keep notices for users."""
        return await self._change((), self._notices.keep, notices)

    async def acknowledge_notices(self, acks: Sequence[NoticeAck]) -> None:
        """Take notices away."""
        await self._change((), self._notices.acknowledge, acks)

    async def notices(self, uid: int, cursor: str, page_size: int, now: int) -> UserData:
        """One page of OFFLINE_NOTICE_MSG."""
        return await self._read(self._notices.page, uid, cursor, page_size, now)

    async def expire_notices(self, now: int, limit: int) -> int:
        """Delete what has expired, where a look finds any."""
        if not await self._read(self._notices.count_expired, now, limit):
            return 0
        return await self._change((), self._notices.drop_expired, now, limit)

    # What operators look at

    async def group_info(self, group_id: str) -> GroupInfo | None:
        """A conversation of any kind."""
        return await self._read(self._archive.group, group_id)

    async def group_members(self, group_id: str, cursor: str, limit: int) -> tuple[Sequence[MemberInfo], str]:
        """A page of a conversation's members."""
        return await self._read(self._archive.members, group_id, cursor, limit, self._now())

    async def trace(self, group_id: str, msg_id: str, cursor: str, limit: int) -> Traced | None:
        """A message and a page of its recipients."""
        return await self._read(self._archive.trace, group_id, msg_id, cursor, limit)

    async def export(self, group_id: str, cursor: str, limit: int) -> Exported:
        """The next messages of a conversation."""
        return await self._read(self._archive.export, group_id, cursor, limit)

    async def api_keys(self, prefixes: Sequence[str]) -> Sequence[ApiKey]:
        """Those of these keys that there are."""
        return await self._read(apikeys.find, prefixes)

    # Reports

    def on_reports(self, callback: Callable[[Sequence[Reported]], None]) -> None:
        """Call ``callback`` with the reports of each batch."""
        self._writer.tell_reports = callback

    async def queued(
        self, destination: str, after: int, limit: int, size: int, without: Collection[int]
    ) -> Sequence[Queued]:
        """The next reports that wait."""
        return await self._read(self._upstream.page, destination, after, limit, size, without)

    async def settle(self, destination: str, settled: Settled) -> None:
        """Note what became of reports."""
        await self._writer.change((), lambda to: self._upstream.settle(to, destination, settled), (destination,))

    async def lease(self, destinations: Collection[str], node: str, seconds: float) -> Collection[str]:
        """Take or keep leases."""
        mine: Collection[str] = await self._writer.change(
            (), lambda to: self._upstream.lease(to, destinations, node, seconds), destinations
        )
        return mine

    async def release(self, destinations: Collection[str], node: str) -> None:
        """Give leases back."""
        await self._writer.change((), lambda to: self._upstream.release(to, destinations, node), destinations)

    # Retention

    async def aged_groups(self, cursor: str, before: int, limit: int) -> AgedGroups:
        """Groups with messages that are too old."""
        return await self._read(self._retention.aged_groups, cursor, before, limit)

    async def drop_messages(self, group_id: str, before: int, limit: int) -> int:
        """Delete the oldest messages of a group, after a look at them, so that the writer waits for no disk."""
        if not await self._read(self._retention.count_aged, group_id, before, limit):
            return 0
        return await self._change((group_id,), self._retention.drop_messages, group_id, before, limit)

    @property
    def is_away(self) -> bool:
        """Whether the database can't be reached now."""
        return self._writer.outage.is_on

    @property
    def waiting(self) -> int:
        """How many messages and changes wait for a commit."""
        return self._writer.waiting

    async def _change(
        self,
        groups: Collection[str],
        run: Callable[Concatenate[Transaction, Parameters], Value],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Value:
        value: Value = await self._writer.change(groups, lambda transaction: run(transaction, *args, **kwargs))
        return value

    async def _read(
        self,
        query: Callable[Concatenate[Connection, Parameters], Value],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Value:
        return await self._readers.read(query, *args, **kwargs)

    def _settled_time(self) -> int:
        """Return a time (ms) before which everything is visible: commits under way carry later times."""
        begun = min(self._now(), self._commit.open_since or self._now())
        return begun - SINCE_MARGIN_MS - self._database.lag_ms
