"""Receivers' ACKs: they gather for a moment and then leave the inbox together."""

import contextlib

from twisted.internet.interfaces import IReactorTime

from imd.errors import UnavailableError
from imd.ports import IMessageStore, InboxAck, ISession
from imd.wire.bodies import MsgAck

MAX_ACKS = 1000
"""Groups one IM_MSG_ACK may name."""

MAX_GATHERED = 50_000
"""Runs of seqs that may gather before they are handed to the store at once."""


class Receipts:
    """Gathers ACKs for ``delay`` seconds, so that a busy conversation is cleared by one statement, not by one each."""

    def __init__(self, clock: IReactorTime, store: IMessageStore, delay: float) -> None:
        self._clock = clock
        self._store = store
        self._delay = delay
        self._gathered: dict[tuple[int, str], list[tuple[int, int]]] = {}
        self._count = 0

    def pushed(self, session: ISession, trace_id: int) -> None:
        """The client ACKs a push."""
        acknowledged = session.acknowledge(trace_id)
        if acknowledged is None:
            return
        group_id, seqs = acknowledged
        runs = self._runs(session.uid, group_id)
        low, high = runs.pop() if runs else (seqs[0], seqs[0] - 1)
        for seq_id in seqs:
            if seq_id == high + 1:
                high = seq_id
            else:
                runs.append((low, high))
                low = high = seq_id
        runs.append((low, high))

    def pulled(self, session: ISession, request: MsgAck) -> None:
        """IM_MSG_ACK: the client holds everything of each group up to the seq."""
        for ack in request.acks[:MAX_ACKS]:
            if ack.seq_id > 0 and ack.group_id:
                self._runs(session.uid, ack.group_id).append((0, ack.seq_id))

    def flush(self) -> None:
        """Hand what has gathered to the store."""
        if not self._gathered:
            return
        gathered, self._gathered, self._count = self._gathered, {}, 0
        acks = [
            InboxAck(uid, group_id, low, high)
            for (uid, group_id), runs in gathered.items()
            for low, high in runs
            if low <= high
        ]
        # A store that can't take them keeps the rows, so the messages are pushed again.
        with contextlib.suppress(UnavailableError):
            self._store.acknowledge(acks)

    def _runs(self, uid: int, group_id: str) -> list[tuple[int, int]]:
        if not self._gathered:
            self._clock.callLater(self._delay, self.flush)
        self._count += 1
        if self._count > MAX_GATHERED:
            self.flush()
        return self._gathered.setdefault((uid, group_id), [])
