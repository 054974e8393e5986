"""What is pushed: stored, then ACKed, then shown, once and in order."""

from collections.abc import Callable
from typing import NamedTuple

from twisted.internet.interfaces import IReactorTime

from imd.client.gaps import Gaps
from imd.client.keeping import Keeper
from imd.client.messages import Inserted
from imd.client.settings import Settings
from imd.client.store import Intake, Store
from imd.client.streams import Streams
from imd.client.values import Message, message_of
from imd.wire.bodies import ImMsg
from imd.wire.enums import MsgType

_PASSTHROUGH = int(MsgType.PASSTHROUGH)


class _Received(NamedTuple):
    """A pushed message, what to ACK it with, and on which of the connections."""

    message: Message
    trace_id: int
    connection: int


class Receiver:
    """``acknowledge`` ACKs a push; ``passed`` gets what only passes through."""

    def __init__(
        self,
        clock: IReactorTime,
        store: Store,
        streams: Streams,
        keeper: Keeper,
        gaps: Gaps,
        settings: Settings,
        acknowledge: Callable[[int], None],
        passed: Callable[[Message], None],
    ) -> None:
        self._clock = clock
        self._store = store
        self._streams = streams
        self._keeper = keeper
        self._gaps = gaps
        self._settings = settings
        self._acknowledge = acknowledge
        self._passed = passed
        self._connection = 0
        self._unstored = 0
        self._acks: dict[str, tuple[int, int]] = {}
        self._is_due = False
        self._intake: Intake[_Received, Inserted] = Intake("received", self._write, self._done, self._failed)

    def pushed(self, body: ImMsg, trace_id: int) -> None:
        """Take in a pushed message."""
        message = message_of(body)
        if not message.seq_id:
            if message.msg_type == _PASSTHROUGH:
                self._passed(message)
        elif self._unstored < self._settings.max_unstored:
            self._unstored += 1
            self._store.put(self._intake, _Received(message, trace_id, self._connection))
        else:
            self._gaps.known(self._streams[message.group_id], message.seq_id)

    def stored(self, message: Message) -> None:
        """Go on after a message that the store has now."""
        stream = self._streams[message.group_id]
        seq_id = message.seq_id
        if seq_id == stream.shown + 1 and not stream.is_filling and stream.shown >= 0:
            stream.known = max(stream.known, seq_id)
            self._streams.move(stream, message)
            self._gaps.fill(stream)
        elif seq_id > stream.shown:
            self._gaps.known(stream, seq_id)

    def went_offline(self) -> None:
        """Forget the ACKs of a connection that has ended."""
        self._connection += 1
        self._acks.clear()

    def flush(self) -> None:
        """Send the ACKs that have gathered."""
        self._is_due = False
        acks, self._acks = self._acks, {}
        for _, trace_id in acks.values():
            self._acknowledge(trace_id)

    def _write(self, items: list[_Received]) -> Inserted:
        return self._keeper.insert([item.message for item in items])

    def _done(self, items: list[_Received], inserted: Inserted) -> None:
        self._unstored -= len(items)
        self._keeper.tell(inserted)
        mine = inserted.mine
        acks = self._acks
        for message, trace_id, connection in items:
            if connection == self._connection:
                newest = acks.get(message.group_id)
                if newest is None or message.seq_id > newest[0]:  # it covers those below it
                    acks[message.group_id] = message.seq_id, trace_id
            self.stored(mine.get(message.msg_id, message) if mine else message)
        if acks and not self._is_due:
            self._is_due = True
            self._clock.callLater(self._settings.ack_seconds, self.flush)

    def _failed(self, items: list[_Received], _error: Exception) -> None:
        self._unstored -= len(items)
        for item in items:
            self._gaps.known(self._streams[item.message.group_id], item.message.seq_id)
