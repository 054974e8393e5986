"""The send queue: one FIFO per conversation, kept in the local store.

The rule of order: of one conversation one message is under way, and the next goes out once the server has stored it.

- A lost connection, UNAVAILABLE and RATE_LIMITED pass: the message stays first and is sent again, under the same msgId.
- No ACK in time, or INTERNAL: whether it is stored can't be known. The message is FAILURE, and those behind it wait
  until it is sent again (``resend``), dropped (``discard``), or turns up among what the server has stored.
- Any other refusal: the message is FAILURE for the reason given, it is not stored, and holds nobody up. ``resend``
  puts it at the end.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.message import Message as Body
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from imd.client import messages
from imd.client.answer import Answer
from imd.client.database import Database
from imd.client.errors import PASSING, BusyError, ClosedError, ResultError, UnknownMessageError
from imd.client.keeping import Keeper
from imd.client.settings import Settings
from imd.client.store import Intake, Store
from imd.client.values import Message, body_of
from imd.wire.bodies import ImMsgAck
from imd.wire.commands import Command
from imd.wire.enums import Status
from imd.wire.results import Result

_LOADED = 100
"""Messages of one conversation's queue that are in memory; the others are in the store."""
_SENDING, _FAILURE, _SUCCESS = int(Status.SENDING), int(Status.FAILURE), int(Status.SUCCESS)


class _Queued(NamedTuple):
    """A message to be stored, and who waits for that."""

    message: Message
    answer: Answer[Message]


class _Lane:
    """The queue of one conversation."""

    __slots__ = ("group_id", "has_more", "is_held", "is_loading", "last", "pause", "timer", "under_way", "waiting")

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        self.waiting: deque[Message] = deque()
        self.last = 0
        """The place of the last one that was in memory."""
        self.has_more = False
        """Whether more are in the store."""
        self.is_loading = False
        self.under_way: Message | None = None
        self.is_held = False
        """Whether the first one has failed, and those behind it wait."""
        self.pause = 0.0
        self.timer: IDelayedCall | None = None


