"""Recovery: after a doubt, users are pushed and told what they may have missed, at a pace."""

import gc
from typing import Any

from imd.gateway.sessions import Session
from imd.logic.broadcasts import Broadcasts
from imd.logic.chat import Chat
from imd.logic.members import MembersCache
from imd.logic.recovery import MARGIN_MS, MAX_NOTICE, RETRY_SECONDS, STEP_SECONDS, Recovery
from imd.ports.messages import Overdue
from imd.wire.bodies import ImGroup, ImMsg, NoticeMsg, UserData
from imd.wire.commands import Command

from .parts import NOW, Listener, LogicTestCase, parsed

SINCE = NOW - 60_000


class Pages(Listener):
    """A store of notices that answers page by page."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: list[UserData] = [UserData()]

    async def notices(self, uid: int, cursor: str, page_size: int, now: int) -> Any:
        self.answer = self.pages[int(cursor or "0")]
        return await super().notices(uid, cursor, page_size, now)


class RecoveryTestCase(LogicTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.notices = Pages()
        self.recovery = Recovery(
            self.clock,
            self.store,
            self.store,
            self.notices,
            self.sessions,
            Chat(self.store, self.sessions, MembersCache(1), Broadcasts(self.clock, self.sessions, 1000)),
            self.now,
            users_per_second=60,  # three a step
        )

    def lies(self, uid: int, *seq_ids: int) -> None:
        """Let messages lie in the user's inbox."""
        self.store.overdue_of[uid] = Overdue(uid, [ImMsg(group_id="g", seq_id=seq_id) for seq_id in seq_ids], None)

    def finish(self) -> None:
        """Let the round come to its end."""
        self.clock.pump([STEP_SECONDS] * 100)
        assert self.clock.getDelayedCalls() == []

    def pushed(self, session: Session) -> list[int]:
        """Return the seqs that were pushed since this was asked last."""
        return [parsed(packet, ImMsg).seq_id for packet in self.sent(session) if packet.command == Command.IM_SEND_MSG]

    def told(self, session: Session, command: Command, kind: Any) -> list[Any]:
        """Return what else was sent since this was asked last."""
        return [parsed(packet, kind) for packet in self.sent(session) if packet.command == command]

    def changes(self, session: Session) -> list[UserData]:
        return self.told(session, Command.CONVERSATION_NOTICE, UserData)

    def looked_at(self) -> list[list[int]]:
        """Return whose inboxes were looked at, step by step, since this was asked last."""
        looks = [[cursor.uid for cursor in cursors] for cursors, _ in self.store.looks]
        self.store.looks.clear()
        return looks


class Inboxes(RecoveryTestCase):
    def test_what_lies_there_is_pushed_at_once_to_every_device(self) -> None:
        phone, desktop, other = self.login(1, 11), self.login(1, 20), self.login(2)
        self.lies(1, 5, 6)
        self.recovery.doubt(SINCE)
        assert self.pushed(phone) == self.pushed(desktop) == [5, 6]
        assert self.pushed(other) == []
        assert phone.acknowledge(1) is not None

    def test_each_connection_is_written_to_once(self) -> None:
        session = self.login(1)
        writes: list[bool] = []
        self.patch(self.channels[session], "flush", lambda: writes.append(True))
        self.lies(1, 5, 6)
        self.recovery.doubt(SINCE)
        assert writes == [True]

    def test_what_is_stored_long_after_the_doubt_is_none_of_it(self) -> None:
        for uid in range(1, 10):
            self.login(uid)
        self.recovery.doubt(SINCE)
        self.finish()
        assert {before for _, before in self.store.looks} == {NOW + MARGIN_MS}

    def test_so_many_users_a_second_have_their_turn(self) -> None:
        for uid in range(1, 9):
            self.login(uid)
        self.recovery.doubt(SINCE)
        assert self.looked_at() == [[1, 2, 3]]
        self.clock.advance(STEP_SECONDS)
        assert self.looked_at() == [[4, 5, 6]]
        self.clock.advance(STEP_SECONDS)
        assert self.looked_at() == [[7, 8]]
        self.finish()
        assert self.looked_at() == []

    def test_all_are_looked_through_before_conversations_are(self) -> None:
        for uid in range(1, 6):
            self.login(uid)
        self.recovery.doubt(SINCE)
        assert self.store.asked == []
        self.clock.advance(STEP_SECONDS)
        assert (len(self.store.looks), self.store.asked) == (2, [])
        self.clock.advance(STEP_SECONDS)
        assert [asked[0] for asked in self.store.asked] == [1, 2, 3]
        self.clock.advance(STEP_SECONDS)
        assert [asked[0] for asked in self.store.asked] == [1, 2, 3, 4, 5]

    def test_who_has_left_meanwhile_is_passed_over(self) -> None:
        for uid in range(1, 6):
            self.login(uid)
        self.recovery.doubt(SINCE)
        self.sessions.sessions(4)[0].log_out()
        self.sessions.sessions(1)[0].log_out()
        self.finish()
        assert self.looked_at() == [[1, 2, 3], [5]]
        assert [asked[0] for asked in self.store.asked] == [2, 3, 5]


