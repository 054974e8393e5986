"""How far each conversation is shown: one number up to which all was, and one that says how far it goes."""

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from imd.client import conversations
from imd.client.database import Database
from imd.client.store import Store
from imd.client.values import Conversation, Message
from imd.wire.enums import MsgStatus

UNKNOWN = -1
_DELETED = int(MsgStatus.DELETED)


class Stream:
    """One conversation. What is stored between ``shown`` and ``known`` waits for what is missing before it.

    ``shown`` is UNKNOWN until the server has told where the history begins.
    """

    __slots__ = ("group_id", "is_filling", "known", "pause", "shown")

    def __init__(self, group_id: str, shown: int = UNKNOWN, known: int = 0) -> None:
        self.group_id = group_id
        self.shown = shown
        self.known = known
        self.is_filling = False
        """Whether ``imd.client.gaps`` is at it; then nobody else shows anything of it."""
        self.pause = 0.0
        """Seconds before the next try, after one that failed."""

    @property
    def is_behind(self) -> bool:
        """Whether there is something to fetch or to show."""
        return self.shown < self.known


class Streams(dict[str, Stream]):
    """All, by group id; one that is asked for is there. ``show`` gets each message once, in order.

    How far each was shown is kept within ``delay`` seconds. So what was shown in the last of them before the
    application is killed is shown once more; nothing is left out.
    """

    def __init__(self, clock: IReactorTime, store: Store, delay: float, show: Callable[[Message], None]) -> None:
        super().__init__()
        self._clock = clock
        self._store = store
        self._delay = delay
        self._show = show
        self._moved: set[Stream] = set()
        self._is_due = False

    def __missing__(self, group_id: str) -> Stream:
        stream = self[group_id] = Stream(group_id)
        return stream

    def open(self, database: Database) -> None:
        """Take in how far the store is."""
        for place in conversations.places(database):
            self[place.group_id] = Stream(place.group_id, place.shown_seq, place.max_seq)

    def learn(self, told: Iterable[Conversation]) -> list[Stream]:
        """Take in how far conversations go, and return those with something missing."""
        behind = []
        for conversation in told:
            if not conversation.max_seq:
                continue  # nothing was said in it yet, or the user is not in it
            stream = self[conversation.group_id]
            stream.shown = max(stream.shown, conversation.shown_seq)
            stream.known = max(stream.known, conversation.max_seq)
            if stream.is_behind:
                behind.append(stream)
        return behind

    def move(self, stream: Stream, message: Message) -> None:
        """Show the next message of a stream, unless it was sent from here or deleted."""
        self.pass_over(stream, message.seq_id)
        if not message.queue_id and message.msg_status != _DELETED:
            self._show(message)

    def pass_over(self, stream: Stream, shown: int) -> None:
        """Go on after a seq, whatever was before it."""
        stream.shown = shown
        self._moved.add(stream)
        if not self._is_due:
            self._is_due = True
            self._clock.callLater(self._delay, self.flush)

    def flush(self) -> None:
        """Keep how far everything was shown."""
        self._is_due = False
        if self._moved and self._store.is_open:
            moved, self._moved = self._moved, set()
            shown = [(stream.shown, stream.group_id) for stream in moved]

            def again(_: Any) -> None:
                self._moved |= moved  # with the next

            self._store.call(lambda database: conversations.set_shown(database, shown)).addErrback(again)
