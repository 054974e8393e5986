"""The account of what was posted to the API: nothing lost, doubled or misplaced goes unseen."""

from twisted.trial.unittest import SynchronousTestCase

from imd.cli.bench.api import Account


class AccountTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.account = Account()
        for uid, what in enumerate("abc", 1):
            self.account.post(what, uid, 0.0)

    def complaints(self) -> list[str]:
        return list(self.account.complaints())

    def test_all_that_came_to_whom_it_was_for_is_well(self) -> None:
        for uid, what in enumerate("abc", 1):
            self.account.arrive(what, uid)
        self.account.answer(0.0, 200, b"{}")
        assert self.complaints() == []
        assert (self.account.came, len(self.account.latencies), len(self.account.answers)) == (3, 3, 1)

    def test_what_never_came_is_a_breach(self) -> None:
        self.account.arrive("a", 1)
        assert self.complaints() == ["2 of 3 never came"]

    def test_what_came_twice_or_to_somebody_else_is_a_breach(self) -> None:
        for what, uid in (("a", 1), ("a", 1), ("b", 3), ("c", 3)):
            self.account.arrive(what, uid)
        assert self.complaints() == ["a came to 1 once more", "b came to 3 and was for 2"]

    def test_a_refusal_is_a_breach(self) -> None:
        for uid, what in enumerate("abc", 1):
            self.account.arrive(what, uid)
        self.account.answer(0.0, 503, b"away")
        assert self.complaints() == ["away"]
