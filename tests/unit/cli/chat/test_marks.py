"""How far the others have what I sent."""

from twisted.trial.unittest import SynchronousTestCase

from imd.cli.chat.marks import MAX_MINE, Marks


class MarksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.marks = Marks()
        for seq_id in (4, 6):
            self.marks.add(seq_id, f"id {seq_id}")

    def test_the_line_names_messages_of_mine(self) -> None:
        self.marks.hear(3, 9, 5)
        assert self.marks.peer_news() == "✓✓ delivered up to 6, read up to 4"

    def test_what_reached_none_of_mine_is_no_news(self) -> None:
        self.marks.hear(3, 3, 3)
        assert self.marks.peer_news() == ""

    def test_marks_only_rise(self) -> None:
        self.marks.hear(3, 6, 6)
        assert self.marks.peer_news() == "✓✓ read up to 6"
        self.marks.hear(3, 4, 4)
        assert self.marks.peer_news() == ""
        assert self.marks.delivered_to(6) == 1

    def test_what_was_read_was_delivered(self) -> None:
        self.marks.hear(3, 0, 6)
        assert self.marks.peer_news() == "✓✓ read up to 6"

    def test_a_message_that_was_taken_back_is_not_named_and_makes_no_news(self) -> None:
        self.marks.hear(3, 6, 6)
        self.marks.peer_news()
        self.marks.remove(6)
        assert self.marks.newest() == (4, "id 4")
        assert self.marks.peer_news() == ""

    def test_a_group_is_told_by_its_readers_or_else_by_whom_it_reached(self) -> None:
        for uid in (1, 2, 3):
            self.marks.hear(uid, 6, 0)
        assert self.marks.group_news(0, 4) == "✓✓ 6 delivered to 3 of 4"
        assert self.marks.group_news(1, 4) == "✓✓ 6 read by 1 of 4"
        assert self.marks.group_news(4, 4) == "✓✓ 6 read by all 4"

    def test_what_a_group_was_told_of_is_no_news(self) -> None:
        assert self.marks.group_news(0, 4) == ""
        self.marks.group_news(2, 4)
        self.marks.hear(1, 6, 0)
        for readers in (2, 1, 0):
            assert self.marks.group_news(readers, 4) == ""

    def test_so_many_messages_are_kept_in_mind(self) -> None:
        for seq_id in range(10, 10 + MAX_MINE):
            self.marks.add(seq_id, "")
        self.marks.hear(3, 9, 9)
        assert self.marks.peer_news() == ""
