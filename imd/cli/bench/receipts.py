"""Receipts in 1:1 chat: a receiver whose window is open marks what it sees as read, and the sender is told."""

from array import array
from collections.abc import Callable, Iterator
from time import monotonic

from imd.cli.bench.chat import Quota, Receiver, Sender
from imd.cli.bench.ledger import Stream
from imd.cli.bench.load import Loop, complaint
from imd.cli.bench.watermarks import Watermarks
from imd.wire.bodies import ImMsg, IssueReceipt, SubmitReadSeq
from imd.wire.commands import Command
from imd.wire.packet import ACK, Packet, encode

MARK_SECONDS = 0.1
"""The least time between two read marks in one conversation."""


class Reader(Receiver):
    """A receiver that marks the newest message as read: at once, but never twice in MARK_SECONDS."""

    __slots__ = ("_is_resting", "_watermarks")

    def __init__(
        self, loop: Loop, uid: int, stream: Stream, name: str, latencies: "array[float]", watermarks: Watermarks
    ) -> None:
        super().__init__(loop, uid, stream, name, latencies)
        self._watermarks = watermarks
        self._is_resting = False

    def take(self, packets: Iterator[Packet]) -> None:
        """Enter the pushes of one read, and mark them."""
        super().take(packets)
        self._watermarks.seen = self.newest
        if not self._is_resting:
            self._mark()

    def other(self, packet: Packet) -> None:
        """Enter the answer to a read mark."""
        if packet.command == Command.SUBMIT_READ_SEQ and packet.flags & ACK:
            self._watermarks.answered(packet.trace_id, complaint(packet) if packet.result else "")
        else:
            super().other(packet)

    def _mark(self) -> None:
        marks = self._watermarks
        self._is_resting = marks.has_news
        if self._is_resting:
            trace_id = marks.marked()
            mark = SubmitReadSeq(group_id=marks.group_id, read_seq=marks.read_seq)
            self.send(encode(Command.SUBMIT_READ_SEQ, trace_id, mark.SerializeToString()))
            self.loop.at(monotonic() + MARK_SECONDS, self._mark)


class InformedSender(Sender):
    """A sender that enters what it is told of its receiver."""

    __slots__ = ("_watermarks",)

    def __init__(
        self,
        loop: Loop,
        uid: int,
        stream: Stream,
        message: ImMsg,
        new_id: Callable[[], str],
        quota: Quota,
        window: int,
        watermarks: Watermarks,
    ) -> None:
        super().__init__(loop, uid, stream, message, new_id, quota, window)
        self._watermarks = watermarks

    def other(self, packet: Packet) -> None:
        """Enter a receipt."""
        if packet.command == Command.ISSUE_RECEIPT:
            self._watermarks.told(IssueReceipt.FromString(packet.body))
        else:
            super().other(packet)
