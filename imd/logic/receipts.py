"""Receivers' ACKs and read marks: they gather for a moment, rise together, and those concerned are told."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from imd.errors import (
    BadRequestError,
    NotFoundError,
    NotInGroupError,
    RateLimitedError,
    RefusedError,
    UnavailableError,
)
from imd.logic.ids import check_group_id
from imd.ports.delivery import IDelivery, ISession
from imd.ports.messages import IMessageStore, InboxAck, ReadMark, Span, Watermark
from imd.wire.bodies import IssueReadSeq, IssueReceipt, ListMsgReader, ListMsgReaderAck, MsgAck, SubmitReadSeq
from imd.wire.commands import Command
from imd.wire.enums import SYSTEM_GROUP
from imd.wire.single import peer_of

MAX_ACKS = 1000
"""Groups one IM_MSG_ACK may name."""

MAX_GATHERED = 50_000
"""Runs of seqs and read marks that may gather before they are handed to the store at once."""

MAX_TOLD = 100
"""Of how many messages of a group, the newest, the senders are told that they were read."""

MAX_WAITING = 100
"""Read marks of one session that may wait for their answer in one tick."""

Key = tuple[int, str]
"""A user and a group."""


class Asked(NamedTuple):
    """A SUBMIT_READ_SEQ that waits for its answer."""

    trace_id: int
    key: Key
    read_seq: int


class Tick:
    """What has gathered since the last tick."""

    __slots__ = ("count", "pulled", "reads", "runs", "senders", "waiting")

    def __init__(self) -> None:
        self.count = 0
        self.runs: dict[Key, list[tuple[int, int]]] = {}
        self.senders: dict[Key, set[int]] = {}
        self.reads: dict[Key, int] = {}
        self.pulled: set[Key] = set()
        self.waiting: dict[ISession, list[Asked]] = {}


class Receipts:
    """Gathers for ``delay`` seconds, so that a busy conversation costs one statement and one receipt, not one each.

    In groups of more than ``max_members`` nobody is told of receipts; LIST_MSG_READER answers there.
    """

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, store: IMessageStore, delivery: IDelivery, delay: float, max_members: int
    ) -> None:
        self._clock = clock
        self._store = store
        self._delivery = delivery
        self._delay = delay
        self._max_members = max_members
        self._tick = Tick()

    def pushed(self, session: ISession, trace_id: int) -> None:
        """The client ACKs a push."""
        acknowledged = session.acknowledge(trace_id)
        if acknowledged is None:
            return
        group_id, seqs, senders = acknowledged
        key = session.uid, group_id
        tick = self._gather()
        runs = tick.runs.setdefault(key, [])
        low, high = runs.pop() if runs else (seqs[0], seqs[0] - 1)
        for seq_id in seqs:
            if seq_id == high + 1:
                high = seq_id
            else:
                runs.append((low, high))
                low = high = seq_id
        runs.append((low, high))
        if "_" not in group_id:
            tick.senders.setdefault(key, set()).update(senders)

    def pulled(self, session: ISession, request: MsgAck) -> None:
        """IM_MSG_ACK: the client holds everything of each group up to the seq."""
        for ack in request.acks[:MAX_ACKS]:
            if ack.seq_id > 0 and ack.group_id:
                tick = self._gather()
                tick.runs.setdefault((session.uid, ack.group_id), []).append((0, ack.seq_id))
                tick.pulled.add((session.uid, ack.group_id))

    def read(self, session: ISession, trace_id: int, request: SubmitReadSeq) -> None:
        """SUBMIT_READ_SEQ; answered once the mark is durable.

        Raises BadRequestError, ForbiddenError or RateLimitedError.
        """
        group_id = check_group_id(request.group_id, session.uid)
        if request.read_seq < 0:
            raise BadRequestError(f"read_seq is {request.read_seq}; expected 0 or more")
        tick = self._gather()
        waiting = tick.waiting.setdefault(session, [])
        if len(waiting) >= MAX_WAITING:
            raise RateLimitedError(f"{MAX_WAITING} read marks of this session wait for their answer")
        key = session.uid, group_id
        waiting.append(Asked(trace_id, key, request.read_seq))
        tick.reads[key] = max(request.read_seq, tick.reads.get(key, 0))

    async def readers(self, session: ISession, request: ListMsgReader) -> ListMsgReaderAck:
        """LIST_MSG_READER: who has read a message and who has not."""
        group_id = check_group_id(request.group_id, session.uid, no_system=True)
        try:
            return await self._store.readers(session.uid, group_id, request.seq_id)
        except NotInGroupError:
            if "_" in group_id:  # a single chat in which nothing was said yet
                raise NotFoundError(f"there is no message in {group_id}") from None
            raise

    def flush(self) -> None:
        """Hand what has gathered to the store."""
        if self._tick.count:
            tick, self._tick = self._tick, Tick()
            Deferred.fromCoroutine(self._raise(tick)).addErrback(
                lambda failure: self._log.failure("receipts could not be told", failure)
            )

    def _gather(self) -> Tick:
        if self._tick.count >= MAX_GATHERED:
            self.flush()
        if not self._tick.count:
            self._clock.callLater(self._delay, self.flush)
        self._tick.count += 1
        return self._tick

    async def _raise(self, tick: Tick) -> None:
        acks = [
            InboxAck(uid, group_id, low, high)
            for (uid, group_id), runs in tick.runs.items()
            for low, high in runs
            if low <= high
        ]
        reads = [ReadMark(uid, group_id, read_seq) for (uid, group_id), read_seq in tick.reads.items()]
        try:
            raised = await self._store.raise_watermarks(acks, reads)
        except RefusedError as error:
            # A store that can't take ACKs keeps the rows, so the messages are pushed again.
            self._answer(tick.waiting, frozenset(tick.reads), error)
            return
        except Exception:
            self._answer(tick.waiting, frozenset(tick.reads), UnavailableError("the mark could not be stored"))
            raise
        self._delivery.hold()
        try:
            self._answer(tick.waiting, raised.strangers, None)
            for watermark in raised.watermarks:
                if watermark.read_seq > watermark.read_from:
                    self._tell_devices(watermark, tick)
                if "_" in watermark.group_id:
                    self._tell_peer(watermark)
        finally:
            self._delivery.flush()
        await self._tell_senders(
            [
                watermark
                for watermark in raised.watermarks
                if "_" not in watermark.group_id
                and watermark.group_id != SYSTEM_GROUP
                and 0 < watermark.member_count <= self._max_members
            ],
            tick,
        )

    def _answer(
        self,
        waiting: Mapping[ISession, Iterable[Asked]],
        refused: Collection[Key],
        error: RefusedError | None,
    ) -> None:
        command = Command.SUBMIT_READ_SEQ
        for session, asked in waiting.items():
            for trace_id, key, _ in asked:
                group_id = key[1]
                if error is not None:
                    session.refuse(command, trace_id, error)
                elif key in refused and "_" not in group_id:
                    session.refuse(command, trace_id, NotInGroupError(f"you are not in the group {group_id}"))
                else:  # a single chat in which nothing was said yet has nothing to read
                    session.answer(command, trace_id, b"")

    def _tell_devices(self, watermark: Watermark, tick: Tick) -> None:
        """Tell the user's other devices how far they have read."""
        uid, group_id, read_seq = watermark.uid, watermark.group_id, watermark.read_seq
        said_so = [
            session
            for session, waiting in tick.waiting.items()
            if any(asked.key == (uid, group_id) and asked.read_seq >= read_seq for asked in waiting)
        ]
        if self._delivery.has_other(uid, said_so[0] if said_so else None):
            body = IssueReadSeq(group_id=group_id, read_seq=read_seq).SerializeToString()
            self._delivery.tell(Command.ISSUE_READ_SEQ, body, (uid,), said_so)

    def _tell_peer(self, watermark: Watermark) -> None:
        peer = peer_of(watermark.group_id, watermark.uid)
        if peer != watermark.uid:
            self._delivery.tell(Command.ISSUE_RECEIPT, _receipt(watermark), (peer,))

    async def _tell_senders(self, watermarks: Sequence[Watermark], tick: Tick) -> None:
        """Tell the senders of what has reached a member of their group, or was read by them."""
        spans = []
        for uid, group_id, receive_seq, read_seq, read_from, _ in watermarks:
            if read_seq > read_from:
                spans.append(Span(uid, group_id, max(read_from, read_seq - MAX_TOLD), read_seq))
            if (uid, group_id) in tick.pulled:
                spans.append(Span(uid, group_id, receive_seq - MAX_TOLD, receive_seq))
        found: Sequence[Collection[int]] = ()
        try:
            found = await self._store.senders(spans) if spans else ()
        except UnavailableError:  # whose pushes were ACKed is known all the same
            spans = []
        for span, senders in zip(spans, found, strict=True):
            tick.senders.setdefault((span.uid, span.group_id), set()).update(senders)
        self._delivery.hold()
        try:
            for watermark in watermarks:
                uid = watermark.uid
                senders = tick.senders.get((uid, watermark.group_id), set()) - {uid}
                if senders:
                    self._delivery.tell(Command.ISSUE_RECEIPT, _receipt(watermark), senders)
        finally:
            self._delivery.flush()


def _receipt(watermark: Watermark) -> bytes:
    return IssueReceipt(
        group_id=watermark.group_id,
        uid=watermark.uid,
        receive_seq=watermark.receive_seq,
        read_seq=watermark.read_seq,
    ).SerializeToString()
