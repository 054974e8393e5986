"""Notices: what may be sent, who is pushed it, how ACKs gather, how pages are asked for, how what has expired goes."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from imd.errors import BadRequestError, TooLargeError, UnavailableError
from imd.gateway.sessions import Session
from imd.logic import notices
from imd.logic.notices import MAX_ACKS, MAX_PAYLOAD, PURGE_PAUSE, PURGE_SECONDS, PURGE_STEP, Notices, Sent
from imd.ports.notices import Addressed, INoticeStore, Kept, NoticeAck
from imd.ports.presence import Location
from imd.presence.memory import MemoryPresence
from imd.wire.bodies import CleanPushCount, Empty, NoticeMsg, NoticeMsgAck, PullNotice, UserData
from imd.wire.commands import Command

from .parts import NOW, LogicTestCase, parsed

DELAY = 0.05
KEEP_MS = 86_400_000
COMMITTED = NOW + 7
"""The time of every commit here."""


@implementer(INoticeStore)
class Board:
    """Keeps what it is handed; commits at once, unless the test holds it up. It raises ``error`` if that is set."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.commit: Deferred[None] | None = None
        self.kept: list[tuple[NoticeMsg, list[int]]] = []
        self.outcome: Kept | None = None
        self.acks: list[list[NoticeAck]] = []
        self.asked: list[tuple[Any, ...]] = []
        self.page = UserData()
        self.expired = 0
        self.purges: list[tuple[int, int]] = []

    async def keep_notices(self, notices: Sequence[Addressed]) -> Sequence[Kept]:
        await self._work()
        return [self._keep(notice, uids) for notice, uids in notices]

    def _keep(self, notice: NoticeMsg, uids: Sequence[int]) -> Kept:
        self.kept.append((notice, list(uids)))
        if self.outcome is not None:
            return self.outcome
        kept = NoticeMsg()
        kept.CopyFrom(notice)
        kept.send_time = COMMITTED
        return Kept([(kept, uids)], (), ())

    async def acknowledge_notices(self, acks: Sequence[NoticeAck]) -> None:
        self.acks.append(list(acks))
        await self._work()

    async def notices(self, uid: int, cursor: str, page_size: int, now: int) -> UserData:
        self.asked.append((uid, cursor, page_size, now))
        return self.page

    async def expire_notices(self, now: int, limit: int) -> int:
        self.purges.append((now, limit))
        await self._work()
        dropped = min(self.expired, limit)
        self.expired -= dropped
        return dropped

    async def _work(self) -> None:
        if self.commit is not None:
            await self.commit
        if self.error is not None:
            raise self.error


