"""The account of receipts: a sender is told what its receiver has got and read, no more, and in the end all of it."""

from collections.abc import Iterator

from imd.wire.bodies import IssueReceipt


class Watermarks:
    """How far the user ``uid`` has got and read in a conversation, and what the sender there was told of it.

    ``name`` tells it apart in a complaint.
    """

    __slots__ = (
        "_breaches",
        "_pending",
        "_uid",
        "group_id",
        "marks",
        "name",
        "read_seq",
        "receipts",
        "seen",
        "told_read",
        "told_received",
    )

    def __init__(self, name: str, group_id: str, uid: int) -> None:
        self.name = name
        self.group_id = group_id
        self.seen = 0
        """The newest seq that came to the receiver."""
        self.read_seq = 0
        """The newest seq the receiver has marked as read."""
        self.marks = 0
        """How many read marks were submitted."""
        self.receipts = 0
        """How many receipts came to the sender."""
        self.told_received = 0
        self.told_read = 0
        self._uid = uid
        self._pending: dict[int, int] = {}
        self._breaches: list[str] = []

    @property
    def has_news(self) -> bool:
        """Whether the receiver has seen more than it has marked as read."""
        return self.seen > self.read_seq

    def marked(self) -> int:
        """Enter a read mark for all that is seen, about to be submitted, and return its traceId."""
        self.marks += 1
        self.read_seq = self._pending[self.marks] = self.seen
        return self.marks

    def answered(self, trace_id: int, refusal: str = "") -> None:
        """Enter the answer to a read mark; ``refusal`` is why it was refused."""
        read_seq = self._pending.pop(trace_id, None)
        if read_seq is None:
            self._breaches.append(f"{self.name}: an answer names traceId {trace_id}, under which no read mark waits")
        elif refusal:
            self._breaches.append(f"{self.name}: the read mark {read_seq} was refused: {refusal}")

    def told(self, receipt: IssueReceipt) -> None:
        """Enter a receipt that came to the sender."""
        self.receipts += 1
        if (receipt.group_id, receipt.uid) != (self.group_id, self._uid):
            self._breaches.append(
                f"{self.name}: a receipt tells of {receipt.uid} in {receipt.group_id},"
                f" where {self._uid} in {self.group_id} was expected"
            )
            return
        self._hold("delivered", receipt.receive_seq, self.told_received, self.seen)
        self._hold("read", receipt.read_seq, self.told_read, self.read_seq)
        self.told_received, self.told_read = receipt.receive_seq, receipt.read_seq

    def settled(self, last: int) -> bool:
        """Tell whether every mark was answered, and the sender told that all up to the seq ``last`` is read."""
        return not self._pending and self.told_received >= last and self.told_read >= last

    def complaints(self, last: int) -> Iterator[str]:
        """Yield a sentence for each breach; ``last`` is the seq of the sender's last message."""
        yield from self._breaches
        if self._pending:
            yield f"{self.name}: {len(self._pending)} read marks were not answered"
        if self.told_received < last or self.told_read < last:
            yield (
                f"{self.name}: the last message has seq {last}, and the receipts tell of delivery up to"
                f" {self.told_received} and of reading up to {self.told_read}"
            )

    def _hold(self, what: str, seq: int, known: int, true: int) -> None:
        if seq < known:
            self._breaches.append(f"{self.name}: a receipt tells {what} up to {seq}, and one before up to {known}")
        elif seq > true:
            self._breaches.append(f"{self.name}: a receipt tells {what} up to {seq}, which is so up to {true} only")