class SendQueue:
    """``request`` asks the server, ``is_online`` says whether there is one; ``status`` gets each message as it changes.

    ``stored`` gets each message once the server has stored it.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        store: Store,
        keeper: Keeper,
        settings: Settings,
        request: Callable[[Command, Body], "Deferred[Any]"],
        is_online: Callable[[], bool],
        status: Callable[[Message], None],
        stored: Callable[[Message], None],
    ) -> None:
        self._clock = clock
        self._store = store
        self._keeper = keeper
        self._settings = settings
        self._request = request
        self._is_online = is_online
        self._status = status
        self._stored = stored
        self._lanes: dict[str, _Lane] = {}
        self._ready: deque[_Lane] = deque()
        self._under_way = 0
        self._count = 0
        self._last_queue_id = 0
        self._acking: set[str] = set()
        self._queue: Intake[_Queued, None] = Intake("queued", self._write_queued, self._queued, self._not_queued)
        self._acks: Intake[Message, None] = Intake("acked", self._write_acked, self._acked, self._not_acked)

    def open(self, database: Database) -> None:
        """Go on with what the store has."""
        self._last_queue_id = messages.last_queue_id(database)
        for group_id, count in messages.queues(database).items():
            self._lane(group_id).has_more = True
            self._count += count

    def __len__(self) -> int:
        """Return how many messages wait, those included that hold others up."""
        return self._count

    def put(self, message: Message) -> Answer[Message]:
        """Queue a message; fires with it once it is stored here. Fails with BusyError or StoreError."""
        answer: Answer[Message] = Answer()
        if self._count >= self._settings.max_queued:
            answer.errback(Failure(BusyError(f"{self._settings.max_queued} messages wait to be sent already")))
            return answer
        self._count += 1
        self._last_queue_id += 1
        queued = message._replace(status=_SENDING, result=0, reason="", queue_id=self._last_queue_id)
        self._store.put(self._queue, _Queued(queued, answer))
        return answer

    async def resend(self, msg_id: str) -> Message:
        """Send again what is FAILURE, under its msgId. Raises UnknownMessageError."""
        message = await self._failed_one(msg_id)
        if message.status == _SENDING:
            return message
        if not _holds(message):
            message = await self.put(message)
            self._status(message)
            return message
        message = message._replace(status=_SENDING, result=0, reason="")
        await self._store.call(lambda database: messages.set_status(database, message))
        lane = self._lane(message.group_id)
        if lane.waiting and lane.waiting[0].msg_id == msg_id:
            lane.waiting[0] = message
        else:
            lane.has_more = True
        lane.is_held = False
        self._status(message)
        self._go(lane)
        return message

    async def discard(self, msg_id: str) -> None:
        """Drop what is FAILURE. Raises UnknownMessageError."""
        message = await self._failed_one(msg_id)
        if message.status == _SENDING:
            raise UnknownMessageError(f"{msg_id} is being sent; only what has failed can be dropped")
        await self._store.call(lambda database: messages.discard(database, message))
        if _holds(message):
            self._let_go(message)

    def found(self, message: Message) -> None:
        """Take in that a message without an ACK was found among what the server has stored."""
        if message.msg_id not in self._acking:
            self._let_go(message)
            self._status(message)

    def came_online(self) -> None:
        """Send what waits."""
        for lane in list(self._lanes.values()):
            self._go(lane)

    def went_offline(self) -> None:
        """Keep what waits."""
        for lane in self._ready:
            lane.under_way = None
        self._ready.clear()

    def close(self) -> None:
        """Send nothing more."""
        for lane in self._lanes.values():
            if lane.timer is not None:
                lane.timer.cancel()
                lane.timer = None

    # One lane.

    def _lane(self, group_id: str) -> _Lane:
        lane = self._lanes.get(group_id)
        if lane is None:
            lane = self._lanes[group_id] = _Lane(group_id)
        return lane

    def _append(self, lane: _Lane, message: Message) -> None:
        if lane.has_more or lane.is_loading or len(lane.waiting) >= _LOADED:
            lane.has_more = True
        else:
            lane.waiting.append(message)
            lane.last = message.queue_id

    def _go(self, lane: _Lane) -> None:
        """Let a lane's first message out, if nothing is in its way."""
        if lane.under_way is not None or lane.is_held or lane.timer is not None or lane.is_loading:
            return
        if not lane.waiting:
            if lane.has_more:
                self._load(lane)
            else:
                self._lanes.pop(lane.group_id, None)
        elif self._is_online():
            lane.under_way = lane.waiting[0]
            self._ready.append(lane)
            self._send_ready()

    def _send_ready(self) -> None:
        while self._ready and self._under_way < self._settings.max_under_way:
            lane = self._ready.popleft()
            message = lane.under_way
            assert message is not None
            self._under_way += 1
            self._request(Command.IM_SEND_MSG, body_of(message)).addCallbacks(
                self._answered, self._refused, callbackArgs=(lane, message), errbackArgs=(lane, message)
            )

    def _answered(self, ack: ImMsgAck, lane: _Lane, message: Message) -> None:
        self._under_way -= 1
        lane.under_way = None
        lane.pause = 0.0
        if lane.waiting and lane.waiting[0].msg_id == message.msg_id:  # else it was found meanwhile
            lane.waiting.popleft()
            self._count -= 1
            self._acking.add(message.msg_id)
            stored = message._replace(seq_id=ack.seq_id, send_time=ack.send_time, status=_SUCCESS)
            self._store.put(self._acks, stored)
        self._go(lane)
        self._send_ready()

    def _refused(self, failure: Failure, lane: _Lane, message: Message) -> None:
        self._under_way -= 1
        lane.under_way = None
        error = failure.value
        if isinstance(error, ClosedError):
            return  # it is the first of the next connection
        result = error.result if isinstance(error, ResultError) else 0
        if result in PASSING or isinstance(error, BusyError):
            self._pause(lane)
        else:
            self._fail(lane, message, result, str(error))
        self._send_ready()

    def _pause(self, lane: _Lane) -> None:
        lane.pause = self._settings.next_pause(lane.pause)

        def go_on() -> None:
            lane.timer = None
            self._go(lane)

        lane.timer = self._clock.callLater(lane.pause, go_on)

    def _fail(self, lane: _Lane, message: Message, result: int, reason: str) -> None:
        if not lane.waiting or lane.waiting[0].msg_id != message.msg_id:
            return  # it was found meanwhile
        failed = message._replace(status=_FAILURE, result=result, reason=reason)
        if _holds(failed):
            lane.is_held = True
            lane.waiting[0] = failed
        else:
            lane.waiting.popleft()
            self._count -= 1
        kept = self._store.call(lambda database: messages.set_status(database, failed))
        kept.addErrback(self._unkept).addCallback(lambda _: self._status(failed))
        self._go(lane)

    def _let_go(self, message: Message) -> None:
        """Take a message that is done with out of its queue."""
        lane = self._lane(message.group_id)
        self._count -= 1
        for waiting in lane.waiting:
            if waiting.msg_id == message.msg_id:
                if waiting is lane.waiting[0]:
                    lane.is_held = False
                lane.waiting.remove(waiting)
                break
        self._go(lane)

    def _load(self, lane: _Lane) -> None:
        lane.is_loading = True
        lane.has_more = False
        last = lane.last
        loaded = self._store.call(lambda database: messages.queued(database, lane.group_id, last, _LOADED))
        loaded.addCallbacks(self._loaded, self._unkept, callbackArgs=(lane,))

    def _loaded(self, page: list[Message], lane: _Lane) -> None:
        lane.is_loading = False
        lane.waiting.extend(page)
        lane.has_more = lane.has_more or len(page) == _LOADED
        if page:
            lane.last = page[-1].queue_id
            lane.is_held = page[0].status == _FAILURE
        self._go(lane)

    # The store.

    def _write_queued(self, items: list[_Queued]) -> None:
        messages.queue(self._store.database, [item.message for item in items])

    def _queued(self, items: list[_Queued], _: None) -> None:
        for message, answer in items:
            lane = self._lane(message.group_id)
            self._append(lane, message)
            self._go(lane)
            if not answer.called:  # who waited may have given up
                answer.callback(message)

    def _not_queued(self, items: list[_Queued], error: Exception) -> None:
        self._count -= len(items)
        for _, answer in items:
            answer.errback(Failure(error))

    def _write_acked(self, acked: list[Message]) -> None:
        messages.set_acked(self._store.database, acked)
        self._keeper.move(acked)

    def _acked(self, acked: list[Message], _: None) -> None:
        for message in acked:
            self._acking.discard(message.msg_id)
            self._stored(message)
            self._status(message)

    def _not_acked(self, acked: list[Message], _error: Exception) -> None:
        """Leave them SENDING in the store: they are found on the server, or sent again the next time."""
        self._acking.difference_update(message.msg_id for message in acked)

    async def _failed_one(self, msg_id: str) -> Message:
        message = await self._store.call(lambda database: messages.unsent_one(database, msg_id))
        if message is None:
            raise UnknownMessageError(f"no message {msg_id} waits or has failed")
        return message

    def _unkept(self, failure: Failure) -> None:
        self._log.error("the send queue could not be kept: {reason}", reason=failure.getErrorMessage())


def _holds(message: Message) -> bool:
    """Return whether a message that is FAILURE keeps those behind it waiting."""
    return message.result in (0, Result.INTERNAL)