class NoticesTestCase(LogicTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.board = Board()
        self.presence = MemoryPresence()
        self.notices = Notices(
            self.clock, self.board, self.store, self.presence, self.sessions, self.now, keep_ms=KEEP_MS, delay=DELAY
        )

    def login(self, uid: int, client_type: int = 11, name: str = "", is_admin: bool = False) -> Session:
        """Return a session of ``uid``, who is online from here on."""
        session = super().login(uid, client_type, name, is_admin)
        self.wait(self.presence.login(uid, client_type, Location("here", session.session_id)))
        return session

    def pushed(self, session: Session) -> list[NoticeMsg]:
        """Return the notices that were sent to a session."""
        packets = self.sent(session)
        assert {packet.command for packet in packets} <= {Command.NOTICE_MSG}
        return [parsed(packet, NoticeMsg) for packet in packets]


class Sending(NoticesTestCase):
    def test_it_is_pushed_to_every_device_online_as_it_was_kept(self) -> None:
        phone, tablet, friend, other = self.login(1), self.login(1, 25), self.login(2), self.login(9)
        notice = NoticeMsg(notice_id="n", notice_type=7, payload=b"\0\xff", sender="shop", expire_time=NOW + 1)
        self.wait(self.notices.send(notice, [1, 2]))
        expected = NoticeMsg(
            notice_id="n", notice_type=7, payload=b"\0\xff", sender="shop", expire_time=NOW + 1, send_time=COMMITTED
        )
        for session in (phone, tablet, friend):
            assert self.pushed(session) == [expected]
        assert self.pushed(other) == []

    def test_nothing_is_pushed_before_it_is_durable(self) -> None:
        phone = self.login(1)
        self.board.commit = Deferred()
        sending = Deferred.fromCoroutine(self.notices.send(NoticeMsg(notice_id="n"), [1]))
        assert self.pushed(phone) == []
        self.board.commit.callback(None)
        self.successResultOf(sending)
        assert len(self.pushed(phone)) == 1

    def test_nothing_is_pushed_that_could_not_be_kept(self) -> None:
        phone = self.login(1)
        self.board.error = UnavailableError("full")
        self.refused(self.notices.send(NoticeMsg(notice_id="n"), [1]), UnavailableError)
        assert self.pushed(phone) == []

    def test_it_says_of_each_what_became_of_it(self) -> None:
        phone = self.login(1)
        away, had, unknown = self.login(2), self.login(4), self.login(5)
        self.wait(self.presence.logout(2, 11, Location("here", away.session_id)))
        self.board.outcome = Kept([(NoticeMsg(notice_id="n"), [1, 2, 3])], [4], [5])
        sent = self.wait(self.notices.send(NoticeMsg(notice_id="n"), [1, 2, 3, 4, 5]))
        assert sent == Sent(pushed=(1,), kept=(2, 3), acknowledged=(4,), unknown=(5,))
        assert len(self.pushed(phone)) == 1
        for session in (away, had, unknown):
            assert self.pushed(session) == []

    def test_who_had_it_already_is_pushed_what_they_were_sent_then(self) -> None:
        old, new = self.login(1), self.login(2)
        first, again = NoticeMsg(notice_id="n", payload=b"first"), NoticeMsg(notice_id="n", payload=b"again")
        self.board.outcome = Kept([(again, [2]), (first, [1])], (), ())
        sent = self.wait(self.notices.send(again, [1, 2]))
        assert sorted(sent.pushed) == [1, 2]
        assert self.pushed(old) == [first]
        assert self.pushed(new) == [again]

    def test_each_connection_is_written_to_once(self) -> None:
        self.login(1)
        held: list[bool] = []
        tell = self.sessions.tell

        def watched(*args: Any) -> int:
            held.append(self.outbox.is_held)
            return tell(*args)

        self.patch(self.sessions, "tell", watched)
        self.wait(self.notices.send(NoticeMsg(notice_id="n"), [1]))
        assert held == [True]
        assert not self.outbox.is_held

    def test_it_is_encoded_once_for_all_who_are_online(self) -> None:
        for uid in (1, 2, 3):
            self.login(uid)
        told: list[list[int]] = []
        self.patch(self.sessions, "tell", lambda command, body, uids: told.append(list(uids)))
        self.wait(self.notices.send(NoticeMsg(notice_id="n"), [1, 2, 3, 4]))
        assert told == [[1, 2, 3]]

    def test_a_user_named_twice_gets_it_once(self) -> None:
        phone = self.login(1)
        assert self.wait(self.notices.send(NoticeMsg(notice_id="n"), [1, 1])).pushed == (1,)
        assert len(self.pushed(phone)) == 1
        assert self.board.kept[0][1] == [1]

    def test_without_an_expire_time_it_is_kept_as_long_as_is_configured(self) -> None:
        notice = NoticeMsg(notice_id="n")
        self.wait(self.notices.send(notice, [1]))
        assert self.board.kept[0][0].expire_time == NOW + KEEP_MS
        assert notice.expire_time == 0

    def test_an_expire_time_is_kept(self) -> None:
        self.wait(self.notices.send(NoticeMsg(notice_id="n", expire_time=NOW + 1), [1]))
        assert self.board.kept[0][0].expire_time == NOW + 1


class Limits(NoticesTestCase):
    def refuses(self, kind: type[Exception], notice: NoticeMsg, uids: Sequence[int]) -> None:
        """Send a notice that is refused and reaches no store."""
        self.refused(self.notices.send(notice, uids), kind)
        assert self.board.kept == []

    def test_a_notice_needs_an_id(self) -> None:
        for notice_id in ("", "n" * 65, "a\0b"):
            self.refuses(BadRequestError, NoticeMsg(notice_id=notice_id), [1])
        self.wait(self.notices.send(NoticeMsg(notice_id="é" * 64), [1]))

    def test_a_sender_has_at_most_256_bytes(self) -> None:
        self.refuses(TooLargeError, NoticeMsg(notice_id="n", sender="s" * 257), [1])
        self.wait(self.notices.send(NoticeMsg(notice_id="n", sender="s" * 256), [1]))

    def test_a_payload_has_at_most_64_kib(self) -> None:
        self.refuses(TooLargeError, NoticeMsg(notice_id="n", payload=bytes(MAX_PAYLOAD + 1)), [1])
        self.wait(self.notices.send(NoticeMsg(notice_id="n", payload=bytes(MAX_PAYLOAD)), [1]))

    def test_what_has_expired_already_is_refused(self) -> None:
        for expire_time in (-1, 1, NOW):
            self.refuses(BadRequestError, NoticeMsg(notice_id="n", expire_time=expire_time), [1])

    def test_it_is_for_somebody_who_can_exist(self) -> None:
        for uids in ([], [0], [1, -1], [2**63]):
            self.refuses(BadRequestError, NoticeMsg(notice_id="n"), uids)

    def test_it_is_for_at_most_1000_at_once(self) -> None:
        self.refuses(TooLargeError, NoticeMsg(notice_id="n"), range(1, 1002))
        self.wait(self.notices.send(NoticeMsg(notice_id="n"), range(1, 1001)))

    def test_a_large_payload_is_for_fewer_at_once(self) -> None:
        notice = NoticeMsg(notice_id="n", payload=bytes(MAX_PAYLOAD))
        self.refuses(TooLargeError, notice, range(1, 1001))
        self.wait(self.notices.send(notice, range(1, 101)))

    def test_past_so_many_bytes_that_wait_for_the_store_the_next_is_refused_at_once(self) -> None:
        self.board.commit = commit = Deferred()
        notice = NoticeMsg(notice_id="n", payload=bytes(MAX_PAYLOAD))
        waiting = [Deferred.fromCoroutine(self.notices.send(notice, range(1, 101))) for _ in range(2)]
        self.refuses(UnavailableError, notice, range(1, 101))
        self.board.commit = None
        commit.callback(None)
        for sending in waiting:
            self.successResultOf(sending)
        self.wait(self.notices.send(notice, range(1, 101)))

    def test_what_the_store_refused_waits_no_longer(self) -> None:
        notice = NoticeMsg(notice_id="n", payload=bytes(MAX_PAYLOAD))
        self.board.error = UnavailableError("full")
        for _ in range(5):
            assert self.refused(self.notices.send(notice, range(1, 101)), UnavailableError) == "full"


class Acknowledging(NoticesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.me = self.login(1)

    def ack(self, *notice_ids: str, session: Session | None = None) -> None:
        self.notices.acknowledged(session or self.me, NoticeMsgAck(notice_ids=notice_ids))

    def test_acks_gather_and_are_handed_over_together(self) -> None:
        self.ack("a", "b")
        self.clock.advance(DELAY / 2)
        self.ack("c")
        self.ack("a", session=self.login(2))
        assert self.board.acks == []
        assert len(self.clock.getDelayedCalls()) == 1
        self.clock.advance(DELAY / 2)
        assert self.board.acks == [[NoticeAck(1, "a"), NoticeAck(1, "b"), NoticeAck(1, "c"), NoticeAck(2, "a")]]
        self.clock.advance(DELAY)
        assert len(self.board.acks) == 1

    def test_those_of_the_next_moment_are_handed_over_too(self) -> None:
        for notice_id in ("a", "b"):
            self.ack(notice_id)
            self.clock.advance(DELAY)
        assert self.board.acks == [[NoticeAck(1, "a")], [NoticeAck(1, "b")]]

    def test_the_same_from_several_devices_is_handed_over_once(self) -> None:
        self.ack("a", "a")
        self.ack("a", session=self.login(1, 25))
        self.clock.advance(DELAY)
        assert self.board.acks == [[NoticeAck(1, "a")]]

    def test_ids_that_no_notice_can_have_are_ignored(self) -> None:
        self.ack("", "n" * 65, "a\0b")
        self.clock.advance(DELAY)
        assert self.board.acks == []

    def test_one_request_names_at_most_1000(self) -> None:
        self.ack(*map(str, range(MAX_ACKS + 1)))
        self.clock.advance(DELAY)
        assert self.board.acks == [[NoticeAck(1, str(number)) for number in range(MAX_ACKS)]]

    def test_past_a_bound_they_are_handed_over_at_once(self) -> None:
        self.patch(notices, "MAX_GATHERED", 3)
        self.ack("a", "b")
        assert self.board.acks == []
        self.ack("c")
        assert len(self.board.acks) == 1

    def test_nobody_is_answered(self) -> None:
        self.ack("a")
        self.clock.advance(DELAY)
        assert self.sent(self.me) == []

    def test_a_store_that_is_away_costs_nothing_but_another_ack(self) -> None:
        self.board.error = UnavailableError("full")
        self.ack("a")
        self.clock.advance(DELAY)
        self.board.error = None
        self.ack("a")
        self.clock.advance(DELAY)
        assert self.board.acks == [[NoticeAck(1, "a")]] * 2

    def test_an_error_of_the_store_is_logged(self) -> None:
        self.board.error = ZeroDivisionError()
        self.ack("a")
        self.clock.advance(DELAY)
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1


class Pulling(NoticesTestCase):
    def test_a_page_is_what_the_store_returns(self) -> None:
        self.board.page = UserData(notices=[NoticeMsg(notice_id="n")], cursor="c", has_more=True)
        assert self.wait(self.notices.pull(self.login(1), PullNotice(cursor="b", page_size=7))) == self.board.page
        assert self.board.asked == [(1, "b", 7, NOW)]

    def test_a_page_has_20_unless_asked_for_and_100_at_most(self) -> None:
        me = self.login(1)
        for page_size in (0, 100, 101):
            self.wait(self.notices.pull(me, PullNotice(page_size=page_size)))
        assert [asked[2] for asked in self.board.asked] == [20, 100, 100]

    def test_the_badge_of_offline_pushes_is_cleared(self) -> None:
        assert self.wait(self.notices.clean_push_count(self.login(3), CleanPushCount())) == Empty()
        assert self.store.asked == [(3,)]


class Purging(NoticesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.notices.start()
        self.addCleanup(self.notices.stop)

    def test_it_looks_now_and_then(self) -> None:
        self.clock.advance(PURGE_SECONDS / 2)
        assert self.board.purges == []
        self.clock.pump([PURGE_SECONDS / 2, PURGE_SECONDS])
        seconds = [(now - NOW) / 1000 for now, _ in self.board.purges]
        assert seconds == [PURGE_SECONDS, 2 * PURGE_SECONDS]
        assert {limit for _, limit in self.board.purges} == {PURGE_STEP}

    def test_as_long_as_there_are_more_the_next_step_follows_after_a_pause(self) -> None:
        self.board.expired = 2 * PURGE_STEP + 1
        self.clock.advance(PURGE_SECONDS)
        assert len(self.board.purges) == 1
        self.clock.pump([PURGE_PAUSE] * 5)
        assert len(self.board.purges) == 3
        assert self.board.expired == 0

    def test_a_step_waits_for_the_one_before(self) -> None:
        self.board.commit = Deferred()
        self.clock.pump([PURGE_SECONDS] * 3)
        assert len(self.board.purges) == 1
        self.board.commit.callback(None)
        self.clock.advance(PURGE_SECONDS)
        assert len(self.board.purges) == 2

    def test_a_store_that_is_away_is_asked_again_later(self) -> None:
        self.board.expired = 1
        self.board.error = UnavailableError("full")
        self.clock.pump([PURGE_SECONDS] * 2)
        self.board.error = None
        self.clock.advance(PURGE_SECONDS)
        assert self.board.expired == 0

    def test_an_error_of_the_store_is_logged_and_it_goes_on(self) -> None:
        self.board.expired = 1
        self.board.error = ZeroDivisionError()
        self.clock.advance(PURGE_SECONDS)
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        self.board.error = None
        self.clock.advance(PURGE_SECONDS)
        assert self.board.expired == 0

    def test_stopped_it_asks_no_more_not_even_in_a_pause(self) -> None:
        self.board.expired = 5 * PURGE_STEP
        self.clock.advance(PURGE_SECONDS)
        self.notices.stop()
        self.notices.stop()
        self.clock.pump([PURGE_PAUSE, PURGE_SECONDS])
        assert len(self.board.purges) == 1
        assert self.clock.getDelayedCalls() == []
