"""The relay: in order for each user, at least once, and nothing is forgotten."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from imd.errors import UnavailableError
from imd.ports.upstream import RejectedError, TimedOutError
from imd.queues.relay import FIRST_HOLD, FIRST_PAUSE, GAP, LONGEST_HOLD, LONGEST_PAUSE, PAGE

from .parts import RelayTestCase

AWAY = UnavailableError("away")
NO = RejectedError("it answered 400")
SILENT = TimedOutError("no answer")


class CarryingOn(RelayTestCase):
    def test_nothing_is_sent_without_the_lease(self) -> None:
        self.store.add(1)
        self.wake()
        assert self.queue.tried == []

    def test_what_waits_is_sent_and_then_deleted(self) -> None:
        for uid in (1, 2, 1):
            self.store.add(uid)
        self.lead()
        assert sorted(self.queue.taken) == [1, 2, 3]
        assert self.store.rows == {}

    def test_nothing_is_deleted_before_it_is_confirmed(self) -> None:
        self.store.add(1)
        self.queue.is_slow = True
        self.lead()
        assert list(self.store.rows) == [1]
        self.queue.confirm(1)
        assert self.store.rows == {}

    def test_what_comes_later_is_sent_when_it_is_woken(self) -> None:
        self.lead()
        self.store.add(1)
        self.wake()
        assert self.queue.taken == [1]

    def test_reports_of_one_user_go_one_after_the_other(self) -> None:
        for uid in (1, 1, 2):
            self.store.add(uid)
        self.queue.is_slow = True
        self.lead()
        assert self.queue.tried == [[1], [3]]
        self.queue.confirm(1)
        assert self.queue.tried == [[1], [3], [2]]

    def test_no_more_are_under_way_than_the_queue_takes_at_once(self) -> None:
        for uid in range(1, 10):
            self.store.add(uid)
        self.queue.is_slow = True
        self.lead()
        assert len(self.queue.tried) == self.queue.width

    def test_a_queue_that_takes_many_gets_them_in_their_order(self) -> None:
        self.use(batch=500, width=1)
        for number in range(1200):
            self.store.add(number % 7)
        self.lead()
        self.clock.pump([GAP] * 20)
        assert [len(batch) for batch in self.queue.tried][:2] == [500, 500]
        for uid in range(7):
            mine = [id_ for id_ in self.queue.taken if id_ % 7 == (uid + 1) % 7]
            assert mine == sorted(mine)
        assert sorted(self.queue.taken) == list(range(1, 1201))
        assert self.store.rows == {}

    def test_while_reports_keep_coming_it_looks_now_and_then_only(self) -> None:
        self.use(batch=500, width=1)
        self.lead()
        for _ in range(100):
            for uid in range(10):
                self.store.add(uid)
            self.relay.wake()
            self.clock.advance(GAP / 20)
        assert len(self.store.reads) < 15
        self.clock.pump([GAP] * 3)
        assert sorted(self.queue.taken) == list(range(1, 1001))

    def test_no_more_are_in_memory_than_a_page(self) -> None:
        for uid in range(1, 3 * PAGE):
            self.store.add(uid)
        self.queue.is_slow = True
        self.lead()
        self.clock.pump([GAP] * 5)
        assert len(self.store.reads) == 1
        assert len(self.relay._known) == PAGE

    def test_a_store_that_is_away_is_asked_again(self) -> None:
        self.store.add(1)
        self.store.is_away = True
        self.lead()
        self.clock.pump([GAP] * 5)
        self.store.is_away = False
        self.clock.pump([FIRST_PAUSE / 4] * 6)
        assert self.queue.taken == [1]

    def test_what_could_not_be_deleted_is_deleted_later_and_not_sent_again(self) -> None:
        self.store.add(1)
        self.queue.is_slow = True
        self.lead()
        self.store.is_away = True
        self.queue.confirm(1)
        self.clock.advance(FIRST_PAUSE)
        self.store.is_away = False
        self.wake()
        self.clock.advance(FIRST_PAUSE)
        assert self.queue.tried == [[1]]
        assert self.store.rows == {}


class Away(RelayTestCase):
    def test_what_was_not_taken_is_tried_again_first(self) -> None:
        for _ in range(3):
            self.store.add(1)
        self.queue.error = AWAY
        self.lead()
        self.queue.error = None
        self.clock.advance(FIRST_PAUSE)
        assert self.queue.taken == [1, 2, 3]

    def test_while_it_is_away_one_is_tried_at_a_time_ever_more_seldom(self) -> None:
        for uid in range(1, 10):
            self.store.add(uid)
        self.lead()
        self.queue.tried.clear()
        for uid in range(1, 10):
            self.store.add(uid)
        self.queue.error = AWAY
        self.wake()
        begun = len(self.queue.tried)
        self.clock.pump([0.1] * 600)
        tries = len(self.queue.tried) - begun
        assert 60 / LONGEST_PAUSE <= tries <= 12
        self.queue.error = None
        self.clock.advance(LONGEST_PAUSE)
        assert len(self.queue.taken) == 18

    def test_nothing_counts_against_a_report_then(self) -> None:
        self.store.add(1)
        self.queue.error = AWAY
        self.lead()
        self.clock.pump([1.0] * 1000)
        assert self.store.dead == []
        assert self.store.rows[1].attempts == 0

    def test_those_under_way_with_it_are_given_back_too(self) -> None:
        for uid in (1, 2, 1, 2):
            self.store.add(uid)
        self.queue.is_slow = True
        self.lead()
        self.queue.refuse(AWAY, 1)
        self.queue.refuse(AWAY, 2)
        self.queue.is_slow = False
        self.clock.advance(FIRST_PAUSE)
        assert sorted(self.queue.taken) == [1, 2, 3, 4]
        assert [id_ for id_ in self.queue.taken if id_ % 2] == [1, 3]

    def test_an_error_nobody_thought_of_is_as_if_it_were_away(self) -> None:
        self.store.add(1)
        self.queue.error = ZeroDivisionError("oh")
        self.lead()
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        self.queue.error = None
        self.clock.advance(FIRST_PAUSE)
        assert self.queue.taken == [1]


class Refused(RelayTestCase):
    def test_it_holds_back_its_own_users_alone(self) -> None:
        for uid in (1, 2, 1, 2):
            self.store.add(uid)
        self.queue.fails[1] = NO
        self.lead()
        self.clock.pump([GAP] * 5)
        assert self.queue.taken == [2, 4]
        del self.queue.fails[1]
        self.clock.pump([FIRST_HOLD / 2] * 4)
        assert self.queue.taken == [2, 4, 1, 3]

    def test_after_so_many_attempts_it_is_dead_and_the_others_go_on(self) -> None:
        for uid in (1, 1):
            self.store.add(uid)
        self.queue.fails[1] = NO
        self.lead()
        self.clock.pump([0.1] * 100)
        assert self.queue.taken == [2]
        assert self.store.dead == [1]
        assert self.store.rows[1].attempts == self.attempts
        assert [ids for ids in self.queue.tried if ids == [1]] == [[1]] * self.attempts

    def test_each_time_it_waits_twice_as_long_up_to_a_limit(self) -> None:
        self.attempts = 12
        self.relay = self.new_relay()
        self.store.add(1)
        self.queue.fails[1] = NO
        self.lead()
        waits, last, tried = [], 0.0, 1
        while not self.store.dead:
            self.clock.advance(0.5)
            if len(self.queue.tried) > tried:
                tried = len(self.queue.tried)
                waits.append(self.clock.seconds() - last)
                last = self.clock.seconds()
        assert waits == [min(FIRST_HOLD * 2**n, LONGEST_HOLD) for n in range(11)]

    def test_attempts_outlive_a_restart(self) -> None:
        self.store.add(1, attempts=self.attempts - 1)
        self.queue.fails[1] = NO
        self.lead()
        assert self.store.dead == [1]

    def test_many_reports_behind_one_that_is_refused_leave_room_for_others(self) -> None:
        for _ in range(2 * PAGE):
            self.store.add(1)
        last = self.store.add(2)
        self.queue.fails[1] = NO
        self.lead()
        self.clock.pump([GAP] * 10)
        assert self.queue.taken == [last]
        del self.queue.fails[1]
        self.clock.pump([0.1] * 100)
        assert self.queue.taken == [last, *range(1, 2 * PAGE + 1)]

    def test_a_page_that_was_asked_for_before_its_release_is_no_harm(self) -> None:
        self.store.add(1)
        self.store.add(1)
        self.queue.fails[1] = NO
        self.lead()
        self.clock.pump([GAP] * 3)
        self.store.is_slow = True
        self.store.add(2)
        self.wake()  # asks for what is not uid 1's
        del self.queue.fails[1]
        self.clock.advance(FIRST_HOLD)
        self.store.is_slow = False
        self.store.answer()
        self.clock.pump([GAP] * 3)
        assert sorted(self.queue.taken) == [1, 2, 3]
        assert self.queue.taken.index(1) < self.queue.taken.index(2)

    def test_a_page_that_was_asked_for_before_it_was_refused_is_no_harm(self) -> None:
        self.queue.is_slow = True
        self.store.add(1)
        self.lead()
        self.store.add(1)
        self.store.is_slow = True
        self.wake()
        self.queue.refuse(NO, 1)
        self.store.is_slow = False
        self.store.answer()
        self.clock.pump([GAP] * 3)
        assert self.queue.tried == [[1]]
        self.queue.is_slow = False
        self.clock.pump([FIRST_HOLD / 2] * 4)
        assert self.queue.taken == [1, 2]


class Silent(RelayTestCase):
    """A destination that takes the connection and says nothing."""

    def test_while_others_are_taken_it_counts(self) -> None:
        self.store.add(1)
        self.queue.is_slow = True
        self.lead()
        for attempt in range(self.attempts):
            other = self.store.add(2)
            self.wake()
            self.queue.confirm(other)
            self.queue.refuse(SILENT, 1)
            self.clock.pump([0.1] * (20 * 2**attempt))
        assert self.store.dead == [1]

    def test_while_nothing_is_taken_it_does_not(self) -> None:
        self.store.add(1)
        self.store.add(2)
        self.queue.error = SILENT
        self.lead()
        self.clock.pump([1.0] * 1000)
        assert self.store.dead == []
        assert self.store.rows[1].attempts == 0
        assert len(self.queue.tried) > 100


class Leading(RelayTestCase):
    def test_nothing_is_sent_after_the_lease_has_ended(self) -> None:
        self.lead(10)
        self.clock.advance(10)
        self.store.add(1)
        self.wake()
        assert self.queue.tried == []
        self.lead(10)
        self.wake()
        assert self.queue.taken == [1]

    def test_who_follows_forgets_what_was_read_and_reads_it_anew_when_it_leads_again(self) -> None:
        for _ in range(3):
            self.store.add(1)
        self.queue.is_slow = True
        self.lead()
        self.relay.follow()
        self.queue.confirm(1)
        assert self.queue.tried == [[1]]
        assert list(self.store.rows) == [2, 3]
        del self.store.rows[2]  # another node has sent it meanwhile
        self.queue.is_slow = False
        self.lead()
        self.clock.pump([GAP] * 3)
        assert self.queue.taken == [1, 3]

    def test_a_page_of_before_is_not_taken_for_one_of_now(self) -> None:
        self.store.is_slow = True
        self.store.add(1)
        self.lead()
        self.relay.follow()
        self.lead()
        del self.store.rows[1]
        self.store.add(2)
        self.store.is_slow = False
        self.store.answer()
        self.clock.pump([GAP] * 3)
        assert self.queue.taken == [2]

    def test_what_fails_after_the_lease_has_ended_is_left_to_who_has_it(self) -> None:
        for error in (AWAY, NO, SILENT):
            self.use()
            self.store.rows.clear()
            id_ = self.store.add(1)
            self.queue.is_slow = True
            self.lead()
            self.relay.follow()
            self.queue.refuse(error, id_)
            self.clock.advance(1000)
            assert self.queue.tried == [[id_]]
            self.queue.is_slow = False
            self.lead()
            self.clock.pump([GAP] * 3)
            assert self.queue.taken == [id_]

    def test_no_timer_is_left_behind(self) -> None:
        for uid in (1, 2, 3):
            self.store.add(uid)
        self.queue.fails = {1: NO, 2: AWAY}
        self.lead()
        self.relay.follow()
        assert self.clock.getDelayedCalls() == []


class Stopping(RelayTestCase):
    def test_it_waits_for_what_is_under_way_and_starts_nothing_more(self) -> None:
        for uid in (1, 1):
            self.store.add(uid)
        self.queue.is_slow = True
        self.lead()
        stopped = Deferred.fromCoroutine(self.relay.stop(5))
        self.clock.advance(1)
        self.assertNoResult(stopped)
        self.queue.confirm(1)
        self.clock.advance(0.01)
        self.successResultOf(stopped)
        assert self.queue.tried == [[1]]
        assert list(self.store.rows) == [2]

    def test_it_waits_no_longer_than_it_may(self) -> None:
        self.store.add(1)
        self.queue.is_slow = True
        self.lead()
        stopped = Deferred.fromCoroutine(self.relay.stop(5))
        self.clock.pump([0.01] * 510)
        self.successResultOf(stopped)


class WhateverHappens(RelayTestCase):
    @given(st.data())
    def test_each_users_first_arrivals_are_in_order_and_all_arrive(self, data: st.DataObject) -> None:
        self.setUp()
        self.attempts = 10_000
        self.use(batch=data.draw(st.sampled_from([1, 1, 3])), width=data.draw(st.integers(1, 4)))
        self.queue.is_slow = True
        users: dict[int, int] = {}
        self.lead()
        for step in data.draw(st.lists(st.sampled_from(["add", "end", "end", "time", "lease", "store"]), max_size=40)):
            if step == "add":
                uid = data.draw(st.integers(1, 3))
                users[self.store.add(uid)] = uid
                self.relay.wake()
            elif step == "end" and self.queue.under_way:
                ids, _ = data.draw(st.sampled_from(self.queue.under_way))
                errors = [None, None, AWAY, NO, SILENT] if self.queue.batch == 1 else [None, None, AWAY]
                error = data.draw(st.sampled_from(errors))
                if error is None:
                    self.queue.confirm(*ids)
                else:
                    self.queue.refuse(error, *ids)
            elif step == "time":
                self.clock.advance(data.draw(st.sampled_from([GAP, 1.0, 20.0])))
            elif step == "lease":
                self.relay.follow()
                self.lead()
            elif step == "store":
                self.store.is_slow = not self.store.is_slow
                self.store.answer()
        self.queue.is_slow = self.store.is_slow = False
        self.store.answer()
        for ids, _ in list(self.queue.under_way):
            self.queue.confirm(*ids)
        for _ in range(20):
            self.relay.wake()
            self.clock.pump([LONGEST_HOLD / 3] * 4)
        assert self.store.rows == {}
        first = list(dict.fromkeys(self.queue.taken))
        assert sorted(first) == sorted(users)
        for uid in set(users.values()):
            mine = [id_ for id_ in first if users[id_] == uid]
            assert mine == sorted(mine)
