"""A conversation in which everyone sends, and the comparison of its account with what is stored."""

from collections.abc import Iterable, Sequence

from imd.cli.bench.ledger import Delivery, Stream
from imd.wire.bodies import ImMsg
from imd.wire.enums import MsgType


class Conversation:
    """The streams of its members, by their uids, and the seq under which each message was pushed to anyone."""

    def __init__(self, name: str, group_id: str, uids: Iterable[int]) -> None:
        self.name = name
        self.group_id = group_id
        self.streams = {uid: Stream(f"{name}, user {uid}") for uid in uids}
        self._pushed: dict[str, int] = {}
        self._breaches: list[str] = []

    def pushed(self, msg_id: str, seq: int) -> None:
        """Enter a push."""
        known = self._pushed.setdefault(msg_id, seq)
        if known != seq:
            self._breaches.append(f"{self.name}: message {msg_id} was pushed as seq {seq}, and before as {known}")

    def compare(self, stored: Sequence[ImMsg]) -> list[str]:
        """Return a sentence for each breach, given the whole conversation as it is stored, in its order."""
        breaches = list(self._breaches)
        for expected, message in enumerate(stored, start=1):
            if message.seq_id != expected:
                breaches.append(f"{self.name}: seq {message.seq_id} is stored where {expected} was expected")
                break
        copies = {uid: Delivery(stream, "the store") for uid, stream in self.streams.items()}
        for message in stored:
            if message.msg_type == MsgType.CONTROL:
                continue
            if message.sender_id in copies:
                copies[message.sender_id].delivered(message.msg_id, message.seq_id)
            else:
                breaches.append(f"{self.name}: message {message.msg_id} is from {message.sender_id}, who is no member")
        for uid, stream in self.streams.items():
            breaches += stream.complaints()
            if copies[uid].repeats:
                breaches.append(f"{stream.name}: {copies[uid].repeats} messages are stored twice")
        seqs = {message.msg_id: message.seq_id for message in stored}
        for msg_id, seq in self._pushed.items():
            if seqs.get(msg_id) != seq:
                breaches.append(
                    f"{self.name}: message {msg_id} was pushed as seq {seq} and is stored as {seqs.get(msg_id)}"
                )
        return breaches
