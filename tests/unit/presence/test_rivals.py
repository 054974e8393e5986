"""Rivals: a living node of the same name is told from a dead one, and of two only the later gives way."""

from twisted.trial.unittest import SynchronousTestCase

from imd.presence.rivals import Rivals

OWN, OTHER, STRANGER = b"gate:2:me", b"gate:2:it", b"gate:3:it"


class RivalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rivals = Rivals(OWN)

    def test_one_that_renews_its_lease_twice_lives(self) -> None:
        self.rivals.meet({OWN: 15, OTHER: 10})
        assert not self.rivals.see({OWN: 15, OTHER: 10})
        assert not self.rivals.see({OWN: 16, OTHER: 11})
        assert not self.rivals.see({OWN: 17, OTHER: 11})
        assert self.rivals.see({OWN: 18, OTHER: 12})

    def test_the_lease_of_a_dead_one_ends(self) -> None:
        self.rivals.meet({OWN: 15, OTHER: 10})
        assert not self.rivals.see({OWN: 16, OTHER: 11})  # its last word came late
        assert len(self.rivals) == 1
        assert not self.rivals.see({OWN: 20})
        assert len(self.rivals) == 0

    def test_who_comes_after_this_node_is_no_rival(self) -> None:
        self.rivals.meet({OWN: 15})
        assert not any(self.rivals.see({OWN: 15 + n, OTHER: 20 + n}) for n in range(5))

    def test_a_node_of_another_name_is_no_rival(self) -> None:
        self.rivals.meet({OWN: 15, STRANGER: 10})
        assert len(self.rivals) == 0
        assert not any(self.rivals.see({OWN: 15, STRANGER: 20 + n}) for n in range(5))

    def test_who_gets_its_lease_back_begins_anew(self) -> None:
        self.rivals.meet({OWN: 15, OTHER: 10})
        assert not self.rivals.see({OWN: 15, OTHER: 11})
        self.rivals.meet({OWN: 30, OTHER: 12})
        assert not self.rivals.see({OWN: 30, OTHER: 13})
        assert self.rivals.see({OWN: 30, OTHER: 14})
