"""Whose single chat a group id is."""

from twisted.trial.unittest import SynchronousTestCase

from imd.cli.chat.single import peer_in


class SingleTests(SynchronousTestCase):
    def test_the_peer_is_the_other_one(self) -> None:
        assert (peer_in("9_10", 9), peer_in("9_10", 10), peer_in("9_9", 9)) == (10, 9, 9)

    def test_a_group_or_a_chat_of_others_has_no_peer(self) -> None:
        for group_id in ("g12", "9_10", "9", "9_", "_9", "9_10_11", "1_٩"):
            assert peer_in(group_id, 1) == 0
