"""Presence: who is told what of whom, and when."""

from imd.errors import BadRequestError
from imd.logic.presence import MAX_QUERY
from imd.model import Identity
from imd.wire.bodies import PresenceQuery, PresenceSubscribe

from .presence_parts import DELAY, GRACE, PresenceTestCase, seen


class Asking(PresenceTestCase):
    def test_each_user_asked_for_is_answered_in_that_order_once(self) -> None:
        self.comes(3, 20)
        self.comes(3, 11)
        assert list(self.query(4, 3, 4).items()) == [(4, []), (3, [11, 20])]

    def test_asking_is_no_subscription(self) -> None:
        self.query(2)
        self.comes(2)
        assert self.told() == []

    def test_who_has_gone_is_offline_at_once_to_who_asks(self) -> None:
        self.comes(2)
        self.subscribe(2)
        self.goes(2)
        assert self.query(2) == {2: []}

    def test_too_many_uids_are_a_bad_request(self) -> None:
        assert len(self.query(*range(1, MAX_QUERY + 1))) == MAX_QUERY
        request = PresenceQuery(uids=range(1, MAX_QUERY + 2))
        assert "at most 500" in self.refused(self.watch.query(self.me, request), BadRequestError)

    def test_a_uid_that_is_none_is_a_bad_request(self) -> None:
        self.refused(self.watch.query(self.me, PresenceQuery(uids=[2, 0])), BadRequestError)

    def test_who_has_blocked_me_appears_offline(self) -> None:
        self.comes(2)
        self.comes(3)
        self.blocks.pairs = {(2, 1), (1, 3)}
        assert self.query(2, 3) == {2: [], 3: [11]}


class Subscribing(PresenceTestCase):
    def test_the_answer_is_the_present_state_of_those_named(self) -> None:
        self.comes(2, 20)
        self.comes(2, 11)
        assert self.subscribe(2, 3) == {2: [11, 20], 3: []}
        assert self.subscribe(4) == {4: []}

    def test_what_was_answered_is_not_told_again(self) -> None:
        friend = self.login(5)
        self.subscribe(2, session=friend)
        self.comes(2)
        assert self.subscribe(2) == {2: [11]}
        assert self.told() == []
        assert self.notices(friend) == [{2: [11]}]

    def test_every_session_has_subscriptions_of_its_own(self) -> None:
        mine, friends = self.login(1, 20), self.login(5)
        self.subscribe(2, session=friends)
        self.comes(2)
        assert self.told(session=friends) == [{2: [11]}]
        assert self.notices(mine) == self.notices() == []

    def test_one_may_watch_oneself(self) -> None:
        self.comes(1)
        assert self.subscribe(1) == {1: [11]}
        self.comes(1, 20)
        assert self.told() == [{1: [11, 20]}]

    def test_a_repeated_subscription_is_answered_and_told_once(self) -> None:
        self.subscribe(2)
        self.comes(2)
        assert self.subscribe(2, 2) == {2: [11]}
        assert self.told() == []
        self.comes(2, 20)
        assert self.told() == [{2: [11, 20]}]

    def test_a_uid_that_is_none_is_a_bad_request_and_nothing_is_subscribed(self) -> None:
        request = PresenceSubscribe(uids=[2, 2**63 - 1, -1])
        self.refused(self.watch.subscribe(self.me, request), BadRequestError)
        self.assert_nothing_is_kept()

    def test_unsubscribing_ends_what_is_named(self) -> None:
        self.subscribe(2, 3, 4)
        assert self.unsubscribe(2, 4, 9) == {}
        for uid in (2, 3, 4):
            self.comes(uid)
        assert self.told() == [{3: [11]}]

    def test_unsubscribing_without_uids_ends_all(self) -> None:
        self.subscribe(2, 3)
        assert self.unsubscribe() == {}
        self.comes(2)
        assert self.told() == []
        self.assert_nothing_is_kept()

    def test_subscriptions_end_with_the_session(self) -> None:
        self.subscribe(2, 3)
        self.watch.closed(self.me)
        self.comes(2)
        assert self.told() == []

    def test_who_logs_in_again_on_the_same_connection_starts_without_subscriptions(self) -> None:
        self.subscribe(2)
        self.watch.closed(self.me)
        self.me.log_out()
        self.me.log_in(7, 11, "new", Identity(7))
        assert self.subscribe(3) == {3: []}
        self.comes(2)
        self.comes(3)
        assert self.told() == [{3: [11]}]


