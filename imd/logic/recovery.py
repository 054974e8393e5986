"""After a doubt: what this node's users may have missed of other nodes is found in the database, and told."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import ParamSpec, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from imd.errors import UnavailableError
from imd.logic.chat import Chat
from imd.ports.conversations import IConversationStore
from imd.ports.delivery import IDelivery
from imd.ports.messages import IMessageStore, OverdueCursor
from imd.ports.notices import INoticeStore
from imd.wire.bodies import UserData
from imd.wire.commands import Command

MARGIN_MS = 5_000
"""How far around the doubt is looked: the clocks of nodes differ, and commits were under way."""

STEP_SECONDS = 0.05
"""How often some of the users have their turn."""

RETRY_SECONDS = 1.0
"""How long to wait where the store is away."""

MAX_GROUPS = 100
"""Conversations that one notice names; where more have changed, LIST_GROUP tells."""

MAX_NOTICE = 64 * 1024
"""Bytes of one notice; what would be longer LIST_GROUP tells, when the client asks for it."""

NOTICES_PAGE = 100
"""Notices that are read at once."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Recovery:
    """Goes through this node's users, so many a second, and makes good what a lost frame would have brought.

    First their inboxes are pushed, a page each, as by the sweep. Then they are sent the conversations that have changed
    since the doubt began, in CONVERSATION_NOTICE, and the notices of that time. ``delivery`` is this node's own;
    ``now`` gives milliseconds since the epoch.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        messages: IMessageStore,
        conversations: IConversationStore,
        notices: INoticeStore,
        delivery: IDelivery,
        chat: Chat,
        now: Callable[[], int],
        users_per_second: int,
    ) -> None:
        self._clock = clock
        self._messages = messages
        self._conversations = conversations
        self._notices = notices
        self._delivery = delivery
        self._chat = chat
        self._now = now
        self._per_step = max(1, round(users_per_second * STEP_SECONDS))
        self._since: int | None = None
        self._running: Deferred[None] | None = None
        self._is_stopped = False

    def doubt(self, since: int) -> None:
        """Something may have been missed since then (ms); where this comes amid a round, there is one more after it."""
        self._since = since if self._since is None else min(since, self._since)
        if self._running is None and not self._is_stopped:
            self._running = running = Deferred.fromCoroutine(self._run())
            running.addBoth(self._ended)
            running.addErrback(lambda failure: failure.trap(CancelledError))

    def stop(self) -> None:
        """End; doubts come to nothing from here on."""
        self._is_stopped = True
        if self._running is not None:
            self._running.cancel()

    def _ended(self, result: Result) -> Result:
        self._running = None
        return result

    async def _run(self) -> None:
        while self._since is not None:
            since, self._since = self._since - MARGIN_MS, None
            before = self._now() + MARGIN_MS  # what is stored later isn't in doubt
            users = self._delivery.online()
            self._log.info("{n} users are looked after, to whom something may have got lost", n=len(users))
            for here in self._steps(users):
                await self._attempt(self._push_inboxes, here, before)
                await deferLater(self._clock, STEP_SECONDS)
            for here in self._steps(users):
                for uid in here:
                    await self._attempt(self._tell_changes, uid, since)
                    await self._attempt(self._push_notices, uid, since)
                await deferLater(self._clock, STEP_SECONDS)

    def _steps(self, users: Sequence[int]) -> Iterator[list[int]]:
        for first in range(0, len(users), self._per_step):
            yield [uid for uid in users[first : first + self._per_step] if self._delivery.sessions(uid)]

    async def _attempt(
        self, work: Callable[Arguments, Awaitable[None]], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> None:
        while True:
            try:
                return await work(*args, **kwargs)
            except CancelledError:
                raise
            except UnavailableError:
                await deferLater(self._clock, RETRY_SECONDS)
            except Exception:  # the others are looked after all the same
                self._log.failure("what users may have missed could not be told; the sweep and LIST_GROUP bring it")
                return None

    async def _push_inboxes(self, uids: Sequence[int], before: int) -> None:
        overdue = await self._messages.overdue([OverdueCursor(uid) for uid in uids], before)
        self._delivery.hold()
        try:
            for found in overdue:
                for message in found.messages:
                    self._delivery.push(self._chat.push_of(message), (found.uid,))
        finally:
            self._delivery.flush()

    async def _tell_changes(self, uid: int, since: int) -> None:
        changed = await self._conversations.conversations(uid, "", MAX_GROUPS, since)
        if changed.groups:
            told = UserData(groups=changed.groups, messages=changed.messages)
            if changed.has_more or told.ByteSize() > MAX_NOTICE:
                told = UserData()  # asks for LIST_GROUP
            self._delivery.tell(Command.CONVERSATION_NOTICE, told.SerializeToString(), (uid,))

    async def _push_notices(self, uid: int, since: int) -> None:
        page = UserData(has_more=True)
        while page.has_more:
            page = await self._notices.notices(uid, page.cursor, NOTICES_PAGE, self._now())
            self._delivery.hold()
            try:
                for notice in page.notices:
                    if notice.send_time >= since:
                        self._delivery.tell(Command.NOTICE_MSG, notice.SerializeToString(), (uid,))
            finally:
                self._delivery.flush()
