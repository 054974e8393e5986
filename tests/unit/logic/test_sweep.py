"""The sweep: pushed again after 10 s, three times, then closed; and its cost is bounded (rule 6)."""

from itertools import pairwise

from imd.logic.broadcasts import Broadcasts
from imd.logic.chat import Chat
from imd.logic.members import MembersCache
from imd.logic.sweep import Sweep
from imd.ports.messages import Overdue, OverdueCursor
from imd.wire.bodies import ImMsg

from .parts import NOW, LogicTestCase, parsed


class SweepTestCase(LogicTestCase):
    users_per_second = 1000

    def setUp(self) -> None:
        super().setUp()
        chat = Chat(self.store, self.sessions, MembersCache(1), Broadcasts(self.clock, self.sessions, 1000))
        self.sweep = Sweep(
            self.clock,
            self.store,
            self.sessions,
            chat,
            self.now,
            after=10.0,
            users_per_second=self.users_per_second,
            attempts=3,
        )
        self.sweep.start()

    def lies(self, uid: int, *seq_ids: int, after: OverdueCursor | None = None, group_id: str = "g") -> None:
        """Let messages lie in the user's inbox for too long from here on; ``after`` says that there are more."""
        messages = [ImMsg(group_id=group_id, seq_id=seq_id) for seq_id in seq_ids]
        self.store.overdue_of[uid] = Overdue(uid, messages, after)

    def pass_time(self, seconds: float) -> None:
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end - 1e-9:
            self.clock.advance(min(0.25, end - self.clock.seconds()))

    def pushed(self, session: object) -> list[int]:
        """Return the seqs that were pushed since this was asked last."""
        return [parsed(packet, ImMsg).seq_id for packet in self.sent(session)]  # type: ignore[arg-type]

    def looked_at(self) -> list[list[int]]:
        """Return whose inboxes were looked at, step by step, since this was asked last."""
        looks = [[cursor.uid for cursor in cursors] for cursors, _ in self.store.looks]
        self.store.looks.clear()
        return looks


class PushingAgain(SweepTestCase):
    def test_what_was_stored_more_than_ten_seconds_ago_is_asked_for(self) -> None:
        self.login(1)
        self.clock.advance(1)
        assert self.store.looks == [([OverdueCursor(1)], NOW + 1000 - 10_000)]

    def test_it_is_pushed_again_every_ten_seconds_three_times_and_then_the_session_is_closed(self) -> None:
        session = self.login(1)
        self.lies(1, 5, 6)
        at: list[float] = []
        while session.is_open and self.clock.seconds() < 100:
            self.clock.advance(0.25)
            if pushed := self.pushed(session):
                assert pushed == [5, 6]
                at.append(self.clock.seconds())
        assert len(at) == 3
        assert 10 <= at[0] <= 15
        assert all(10 <= later - earlier <= 15 for earlier, later in pairwise(at))
        assert 10 <= self.clock.seconds() - at[2] <= 15
        assert self.channels[session].dropped == ["uid 1 did not ACK seq 5 of g in 3 attempts"]

    def test_a_session_that_has_just_come_is_left_in_peace(self) -> None:
        self.lies(1, 5)
        self.pass_time(60)
        session = self.login(1)
        self.pass_time(9)
        assert self.pushed(session) == []
        self.pass_time(6)
        assert self.pushed(session) == [5]

    def test_what_is_acked_in_between_is_not_pushed_again(self) -> None:
        session = self.login(1)
        self.lies(1, 5)
        self.pass_time(16)
        del self.store.overdue_of[1]
        self.pass_time(60)
        assert self.pushed(session) == [5]
        assert session.is_open

    def test_each_message_has_attempts_of_its_own(self) -> None:
        session = self.login(1)
        for seq_id in range(1, 12):
            self.lies(1, seq_id)
            self.pass_time(11)
        assert session.is_open
        assert len(self.pushed(session)) >= 5

    def test_after_all_was_acked_attempts_start_over(self) -> None:
        session = self.login(1)
        for _ in range(5):
            self.lies(1, 5)
            self.pass_time(21)
            del self.store.overdue_of[1]
            self.pass_time(6)
        assert session.is_open

    def test_every_device_gets_it(self) -> None:
        phone, desktop = self.login(1, 11), self.login(1, 20)
        self.lies(1, 5)
        self.pass_time(16)
        assert self.pushed(phone) == self.pushed(desktop) == [5]

    def test_a_device_that_came_after_the_first_attempt_is_not_closed_for_it(self) -> None:
        old = self.login(1, 11)
        self.lies(1, 5)
        self.pass_time(25)
        new = self.login(1, 20)
        while old.is_open and self.clock.seconds() < 60:
            self.pass_time(1)
        assert not old.is_open
        assert new.is_open

    def test_a_client_that_comes_back_starts_over(self) -> None:
        session = self.login(1)
        self.lies(1, 5)
        while session.is_open and self.clock.seconds() < 60:
            self.pass_time(1)
        self.sessions.remove(session)
        self.pass_time(6)
        again = self.login(1)
        self.pass_time(30)
        assert again.is_open
        assert self.pushed(again)[0] == 5

    def test_who_is_offline_is_not_looked_at(self) -> None:
        self.lies(1, 5)
        self.pass_time(30)
        assert self.store.looks == []