class ComingAndGoing(PresenceTestCase):
    def test_who_comes_is_told_at_once(self) -> None:
        self.subscribe(2)
        self.comes(2)
        assert self.notices() == []
        assert self.told() == [{2: [11]}]

    def test_who_goes_is_told_after_the_grace(self) -> None:
        self.comes(2)
        self.subscribe(2)
        self.goes(2)
        assert self.told() == []
        assert self.told(GRACE * 0.99) == []
        self.pass_time(GRACE * 0.01)
        assert self.told() == [{2: []}]

    def test_a_reconnect_within_the_grace_is_no_news(self) -> None:
        self.comes(2)
        self.subscribe(2)
        for away in (DELAY / 2, GRACE / 2, GRACE):
            self.goes(2)
            self.pass_time(away)
            self.comes(2)
            assert self.told(3 * GRACE) == []

    def test_a_connection_that_breaks_again_has_a_grace_of_its_own(self) -> None:
        self.comes(2)
        self.subscribe(2)
        self.goes(2)
        self.pass_time(3)
        self.comes(2)
        self.pass_time(1)
        self.goes(2)
        assert self.told() == []
        assert self.told(GRACE * 0.99) == []
        self.pass_time(GRACE * 0.01)
        assert self.told() == [{2: []}]

    def test_a_second_device_is_told_at_once_and_its_going_after_the_grace(self) -> None:
        self.comes(2, 20)
        self.subscribe(2)
        self.comes(2, 11)
        assert self.told() == [{2: [11, 20]}]
        self.goes(2, 20)
        assert self.told() == []
        assert self.told_after_grace() == [{2: [11]}]

    def test_who_changes_the_device_is_on_both_until_the_grace_is_over(self) -> None:
        self.comes(2, 11)
        self.subscribe(2)
        self.goes(2, 11)
        self.comes(2, 20)
        assert self.told() == [{2: [11, 20]}]
        assert self.told_after_grace() == [{2: [20]}]

    def test_every_client_type_has_a_grace_of_its_own(self) -> None:
        self.comes(2, 11)
        self.comes(2, 20)
        self.subscribe(2)
        self.goes(2, 11)
        self.pass_time(2)
        self.goes(2, 20)
        self.pass_time(3 + DELAY)
        assert self.told() == [{2: [20]}]
        self.pass_time(2)
        assert self.told() == [{2: []}]

    def test_a_device_that_flaps_holds_back_no_other(self) -> None:
        self.comes(2, 11)
        self.comes(2, 20)
        self.subscribe(2)
        self.goes(2, 20)
        for _ in range(10):
            self.goes(2, 11)
            self.pass_time(1)
            self.comes(2, 11)
            self.pass_time(1)
        assert self.notices() == [{2: [11]}]

    def test_what_is_going_is_shown_on_only_to_who_has_been_told_of_it(self) -> None:
        self.comes(2)
        self.subscribe(2)
        self.goes(2)
        friend = self.login(5)
        self.subscribe(2, session=friend)
        self.comes(2, 20)
        assert self.told() == [{2: [11, 20]}]
        assert self.notices(friend) == [{2: [20]}]
        assert self.told_after_grace() == [{2: [20]}]
        assert self.notices(friend) == []

    def test_who_subscribes_within_the_grace_gets_the_truth_and_no_notice(self) -> None:
        self.comes(2)
        self.subscribe(2)
        self.goes(2)
        friend = self.login(5)
        assert self.subscribe(2, session=friend) == {2: []}
        self.pass_time(1)
        late = self.login(6)
        assert self.subscribe(2, session=late) == {2: []}
        self.pass_time(GRACE)
        assert self.told() == [{2: []}]
        assert self.notices(friend) == self.notices(late) == []


