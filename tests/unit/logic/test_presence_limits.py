"""Presence: what bounds it, what it costs, and what it does when others are slow or away."""

from typing import Any

from imd.errors import TooLargeError, UnavailableError
from imd.logic.presence import MAX_LOOK
from imd.wire.bodies import PresenceSubscribe

from .presence_parts import DELAY, GRACE, PresenceTestCase, seen


class Bounds(PresenceTestCase):
    def test_a_session_watches_so_many_users_in_all(self) -> None:
        self.subscribe(*range(1, 8))
        self.subscribe(*range(5, 11))
        reason = self.refused(self.watch.subscribe(self.me, PresenceSubscribe(uids=[11])), TooLargeError)
        assert "watches 10 users, and 1 more would pass 10" in reason

    def test_past_the_bound_nothing_is_subscribed(self) -> None:
        self.subscribe(2)
        self.refused(self.watch.subscribe(self.me, PresenceSubscribe(uids=range(3, 13))), TooLargeError)
        for uid in range(2, 13):
            self.comes(uid)
        assert self.told() == [{2: [11]}]

    def test_more_uids_than_can_be_watched_are_refused_unread(self) -> None:
        request = PresenceSubscribe(uids=[0] * 11)
        self.refused(self.watch.subscribe(self.me, request), TooLargeError)

    def test_unsubscribing_makes_room(self) -> None:
        self.subscribe(*range(1, 11))
        self.unsubscribe(1, 2)
        assert self.subscribe(11, 12) == {11: [], 12: []}

    def test_every_session_has_room_of_its_own(self) -> None:
        self.subscribe(*range(1, 11))
        assert self.subscribe(11, session=self.login(5)) == {11: []}


class Together(PresenceTestCase):
    max_watched = 3000

    def test_what_changes_together_goes_out_as_one_notice_to_each_session(self) -> None:
        friend = self.login(5)
        self.subscribe(2, 3, 4)
        self.subscribe(3, 4, session=friend)
        self.comes(2)
        self.comes(3, 20)
        self.comes(4)
        assert self.told() == [{2: [11], 3: [20], 4: [11]}]
        assert self.notices(friend) == [{3: [20], 4: [11]}]
        for uid, client_type in ((2, 11), (3, 20), (4, 11)):
            self.goes(uid, client_type)
        self.pass_time(DELAY)
        assert self.told_after_grace() == [{2: [], 3: [], 4: []}]

    def test_what_follows_within_the_delay_goes_out_with_it(self) -> None:
        self.subscribe(2, 3)
        self.comes(2)
        assert self.told(DELAY * 0.75) == []
        self.comes(3)
        assert self.told(DELAY * 0.25) == [{2: [11], 3: [11]}]

    def test_what_comes_and_goes_at_once_is_not_told(self) -> None:
        self.subscribe(2)
        self.comes(2)
        self.goes(2)
        assert self.told(2 * GRACE) == []

    def test_presence_is_read_once_for_all_that_changes_together(self) -> None:
        self.subscribe(2, 3)
        self.presence.reads.clear()
        for uid in (2, 3, 4):
            self.comes(uid)
            self.comes(uid, 20)
        self.pass_time(DELAY)
        assert self.presence.reads == [[2, 3]]

    def test_after_a_doubt_a_crowd_is_looked_at_in_portions(self) -> None:
        crowd = range(2, MAX_LOOK + 7)
        self.subscribe(*crowd)
        self.presence.reads.clear()
        self.watch.doubt()
        self.pass_time(4 * DELAY)
        assert [len(read) for read in self.presence.reads] == [MAX_LOOK, 5]

    def test_a_crowd_is_told_in_portions(self) -> None:
        crowd = range(2, MAX_LOOK + 7)
        self.subscribe(*crowd)
        for uid in crowd:
            self.comes(uid)
        assert [len(notice) for notice in self.told()] == [MAX_LOOK]
        assert [len(notice) for notice in self.told()] == [5]
        for uid in crowd:
            self.goes(uid)
        notices = self.told(GRACE + 4 * DELAY)
        assert sum(len(notice) for notice in notices) == len(crowd)
        assert max(len(notice) for notice in notices) == MAX_LOOK


