"""Coming back: what changed meanwhile is listed, the newest page of each conversation with news fetched, then ACKed."""

from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.message import Message as Body
from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from imd.client import conversations
from imd.client.errors import MAY_PASS, ClientError, ClosedError, ResultError
from imd.client.gaps import Gaps
from imd.client.keeping import Keeper
from imd.client.settings import Settings
from imd.client.store import Store
from imd.client.streams import Stream, Streams
from imd.client.values import Conversation
from imd.wire.bodies import ImGroup, ImMsgAck, ListGroup, MsgAck, UserData
from imd.wire.commands import Command

_PAGE = 200
_MAX_ACKS = 1_000


class Return:
    """``request`` asks the server, ``tell_server`` sends what has no answer; ``changed`` gets each conversation."""

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        store: Store,
        streams: Streams,
        keeper: Keeper,
        gaps: Gaps,
        settings: Settings,
        request: Callable[[Command, Body], "Deferred[Any]"],
        tell_server: Callable[[Command, Body], None],
        changed: Callable[[Conversation], None],
    ) -> None:
        self._clock = clock
        self._store = store
        self._streams = streams
        self._keeper = keeper
        self._gaps = gaps
        self._settings = settings
        self._request = request
        self._tell_server = tell_server
        self._changed = changed
        self._is_listing = False
        self._again = False
        self._pause = 0.0
        self._timer: IDelayedCall | None = None

    def refresh(self) -> None:
        """List what has changed since the last whole list; asked for meanwhile, once more after it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_listing:
            self._again = True
            return
        self._is_listing = True
        self._again = False
        Deferred.fromCoroutine(self._list()).addBoth(self._listed)

    def noticed(self, notice: UserData) -> None:
        """Take in a CONVERSATION_NOTICE."""
        if notice.groups:
            taken = Deferred.fromCoroutine(self._take(notice.groups, notice.messages))
            taken.addErrback(lambda _: self.refresh())  # the next list has it as well
        else:
            self.refresh()

    def close(self) -> None:
        """Begin nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _listed(self, outcome: Any) -> None:
        self._is_listing = False
        error = getattr(outcome, "value", None)
        if error is None:
            self._pause = 0.0
            if self._again:
                self.refresh()
            return
        if not isinstance(error, ClientError):
            self._log.failure("the conversations could not be listed", outcome)
        if isinstance(error, ClosedError):
            if self._again:
                self.refresh()  # of the next connection
        elif self._store.is_open:
            self._pause = self._settings.next_pause(self._pause)
            self._timer = self._clock.callLater(self._pause, self._try_again)

    def _try_again(self) -> None:
        self._timer = None
        self.refresh()

    async def _list(self) -> None:
        since = await self._store.call(conversations.since)
        request = ListGroup(page_size=_PAGE, since=since)
        while True:
            page: UserData = await self._request(Command.LIST_GROUP, request)
            await self._take(page.groups, page.messages)
            if not page.has_more:
                break
            request.cursor = page.cursor
        await self._store.call(lambda database: conversations.set_since(database, page.server_time))

    async def _take(self, groups: Iterable[ImGroup], tombstones: Any) -> None:
        told = await self._keeper.keep(groups, tombstones)
        behind = [stream for stream in self._streams.learn(told) if self._gaps.hold(stream)]
        try:
            await self._fetch(behind)
        finally:
            for stream in behind:
                self._gaps.release(stream)
        for conversation in told:
            self._changed(conversation)

    async def _fetch(self, behind: "list[Stream]") -> None:
        """Fetch the newest page of each, some at once, and ACK up to there: what is missing below is known to be."""
        waiting = iter(behind)

        async def fetch_some() -> None:
            for stream in waiting:
                known = stream.known
                try:
                    await self._keeper.fetch(stream.group_id, max(stream.shown, 0), known + 1, self._settings.page_size)
                except ResultError as error:
                    if error.result in MAY_PASS:
                        raise
                    continue  # who fills its gaps finds out what is with it
                acks.append(ImMsgAck(group_id=stream.group_id, seq_id=known))

        acks: list[ImMsgAck] = []
        workers = [Deferred.fromCoroutine(fetch_some()) for _ in range(min(self._settings.pulls, len(behind)))]
        try:
            await gatherResults(workers, consumeErrors=True)
        except FirstError as error:
            error.subFailure.raiseException()
        for start in range(0, len(acks), _MAX_ACKS):
            self._tell_server(Command.IM_MSG_ACK, MsgAck(acks=acks[start : start + _MAX_ACKS]))