class Doubts(PresenceTestCase):
    """What presence itself tells of changes is lost here."""

    def setUp(self) -> None:
        super().setUp()
        self.presence.on_change(lambda uid: None)

    def test_after_a_doubt_it_is_told_what_has_changed_unseen_and_nothing_else(self) -> None:
        self.comes(3)
        self.subscribe(2, 3, 4)
        self.comes(2)
        self.comes(5)
        assert self.told() == []
        self.watch.doubt()
        assert self.told() == [{2: [11]}]

    def test_who_has_gone_unseen_is_told_after_the_grace(self) -> None:
        self.comes(2)
        self.subscribe(2)
        self.goes(2)
        self.watch.doubt()
        assert self.told() == []
        assert self.told_after_grace() == [{2: []}]

    def test_who_seems_gone_until_their_node_has_registered_them_again_is_no_news(self) -> None:
        self.comes(2)
        self.subscribe(2)
        self.goes(2)
        self.watch.doubt()
        self.pass_time(GRACE / 2)
        self.comes(2)
        assert self.told(3 * GRACE) == []

    def test_where_nobody_is_watched_nothing_is_asked(self) -> None:
        self.watch.doubt()
        self.pass_time(DELAY)
        assert self.presence.reads == []


class Blocking(PresenceTestCase):
    def test_who_has_blocked_me_appears_offline_and_is_never_told(self) -> None:
        self.comes(2)
        self.comes(3)
        self.blocks.pairs = {(2, 1)}
        assert self.subscribe(2, 3) == {2: [], 3: [11]}
        self.comes(2, 20)
        self.comes(3, 20)
        assert self.told() == [{3: [11, 20]}]

    def test_a_subscription_to_who_has_blocked_me_meanwhile_ends(self) -> None:
        self.comes(2)
        self.subscribe(2)
        self.blocks.pairs = {(2, 1)}
        assert self.subscribe(2) == {2: []}
        self.comes(2, 20)
        assert self.told() == []
        self.assert_nothing_is_kept()

    def test_whom_one_blocks_is_told_that_one_is_offline_and_nothing_afterwards(self) -> None:
        tablet, friend = self.login(1, 25), self.login(5)
        self.comes(2)
        for session in (self.me, tablet, friend):
            self.subscribe(2, 3, session=session)
        self.watch.blocked(2, [1, 7])
        assert self.notices() == self.notices(tablet) == [{2: []}]
        self.comes(2, 20)
        self.comes(3)
        assert self.told() == self.notices(tablet) == [{3: [11]}]
        assert self.notices(friend) == [{2: [11, 20], 3: [11]}]

    def test_who_knows_no_better_is_told_nothing_when_blocked(self) -> None:
        self.subscribe(2)
        self.watch.blocked(2, [1])
        self.watch.blocked(3, [1])
        assert self.notices() == []
        self.comes(2)
        assert self.told() == []
        self.assert_nothing_is_kept()

    def test_whom_one_blocks_within_the_grace_of_going_is_told_at_once(self) -> None:
        self.comes(2)
        self.subscribe(2)
        self.goes(2)
        self.pass_time(1)
        self.watch.blocked(2, [1])
        assert self.notices() == [{2: []}]
        assert self.told(2 * GRACE) == []

    def test_a_block_while_a_subscription_is_answered_counts(self) -> None:
        self.comes(2)
        self.presence.is_slow = True
        answer = self.begin(2)
        self.watch.blocked(2, [1])
        self.presence.on_the_way[0].callback(None)
        assert seen(self.successResultOf(answer)) == {2: []}
        self.comes(2, 20)
        assert self.told() == []
        self.assert_nothing_is_kept()

    def test_whom_i_have_blocked_i_still_see(self) -> None:
        self.comes(2)
        self.blocks.pairs = {(1, 2)}
        self.watch.blocked(1, [2])
        assert self.subscribe(2) == {2: [11]}