class LargeInboxes(SweepTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.next = OverdueCursor(1, "g", 100)

    def test_what_follows_a_page_has_its_turn_once_the_page_is_acked(self) -> None:
        session = self.login(1)
        self.lies(1, *range(1, 101), after=self.next)
        self.pass_time(16)
        assert self.pushed(session) == list(range(1, 101))
        assert all(cursor.group_id == "" for cursors, _ in self.store.looks for cursor in cursors)

    def test_a_page_in_which_nothing_has_lain_too_long_is_followed_by_the_next(self) -> None:
        self.login(1)
        self.lies(1, after=self.next)
        self.pass_time(2)
        assert [cursors for cursors, _ in self.store.looks] == [[OverdueCursor(1)], [self.next]]

    def test_a_large_inbox_holds_up_nobody_else(self) -> None:
        for uid in range(1, 6):
            self.login(uid)
        self.lies(1, after=self.next)
        self.pass_time(7)
        assert {uid for step in self.looked_at() for uid in step} == {1, 2, 3, 4, 5}

    def test_what_is_never_acked_on_a_later_page_ends_the_session_too(self) -> None:
        session = self.login(1)
        fresh = Overdue(1, [], self.next)
        stuck = Overdue(1, [ImMsg(group_id="z", seq_id=1)], None)

        async def overdue(cursors: list[OverdueCursor], before: int) -> list[Overdue]:
            return [fresh if cursor.group_id == "" else stuck for cursor in cursors]

        self.patch(self.store, "overdue", overdue)
        self.pass_time(80)
        assert not session.is_open
        assert self.pushed(session) == [1, 1, 1]


class Cost(SweepTestCase):
    users_per_second = 10

    def test_a_step_looks_at_a_bounded_number_of_users(self) -> None:
        for uid in range(1, 101):
            self.login(uid)
        self.pass_time(10)
        looks = self.looked_at()
        assert [len(step) for step in looks] == [10] * 10
        assert sorted(uid for step in looks for uid in step) == list(range(1, 101))

    def test_few_users_are_looked_at_within_five_steps(self) -> None:
        for uid in range(1, 21):
            self.login(uid)
        self.pass_time(5)
        looks = self.looked_at()
        assert [len(step) for step in looks] == [4] * 5
        assert sorted(uid for step in looks for uid in step) == list(range(1, 21))

    def test_who_is_online_alone_is_looked_at_each_step(self) -> None:
        self.login(1)
        self.pass_time(5)
        assert self.looked_at() == [[1]] * 5


class Trouble(SweepTestCase):
    def test_a_store_that_is_away_is_asked_again_later(self) -> None:
        session = self.login(1)
        self.lies(1, 5)
        self.store.is_full = True
        self.pass_time(30)
        assert self.pushed(session) == []
        self.store.is_full = False
        self.pass_time(6)
        assert self.pushed(session) == [5]

    def test_an_error_of_the_store_is_logged_and_the_sweep_goes_on(self) -> None:
        session = self.login(1)
        self.lies(1, 5)
        overdue = self.store.overdue

        async def broken(*_: object) -> None:
            raise ZeroDivisionError

        self.store.overdue = broken  # type: ignore[assignment, method-assign]
        self.pass_time(3)
        self.store.overdue = overdue  # type: ignore[method-assign]
        assert self.flushLoggedErrors(ZeroDivisionError)
        self.pass_time(15)
        assert self.pushed(session) == [5]

    def test_a_stopped_sweep_looks_at_nobody(self) -> None:
        self.login(1)
        self.sweep.stop()
        self.sweep.stop()
        self.pass_time(30)
        assert self.store.looks == []
        assert self.clock.getDelayedCalls() == []
