"""Coming back: what is asked of the store, and what is refused before it is asked."""

from typing import Any

from imd.errors import BadRequestError, ForbiddenError, NotInGroupError
from imd.logic.history import History
from imd.wire.bodies import GetGroupById, ImGroup, ListGroup, PullMsg, UnreadCount, UnreadCountAck, UserData

from .parts import LogicTestCase


class HistoryTestCase(LogicTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.history = History(self.store, self.store)
        self.me = self.login(1)

    def asked(self, answer: Any) -> tuple[Any, ...]:
        """Return what the store is asked for by a request."""
        self.wait(answer)
        return self.store.asked.pop()


class Pulls(HistoryTestCase):
    def pull(self, **fields: Any) -> Any:
        return self.history.pull(self.me, PullMsg(**fields))

    def test_a_pull_is_of_twenty_messages_unless_it_says_otherwise(self) -> None:
        assert self.asked(self.pull(group_id="1_2")) == (1, "1_2", 0, 0, 20)
        assert self.asked(self.pull(group_id="g", receive_seq_id=9, before_seq_id=13, page_size=3)) == (
            1,
            "g",
            9,
            13,
            3,
        )

    def test_a_page_has_at_most_a_hundred_messages(self) -> None:
        assert self.asked(self.pull(group_id="g", page_size=4_000_000_000))[-1] == 100

    def test_a_single_chat_of_others_is_forbidden(self) -> None:
        assert self.refused(self.pull(group_id="2_3"), ForbiddenError) == "the single chat 2_3 is not yours"
        assert self.store.asked == []

    def test_a_single_chat_in_which_nothing_was_said_is_empty(self) -> None:
        self.store.answer = NotInGroupError("nothing there")
        assert self.wait(self.pull(group_id="1_2")) == UserData()

    def test_a_group_that_is_not_theirs_is_refused(self) -> None:
        self.store.answer = NotInGroupError("you are not in the group g")
        self.refused(self.pull(group_id="g"), NotInGroupError)

    def test_what_makes_no_sense_is_a_bad_request(self) -> None:
        for fields in (
            {},
            {"group_id": "g", "receive_seq_id": -1},
            {"group_id": "g", "before_seq_id": -1},
            {"group_id": "2_1"},
            {"group_id": "x" * 65},
        ):
            self.refused(self.pull(**fields), BadRequestError)
        assert self.store.asked == []


class Lists(HistoryTestCase):
    def test_a_list_has_fifty_conversations_unless_it_says_otherwise(self) -> None:
        assert self.asked(self.history.list_groups(self.me, ListGroup())) == (1, "", 50, 0)
        request = ListGroup(cursor="c", page_size=7, since=5)
        assert self.asked(self.history.list_groups(self.me, request)) == (1, "c", 7, 5)

    def test_a_page_has_at_most_five_hundred(self) -> None:
        assert self.asked(self.history.list_groups(self.me, ListGroup(page_size=1000)))[2] == 500

    def test_a_negative_since_is_a_bad_request(self) -> None:
        self.refused(self.history.list_groups(self.me, ListGroup(since=-1)), BadRequestError)

    def test_so_many_groups_can_be_asked_for_at_once_and_no_more(self) -> None:
        ids = [f"g{number}" for number in range(201)]
        assert self.asked(self.history.groups_by_id(self.me, GetGroupById(group_ids=ids[:200]))) == (1, ids[:200])
        self.refused(self.history.groups_by_id(self.me, GetGroupById(group_ids=ids)), BadRequestError)

    def test_a_group_that_is_named_twice_is_asked_for_once(self) -> None:
        request = GetGroupById(group_ids=["b", "a", "b"])
        assert self.asked(self.history.groups_by_id(self.me, request)) == (1, ["b", "a"])


class Unread(HistoryTestCase):
    def unread(self, *group_ids: str) -> Any:
        return self.history.unread(self.me, UnreadCount(group_ids=group_ids))

    def test_the_answer_is_the_stores(self) -> None:
        self.store.answer = UnreadCountAck(total=3, groups=[ImGroup(group_id="g", unread=3)])
        assert self.wait(self.unread()) == self.store.answer

    def test_without_ids_all_are_asked_for(self) -> None:
        assert self.asked(self.unread()) == (1, [])

    def test_named_ones_are_asked_for_once_each(self) -> None:
        assert self.asked(self.unread("g", "1_2", "g")) == (1, ["g", "1_2"])

    def test_so_many_can_be_asked_for_at_once_and_no_more(self) -> None:
        ids = [f"g{number}" for number in range(201)]
        assert self.asked(self.unread(*ids[:200])) == (1, ids[:200])
        self.refused(self.unread(*ids), BadRequestError)
        assert self.store.asked == []
