"""What the rules say of any history, as plainly as it can be said: all that is counted is counted row by row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from imd.errors import ConflictError, NotFoundError, NotInGroupError, RefusedError

Refused = type[RefusedError]
Watermark = tuple[int, str, int, int, int, int]
"""uid, group_id, receive_seq, read_seq, read_from, member_count."""


@dataclass
class Message:
    """``at`` holds who is mentioned, 0 for everybody. A control message has no msg_id."""

    sender: int
    msg_id: str = ""
    text: str = ""
    counts: bool = False
    at: tuple[int, ...] = ()
    is_revoked: bool = field(default=False, compare=False)

    def mentions(self, uid: int) -> bool:
        return not self.is_revoked and self.sender != uid and (uid in self.at or 0 in self.at)


@dataclass
class Conversation:
    """One user's; ``hidden`` holds in which turn they deleted what."""

    init_seq: int = 0
    read_seq: int = 0
    receive_seq: int = 0
    frozen_at: int | None = None
    inbox: set[int] = field(default_factory=set)
    hidden: dict[int, int] = field(default_factory=dict)


class Model:
    """One group and the single chats around it; ``turn`` is a number that the history raises."""

    def __init__(self, group_id: str, owner: int, members: set[int]) -> None:
        self.turn = 0
        self.messages: dict[str, list[Message]] = {}
        self.conversations = {(uid, group_id): Conversation() for uid in members}
        self.group_id = group_id
        self.members = set(members)
        self._say(group_id, Message(owner), members - {owner})

    def send(self, sender: int, peer: int, group_id: str, message: Message) -> int | Refused:
        """Return the seq of a message; ``peer`` 0 means the group."""
        taken = self._find(group_id, message.msg_id)
        if taken and self.messages[group_id][taken - 1] == message:
            return taken
        if not peer and sender not in self.members:
            return NotInGroupError
        if taken:
            return ConflictError
        if peer:
            for uid in (sender, peer):
                self.conversations.setdefault((uid, group_id), Conversation())
        return self._say(group_id, message, ({peer} if peer else self.members) - {sender})

    def ack(self, uid: int, group_id: str, low: int, high: int) -> list[Watermark]:
        mine = self.conversations.get((uid, group_id))
        if mine is None or not self._clear_inbox(uid, group_id, range(low, high + 1)):
            return []
        return [self._watermark(uid, group_id, mine.read_seq)]

    def read(self, uid: int, group_id: str, read_seq: int) -> list[Watermark] | None:
        """Return None for a stranger."""
        mine = self.conversations.get((uid, group_id))
        if mine is None:
            return None
        read_from, mark = mine.read_seq, min(read_seq, self.max_seq(uid, group_id))
        if mark <= read_from:
            return []
        mine.read_seq = mark
        self._clear_inbox(uid, group_id, range(mark + 1))
        return [self._watermark(uid, group_id, read_from)]

    def revoke(self, by: int, group_id: str, msg_id: str) -> Refused | None:
        mine = self.conversations.get((by, group_id))
        if mine is None or mine.frozen_at is not None:
            return NotInGroupError
        seq_id = self._find(group_id, msg_id)
        if seq_id <= mine.init_seq:
            return NotFoundError
        message = self.messages[group_id][seq_id - 1]
        if not message.is_revoked:
            message.is_revoked = True
            self._say(group_id, Message(by), self._present(group_id) - {by})
        return None

    def hide(self, uid: int, group_id: str, seq_ids: Sequence[int]) -> list[int] | Refused | None:
        """Return the new tombstones, None where there are none."""
        mine = self.conversations.get((uid, group_id))
        if mine is None:
            return NotInGroupError
        if max(seq_ids) > self.max_seq(uid, group_id):
            return NotFoundError
        fresh = sorted({seq_id for seq_id in seq_ids if seq_id > mine.init_seq} - mine.hidden.keys())
        if not fresh:
            return None
        mine.hidden |= dict.fromkeys(fresh, self.turn)
        self._clear_inbox(uid, group_id, fresh)
        return fresh

    def clear(self, uid: int, group_id: str, init_seq: int) -> int | Refused | None:
        """Return the new init_seq, None where it is the old one."""
        mine = self.conversations.get((uid, group_id))
        if mine is None:
            return NotInGroupError
        mark = min(init_seq, self.max_seq(uid, group_id))
        if mark <= mine.init_seq:
            return None
        mine.init_seq = mark
        self._clear_inbox(uid, group_id, range(mark + 1))
        return mark

    def invite(self, by: int, uid: int) -> None:
        if by in self.members and uid not in self.members:
            self.members.add(uid)
            seq_id = self._say(self.group_id, Message(by), self.members - {by, uid})
            before = seq_id - 1
            self.conversations[uid, self.group_id] = Conversation(before, before, before, None, {seq_id})

    def quit(self, uid: int) -> None:
        if uid in self.members and len(self.members) > 1:
            seq_id = self._say(self.group_id, Message(uid), self.members - {uid})
            self.members.discard(uid)
            self.conversations[uid, self.group_id].frozen_at = seq_id

    def msg_id(self, group_id: str, back: int) -> str:
        """Return the id of one of the newest messages, "none" where there are not so many."""
        ids = [message.msg_id for message in reversed(self.messages.get(group_id, [])) if message.msg_id]
        return ids[back] if 0 <= back < len(ids) else "none"

    def max_seq(self, uid: int, group_id: str) -> int:
        frozen_at = self.conversations[uid, group_id].frozen_at
        return len(self.messages[group_id]) if frozen_at is None else frozen_at

    def seen(self, uid: int, group_id: str) -> Iterator[tuple[int, Message]]:
        """Yield what the user sees of the stream, the newest first."""
        init_seq = self.conversations[uid, group_id].init_seq
        for seq_id in range(self.max_seq(uid, group_id), init_seq, -1):
            yield seq_id, self.messages[group_id][seq_id - 1]

    def unread(self, uid: int, group_id: str) -> int:
        return sum(
            message.counts and message.sender != uid and not message.is_revoked
            for _, message in self._unread(uid, group_id)
        )

    def at_seq(self, uid: int, group_id: str) -> int:
        return next((seq_id for seq_id, message in self._unread(uid, group_id) if message.mentions(uid)), 0)

    def last_seq(self, uid: int, group_id: str) -> int:
        """Return the newest message that the user has not deleted."""
        hidden = self.conversations[uid, group_id].hidden
        return next((seq_id for seq_id, _ in self.seen(uid, group_id) if seq_id not in hidden), 0)

    def tombstones(self, uid: int, group_id: str) -> list[int]:
        """Return what the user has deleted in this turn and not cleared since."""
        mine = self.conversations[uid, group_id]
        return sorted(seq_id for seq_id, turn in mine.hidden.items() if turn == self.turn and seq_id > mine.init_seq)

    def _unread(self, uid: int, group_id: str) -> Iterator[tuple[int, Message]]:
        mine = self.conversations[uid, group_id]
        if mine.frozen_at is None:
            for seq_id, message in self.seen(uid, group_id):
                if seq_id > mine.read_seq and seq_id not in mine.hidden:
                    yield seq_id, message

    def _find(self, group_id: str, msg_id: str) -> int:
        """Return the seq of a message, 0 for none."""
        stream = enumerate(self.messages.get(group_id, ()), 1)
        return next((seq_id for seq_id, message in stream if message.msg_id == msg_id), 0)

    def _present(self, group_id: str) -> set[int]:
        if group_id == self.group_id:
            return self.members
        return {uid for uid, group in self.conversations if group == group_id}

    def _say(self, group_id: str, message: Message, receivers: set[int]) -> int:
        stream = self.messages.setdefault(group_id, [])
        stream.append(message)
        for uid in receivers:
            self.conversations[uid, group_id].inbox.add(len(stream))
        return len(stream)

    def _clear_inbox(self, uid: int, group_id: str, seq_ids: Sequence[int]) -> bool:
        """Take messages out of an inbox; say whether receive_seq rose."""
        mine = self.conversations[uid, group_id]
        mine.inbox -= set(seq_ids)
        out = min(mine.inbox) - 1 if mine.inbox else self.max_seq(uid, group_id)
        rose = out > mine.receive_seq
        mine.receive_seq = max(mine.receive_seq, out)
        return rose

    def _watermark(self, uid: int, group_id: str, read_from: int) -> Watermark:
        mine = self.conversations[uid, group_id]
        if mine.frozen_at is not None:
            count = 0  # nobody is told how far who has left has read
        else:
            count = len(self.members) if group_id == self.group_id else 2
        return uid, group_id, mine.receive_seq, mine.read_seq, read_from, count