class Conversations(RecoveryTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.phone = self.login(1)

    def recover(self, *groups: ImGroup, **page: Any) -> list[UserData]:
        """Return what the user is told where this has changed."""
        self.store.answer = UserData(groups=groups, **page)
        self.recovery.doubt(SINCE)
        self.finish()
        return self.changes(self.phone)

    def test_those_that_have_changed_since_shortly_before_the_doubt_are_told(self) -> None:
        desktop = self.login(1, 20)
        tombstone = ImMsg(group_id="g", seq_id=3, msg_status=1)
        told = self.recover(ImGroup(group_id="g"), messages=[tombstone], server_time=NOW)
        assert told == [UserData(groups=[ImGroup(group_id="g")], messages=[tombstone])]
        assert self.changes(desktop) == told
        ((uid, cursor, _, since),) = self.store.asked
        assert (uid, cursor, since) == (1, "", SINCE - MARGIN_MS)

    def test_who_has_none_is_told_nothing(self) -> None:
        assert self.recover() == []

    def test_where_they_are_too_many_the_client_is_asked_to_list_them(self) -> None:
        assert self.recover(ImGroup(group_id="g"), has_more=True, cursor="c") == [UserData()]

    def test_where_they_are_too_long_the_client_is_asked_to_list_them(self) -> None:
        assert self.recover(ImGroup(group_id="g", extra="x" * MAX_NOTICE)) == [UserData()]
        room = MAX_NOTICE - UserData(groups=[ImGroup(group_id="g", extra="x" * (MAX_NOTICE - 100))]).ByteSize()
        longest = ImGroup(group_id="g", extra="x" * (MAX_NOTICE - 100 + room))
        assert self.recover(longest) == [UserData(groups=[longest])]


class Notices(RecoveryTestCase):
    def test_those_that_wait_since_shortly_before_the_doubt_are_pushed_from_every_page(self) -> None:
        session = self.login(1)
        early, first, second = (
            NoticeMsg(notice_id=name, send_time=at)
            for name, at in (("early", SINCE - MARGIN_MS - 1), ("first", SINCE - MARGIN_MS), ("second", NOW))
        )
        self.notices.pages = [
            UserData(notices=[early], has_more=True, cursor="1"),
            UserData(notices=[first], has_more=True, cursor="2"),
            UserData(notices=[second]),
        ]
        self.recovery.doubt(SINCE)
        self.finish()
        assert self.told(session, Command.NOTICE_MSG, NoticeMsg) == [first, second]
        uid, cursor, _, now = self.notices.asked[0]
        assert (uid, cursor) == (1, "")
        assert NOW <= now <= NOW + 1000


class Rounds(RecoveryTestCase):
    def test_where_nobody_is_here_nothing_is_asked(self) -> None:
        self.recovery.doubt(SINCE)
        self.finish()
        assert self.store.looks == []

    def test_a_doubt_amid_a_round_is_one_more_round_after_it_from_the_earliest_on(self) -> None:
        for uid in range(1, 5):
            self.login(uid)
        self.recovery.doubt(SINCE)
        for since in (SINCE + 2000, SINCE + 1000, SINCE + 3000):
            self.recovery.doubt(since)
        assert self.looked_at() == [[1, 2, 3]]
        self.finish()
        assert self.looked_at() == [[4], [1, 2, 3], [4]]
        assert [asked[3] for asked in self.store.asked] == [SINCE - MARGIN_MS] * 4 + [SINCE + 1000 - MARGIN_MS] * 4

    def test_after_a_round_a_new_doubt_begins_a_new_one(self) -> None:
        self.recovery.doubt(SINCE)
        self.finish()
        session = self.login(1)
        self.lies(1, 5)
        for _ in range(2):
            self.recovery.doubt(SINCE)
            self.finish()
            assert self.pushed(session) == [5]

    def test_while_the_store_is_away_it_is_waited_for_and_nobody_is_left_out(self) -> None:
        for uid in range(1, 5):
            self.login(uid)
        self.store.is_full = True
        self.recovery.doubt(SINCE)
        self.clock.pump([RETRY_SECONDS] * 3)
        assert self.looked_at() == [[1, 2, 3]] * 4
        self.store.is_full = False
        self.clock.advance(RETRY_SECONDS)
        self.finish()
        assert self.looked_at() == [[1, 2, 3], [4]]
        assert len(self.store.asked) == 4

    def test_what_fails_for_one_user_leaves_out_nobody_else(self) -> None:
        sessions = [self.login(uid) for uid in (1, 2, 3)]
        conversations = self.store.conversations

        async def broken(uid: int, *args: Any) -> Any:
            if uid == 2:
                raise ZeroDivisionError
            return await conversations(uid, *args)

        self.patch(self.store, "conversations", broken)
        self.store.answer = UserData(groups=[ImGroup(group_id="g")])
        self.recovery.doubt(SINCE)
        self.finish()
        assert [len(self.changes(session)) for session in sessions] == [1, 0, 1]
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1

    def test_a_step_that_fails_is_not_the_last(self) -> None:
        session = self.login(1)
        self.lies(1, 5)
        self.store.error = ZeroDivisionError()
        self.recovery.doubt(SINCE)
        self.store.error = None
        self.finish()
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        self.recovery.doubt(SINCE)
        assert self.pushed(session) == [5]

    def test_it_ends_for_good_when_it_is_told_to(self) -> None:
        for uid in range(1, 9):
            self.login(uid)
        self.recovery.doubt(SINCE)
        self.recovery.stop()
        self.recovery.doubt(SINCE)
        self.finish()
        assert self.looked_at() == [[1, 2, 3]]
        gc.collect()  # brings to light what nobody has heard of, such as the end itself
        assert self.flushLoggedErrors() == []

    def test_its_end_waits_for_no_answer_of_the_store(self) -> None:
        self.login(1)
        self.store.is_slow = True
        self.recovery.doubt(SINCE)
        self.clock.advance(STEP_SECONDS)
        assert len(self.store.under_way) == 1
        self.recovery.stop()
        self.finish()
        assert len(self.store.asked) == 1

    def test_it_can_end_before_it_has_begun(self) -> None:
        self.login(1)
        self.recovery.stop()
        self.recovery.doubt(SINCE)
        assert self.looked_at() == []
