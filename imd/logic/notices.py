"""Notices: functional messages for users, stored for each, then pushed to every device that is online."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from imd.errors import BadRequestError, RefusedError, TooLargeError, UnavailableError
from imd.logic.groups import check_text
from imd.logic.ids import check_uid
from imd.ports.delivery import IDelivery, ISession
from imd.ports.notices import Addressed, INoticeStore, Kept, NoticeAck
from imd.ports.presence import IPresence
from imd.ports.users import IUserStore
from imd.repeating import Repeating
from imd.wire.bodies import CleanPushCount, Empty, NoticeMsg, NoticeMsgAck, PullNotice, UserData
from imd.wire.commands import Command

MAX_NOTICE_ID = 64
MAX_SENDER = 256
MAX_PAYLOAD = 64 * 1024
MAX_UIDS = 1000
"""Users for whom the notices of one call may be, one counted anew for each notice."""

ROW_SIZE = 1024
"""Bytes that a notice is taken to cost for each user beside its payload."""

MAX_SIZE = 8 * 1024 * 1024
"""Bytes that the notices of one call may cost for all their users."""

MAX_UNDER_WAY = 16 * 1024 * 1024
"""Bytes of notices that may wait for the store."""

MAX_ACKS = 1000
"""Notices one NOTICE_MSG_ACK may name."""

MAX_GATHERED = 10_000
"""ACKs that may gather before they are handed to the store at once."""

NOTICES_PAGE = 20
MAX_NOTICES_PAGE = 100

PURGE_SECONDS = 60.0
PURGE_STEP = 200
"""Notices that one change deletes at most."""

PURGE_PAUSE = 0.01
"""Seconds after a step that leave the store to others."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a notice, each uid in one place.

    ``pushed`` and ``kept`` wait for an ACK, the former have a device online that was sent it. ``acknowledged`` had it
    already, ``unknown`` never logged in: for these nothing was done.
    """

    pushed: tuple[int, ...]
    kept: tuple[int, ...]
    acknowledged: tuple[int, ...]
    unknown: tuple[int, ...]


class Notices:
    """Sends notices, and answers NOTICE_MSG_ACK, OFFLINE_NOTICE_MSG and CLEAN_PUSH_COUNT.

    ACKs gather for ``delay`` seconds. A notice without expire_time is kept for ``keep_ms``; what has expired is
    deleted in the background. ``now`` gives milliseconds since the epoch.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        store: INoticeStore,
        users: IUserStore,
        presence: IPresence,
        delivery: IDelivery,
        now: Callable[[], int],
        *,
        keep_ms: int,
        delay: float,
    ) -> None:
        self._clock = clock
        self._store = store
        self._users = users
        self._presence = presence
        self._delivery = delivery
        self._now = now
        self._delay = delay
        self._keep_ms = keep_ms
        self._under_way = 0
        self._acks: dict[NoticeAck, None] = {}
        self._steps = Repeating(clock, PURGE_SECONDS, self._purge)

    def start(self) -> None:
        """Begin to delete what has expired."""
        self._steps.start()

    def stop(self) -> None:
        """End."""
        self._steps.stop()

    async def send(self, notice: NoticeMsg, uids: Sequence[int]) -> Sent:
        """Keep a notice for each of ``uids``, then push it, as ``send_all`` does."""
        (sent,) = await self.send_all([Addressed(notice, uids)])
        return sent

    async def send_all(self, notices: Sequence[Addressed]) -> list[Sent]:
        """Keep notices for their users, all of them or none, then push them; send_time is that of the commit.

        Who was sent a notice_id before gets what they were sent then: pushed again while it waits, nothing once they
        have acknowledged it. Raises BadRequestError, TooLargeError or UnavailableError.
        """
        distinct = [Addressed(notice, tuple(dict.fromkeys(uids))) for notice, uids in notices]
        size = self._check_all(distinct)
        wanted = [Addressed(self._expiring(notice), uids) for notice, uids in distinct]
        if self._under_way + size > MAX_UNDER_WAY:
            raise UnavailableError("too many notices wait for the store; send it again later")
        self._under_way += size
        try:
            kept = await self._store.keep_notices(wanted)
        finally:
            self._under_way -= size
        reachable = await self._online({uid for each in kept for _, uids in each.waiting for uid in uids})
        self._delivery.hold()
        try:
            return [self._push(each, reachable) for each in kept]
        finally:
            self._delivery.flush()

    def acknowledged(self, session: ISession, request: NoticeMsgAck) -> None:
        """NOTICE_MSG_ACK: a device of the user has these notices."""
        for notice_id in request.notice_ids[:MAX_ACKS]:
            if _is_id(notice_id):
                if not self._acks:
                    self._clock.callLater(self._delay, self.flush)
                self._acks[NoticeAck(session.uid, notice_id)] = None
        if len(self._acks) >= MAX_GATHERED:
            self.flush()

    async def pull(self, session: ISession, request: PullNotice) -> UserData:
        """OFFLINE_NOTICE_MSG: one page of the notices that wait, the oldest first."""
        page_size = min(request.page_size or NOTICES_PAGE, MAX_NOTICES_PAGE)
        return await self._store.notices(session.uid, request.cursor, page_size, self._now())

    async def clean_push_count(self, session: ISession, _request: CleanPushCount) -> Empty:
        """CLEAN_PUSH_COUNT: the badge of offline pushes starts from 0."""
        await self._users.clear_badge(session.uid)
        return Empty()

    def flush(self) -> None:
        """Hand the ACKs that have gathered to the store."""
        if self._acks:
            acks, self._acks = list(self._acks), {}
            Deferred.fromCoroutine(self._acknowledge(acks))

    def _expiring(self, notice: NoticeMsg) -> NoticeMsg:
        wanted = NoticeMsg()
        wanted.CopyFrom(notice)
        wanted.expire_time = notice.expire_time or self._now() + self._keep_ms
        return wanted

    def _check_all(self, notices: Sequence[Addressed]) -> int:
        """Return what the notices cost the store, in bytes."""
        count = sum(len(uids) for _, uids in notices)
        if count > MAX_UIDS:
            raise TooLargeError(f"{count} uids; what is sent at once is for at most {MAX_UIDS}")
        size = sum(self._check(notice, uids) for notice, uids in notices)
        if size > MAX_SIZE:
            raise TooLargeError(f"the payloads are too large for {count} uids at once")
        return size

    def _check(self, notice: NoticeMsg, uids: Sequence[int]) -> int:
        """Return what a notice costs the store, in bytes."""
        if not _is_id(notice.notice_id):
            raise BadRequestError(f"notice_id is empty or longer than {MAX_NOTICE_ID} characters; expected a uuid")
        check_text("sender", notice.sender, MAX_SENDER)
        if len(notice.payload) > MAX_PAYLOAD:
            raise TooLargeError(f"payload has {len(notice.payload)} bytes; at most {MAX_PAYLOAD} are possible")
        now = self._now()
        if notice.expire_time and notice.expire_time <= now:
            raise BadRequestError(f"expire_time is {notice.expire_time}, but it is {now} already; 0 leaves it to imd")
        if not uids:
            raise BadRequestError("uids is empty: the notice is for nobody")
        for uid in uids:
            check_uid(uid)
        return len(uids) * (len(notice.payload) + ROW_SIZE)

    async def _online(self, uids: Collection[int]) -> frozenset[int]:
        try:
            client_types = await self._presence.client_types(list(uids))
        except UnavailableError:  # then those of this node, at least
            return frozenset(uid for uid in uids if self._delivery.sessions(uid))
        return frozenset(uid for uid, kinds in client_types.items() if kinds)

    def _push(self, kept: Kept, reachable: frozenset[int]) -> Sent:
        pushed: list[int] = []
        waiting: list[int] = []
        for notice, uids in kept.waiting:
            online = [uid for uid in uids if uid in reachable]
            if online:
                self._delivery.tell(Command.NOTICE_MSG, notice.SerializeToString(), online)
            pushed += online
            waiting += uids
        reached = frozenset(pushed)
        return Sent(
            tuple(pushed),
            tuple(uid for uid in waiting if uid not in reached),
            tuple(kept.acknowledged),
            tuple(kept.unknown),
        )

    async def _acknowledge(self, acks: Sequence[NoticeAck]) -> None:
        # A store that can't take them keeps the notices, so they are pulled and acknowledged again.
        try:
            await self._store.acknowledge_notices(acks)
        except RefusedError:
            pass
        except Exception:
            self._log.failure("ACKs of notices could not be stored")

    async def _purge(self) -> None:
        try:
            while self._steps.is_running and await self._store.expire_notices(self._now(), PURGE_STEP) == PURGE_STEP:
                await deferLater(self._clock, PURGE_PAUSE)
        except UnavailableError:
            return
        except Exception:
            self._log.failure("notices that have expired could not be deleted; it is tried again")


def _is_id(text: str) -> bool:
    return 0 < len(text) <= MAX_NOTICE_ID and "\0" not in text
