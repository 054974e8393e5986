"""How far the others have what I sent."""

MAX_MINE = 1000
"""Messages of mine that are kept in mind."""


class Marks:
    """My newest messages in one conversation, and the others' watermarks there, which only rise."""

    def __init__(self) -> None:
        self._mine: dict[int, str] = {}
        self._delivered: dict[int, int] = {}
        self._read: dict[int, int] = {}
        self._told_of_peer = 0, 0
        self._told_of_group = 0, 0, 0

    def add(self, seq_id: int, msg_id: str) -> None:
        """Keep in mind a message of mine."""
        self._mine[seq_id] = msg_id
        if len(self._mine) > MAX_MINE:
            del self._mine[min(self._mine)]

    def remove(self, seq_id: int) -> None:
        """Forget a message that was taken back."""
        self._mine.pop(seq_id, None)

    def newest(self) -> tuple[int, str]:
        """Return the seq and the id of my newest message, 0 and an empty id where there is none."""
        return max(self._mine.items(), default=(0, ""))

    def hear(self, uid: int, receive_seq: int, read_seq: int) -> None:
        """Take in another one's watermarks."""
        self._read[uid] = max(read_seq, self._read.get(uid, 0))
        self._delivered[uid] = max(receive_seq, self._read[uid], self._delivered.get(uid, 0))

    def delivered_to(self, seq_id: int) -> int:
        """Return how many others have a message, as far as was heard."""
        return sum(delivered >= seq_id for delivered in self._delivered.values())

    def peer_news(self) -> str:
        """Return how far the other one of a single chat is, as a line; empty unless that is further than last time."""
        delivered = self._last_of_mine(max(self._delivered.values(), default=0))
        read = self._last_of_mine(max(self._read.values(), default=0))
        was_delivered, was_read = self._told_of_peer
        if delivered <= was_delivered and read <= was_read:
            return ""
        self._told_of_peer = delivered, read
        if read == delivered:
            return f"✓✓ read up to {read}"
        return f"✓✓ delivered up to {delivered}{f', read up to {read}' if read else ''}"

    def group_news(self, readers: int, members: int) -> str:
        """Return how far a group is with my newest message, as a line; empty unless that is further than last time.

        ``readers`` have read it, of ``members`` it is for.
        """
        seq_id, _ = self.newest()
        delivered = 0 if readers else min(self.delivered_to(seq_id), members)
        news = seq_id, readers, delivered
        if news <= self._told_of_group or not readers + delivered:
            return ""
        self._told_of_group = news
        if not readers:
            return f"✓✓ {seq_id} delivered to {delivered} of {members}"
        return f"✓✓ {seq_id} read by {f'all {members}' if readers == members else f'{readers} of {members}'}"

    def _last_of_mine(self, seq_id: int) -> int:
        return max((mine for mine in self._mine if mine <= seq_id), default=0)