class SlowAnswers(PresenceTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.presence.is_slow = True

    def arrive(self, number: int = 0) -> None:
        """Let a read arrive that is on its way."""
        self.presence.on_the_way.pop(number).callback(None)

    def test_a_change_while_a_subscription_is_answered_is_told_after_the_answer(self) -> None:
        answer = self.begin(2)
        self.comes(2)
        self.arrive()
        assert seen(self.successResultOf(answer)) == {2: []}
        assert self.told() == []
        self.arrive()
        assert self.notices() == [{2: [11]}]

    def test_an_answer_that_was_overtaken_tells_what_is_known_by_then(self) -> None:
        answer = self.begin(2)
        self.comes(2)
        self.pass_time(DELAY)
        self.arrive(1)
        assert self.notices() == []
        self.arrive()
        assert seen(self.successResultOf(answer)) == {2: [11]}
        self.pass_time(2 * GRACE)
        assert self.presence.on_the_way == []
        assert self.notices() == []

    def test_a_look_that_was_overtaken_changes_nothing(self) -> None:
        answer = self.begin(2)
        self.arrive()
        self.successResultOf(answer)
        self.comes(2)
        self.pass_time(DELAY)
        self.comes(2, 20)
        self.pass_time(DELAY)
        self.arrive(1)
        assert self.notices() == [{2: [11, 20]}]
        self.arrive()
        self.pass_time(2 * GRACE)
        assert self.presence.on_the_way == []
        assert self.notices() == []

    def test_a_session_that_ends_while_it_is_answered_leaves_nothing_behind(self) -> None:
        answer = self.begin(2, 3)
        self.watch.closed(self.me)
        self.arrive()
        self.successResultOf(answer)
        self.comes(2)
        assert self.told() == []
        self.assert_nothing_is_kept()

    def test_a_session_that_ends_while_its_notice_is_read_gets_none(self) -> None:
        answer = self.begin(2)
        self.arrive()
        self.successResultOf(answer)
        self.comes(2)
        self.pass_time(DELAY)
        self.watch.closed(self.me)
        self.arrive()
        assert self.notices() == []
        self.assert_nothing_is_kept()


class Failures(PresenceTestCase):
    def test_a_subscription_that_can_not_be_answered_is_none(self) -> None:
        away: Any
        for away in (self.presence, self.blocks):
            away.is_away = True
            request = PresenceSubscribe(uids=[2, 3])
            self.refused(self.watch.subscribe(self.me, request), UnavailableError)
            away.is_away = False
            self.comes(2)
            assert self.told() == []
            self.assert_nothing_is_kept()

    def test_it_takes_nothing_from_what_was_subscribed_before(self) -> None:
        self.subscribe(2)
        self.presence.is_away = True
        self.refused(self.watch.subscribe(self.me, PresenceSubscribe(uids=[2, 3])), UnavailableError)
        self.presence.is_away = False
        self.comes(2)
        self.comes(3)
        assert self.told() == [{2: [11]}]

    def test_a_change_that_can_not_be_read_while_presence_is_away_is_told_later(self) -> None:
        self.subscribe(2)
        self.presence.is_away = True
        self.comes(2)
        assert self.told() == []
        self.presence.is_away = False
        assert self.told_after_grace() == [{2: [11]}]
        assert self.clock.getDelayedCalls() == []


class Cost(PresenceTestCase):
    def test_a_change_that_nobody_watches_starts_nothing(self) -> None:
        self.subscribe(3)
        self.presence.reads.clear()
        self.comes(2)
        assert self.clock.getDelayedCalls() == []
        self.pass_time(DELAY)
        assert self.presence.reads == []

    def test_one_timer_serves_all_changes_and_one_all_graces(self) -> None:
        for uid in range(2, 10):
            self.comes(uid)
        self.subscribe(*range(2, 10))
        for uid in range(2, 6):
            self.goes(uid)
        self.pass_time(DELAY)
        for uid in range(6, 10):
            self.goes(uid)
        assert len(self.clock.getDelayedCalls()) == 2

    def test_nothing_runs_and_nothing_is_read_once_all_is_told(self) -> None:
        self.subscribe(2)
        self.comes(2)
        self.pass_time(DELAY)
        self.goes(2)
        self.pass_time(DELAY)
        assert self.told_after_grace() != []
        assert self.clock.getDelayedCalls() == []

    def test_nothing_is_read_for_who_is_watched_no_more(self) -> None:
        self.comes(2)
        self.subscribe(2)
        self.goes(2)
        self.presence.reads.clear()
        self.watch.closed(self.me)
        self.pass_time(DELAY)
        assert self.presence.reads == []

    def test_nothing_is_kept_of_sessions_and_users_that_are_gone(self) -> None:
        friend = self.login(5)
        for uid in range(2, 6):
            self.comes(uid)
        for session in (self.me, friend):
            self.subscribe(2, 3, 4, 5, session=session)
        for uid in (2, 3):
            self.goes(uid)
        self.pass_time(DELAY)
        self.goes(4)
        self.unsubscribe(4)
        for session in (self.me, friend):
            self.watch.closed(session)
            self.watch.closed(session)
        self.pass_time(GRACE + DELAY)
        self.assert_nothing_is_kept()

    def test_going_and_coming_again_leaves_no_trace_at_a_user_who_is_watched_on(self) -> None:
        self.comes(2)
        self.comes(2, 20)
        self.subscribe(2)
        self.goes(2, 20)
        self.pass_time(GRACE + 2 * DELAY)
        assert self.watch._watched[2].going == {}


class Stopping(PresenceTestCase):
    def test_after_a_stop_no_timer_runs_and_nothing_is_told(self) -> None:
        self.comes(2)
        self.subscribe(2, 3)
        self.goes(2)
        self.pass_time(DELAY)
        self.comes(3)
        assert len(self.clock.getDelayedCalls()) == 2
        self.watch.stop()
        self.comes(2)
        assert self.clock.getDelayedCalls() == []
        assert self.told(2 * GRACE) == []

    def test_what_is_asked_is_still_answered(self) -> None:
        self.watch.stop()
        self.comes(2)
        assert self.query(2) == self.subscribe(2) == {2: [11]}
