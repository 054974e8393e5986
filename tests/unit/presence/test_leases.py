"""What one node knows of the leases of all."""

from math import inf

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imd.presence.leases import Leases

OWN, OTHER, THIRD = b"imd1:a", b"imd2:b", b"imd3:c"
ALL = {OWN: 15_000, OTHER: 10_000, THIRD: 12_000}


class LeasesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.leases = Leases(self.clock, OWN)

    def test_who_holds_a_lease_is_alive_and_known_by_name(self) -> None:
        self.assertEqual(self.leases.learn(ALL), [])
        self.assertEqual(self.leases.alive([OWN, OTHER, b"imd9:z"]), {OWN: "imd1", OTHER: "imd2"})

    def test_a_lease_that_has_run_out_is_asked_for_before_anybody_is_taken_for_dead(self) -> None:
        self.leases.learn(ALL)
        self.assertTrue(self.leases.are_known([OWN, OTHER]))
        self.clock.advance(10)
        self.assertFalse(self.leases.are_known([OWN, OTHER]))
        self.assertTrue(self.leases.are_known([OWN, THIRD]))
        self.assertEqual(self.leases.alive([OTHER]), {})

    def test_a_node_that_was_never_heard_of_is_asked_for_once(self) -> None:
        self.leases.learn(ALL)
        self.assertFalse(self.leases.are_known([b"imd9:z"]))
        self.leases.bury([b"imd9:z", OTHER])
        self.assertTrue(self.leases.are_known([b"imd9:z"]))
        self.assertEqual(self.leases.alive([b"imd9:z", OTHER]), {OTHER: "imd2"})
        self.leases.forget_gone()
        self.assertFalse(self.leases.are_known([b"imd9:z"]))

    def test_a_node_that_was_gone_and_has_come_back_is_asked_for_when_its_lease_runs_out(self) -> None:
        self.leases.bury([OTHER])
        self.leases.learn(ALL)
        self.clock.advance(10)
        self.assertFalse(self.leases.are_known([OTHER]))

    def test_who_was_alive_and_isn_t_any_more_is_told_once(self) -> None:
        self.leases.learn(ALL)
        self.assertEqual(self.leases.learn({OWN: 15_000, OTHER: -3}), [OTHER, THIRD])
        self.assertEqual(self.leases.learn({OWN: 15_000, OTHER: -5003}), [])

    def test_a_node_that_has_left_is_not_missed(self) -> None:
        self.leases.learn(ALL)
        self.leases.leave(OTHER)
        self.assertTrue(self.leases.are_known([OTHER]))
        self.assertEqual(self.leases.alive([OTHER]), {})
        self.assertEqual(self.leases.learn({OWN: 15_000, THIRD: 7000}), [])

    def test_a_lease_is_held_until_it_ends(self) -> None:
        self.assertFalse(self.leases.holds(OWN))
        self.leases.learn(ALL)
        self.assertTrue(self.leases.holds(OWN))
        self.clock.advance(15)
        self.assertFalse(self.leases.holds(OWN))

    def test_the_next_end_is_that_of_another_node(self) -> None:
        self.assertEqual(self.leases.next_end(), inf)
        self.leases.learn({OWN: 1000})
        self.assertEqual(self.leases.next_end(), inf)
        self.leases.learn(ALL)
        self.clock.advance(4)
        self.assertEqual(self.leases.next_end(), 6)
        self.clock.advance(7)
        self.assertEqual(self.leases.next_end(), 0)

    def test_a_name_may_hold_what_separates_it_from_its_token(self) -> None:
        self.leases.learn({b"a:b:c": 1000})
        self.assertEqual(self.leases.alive([b"a:b:c"]), {b"a:b:c": "a:b"})
