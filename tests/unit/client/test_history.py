"""History: from the store, and what it lacks from the server, once."""

from imd.client.errors import NotInGroupError
from imd.wire.bodies import PullMsg
from imd.wire.commands import Command
from imd.wire.results import Result

from .parts import CHAT, ClientTestCase


class HistoryTests(ClientTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.server.receive_seq[CHAT] = 50
        self.server.say(number=50)
        self.start()

    def page(self, before: int = 0, limit: int = 20) -> list[int]:
        return self.seqs(self.result(self.client.history(CHAT, before=before, limit=limit)))

    def pulls(self) -> list[PullMsg]:
        return self.server.bodies(Command.IM_OFFLINE_MSG)

    def test_what_is_not_in_the_store_comes_from_the_server_once(self) -> None:
        assert self.page() == list(range(31, 51))
        assert self.pulls() == [PullMsg(group_id=CHAT, receive_seq_id=30, before_seq_id=51, page_size=20)]
        assert self.page() == list(range(31, 51))
        assert self.pulls() == []

    def test_pages_go_back_to_the_beginning(self) -> None:
        assert self.page(before=31) == list(range(11, 31))
        assert self.page(before=11) == list(range(1, 11))
        assert self.page(before=1) == []

    def test_only_the_gap_is_asked_for(self) -> None:
        self.page()
        self.pulls()
        self.database(lambda database: database.run("DELETE FROM x_message WHERE seq_id IN (35, 40)"))
        assert self.page() == list(range(31, 51))
        assert self.pulls() == [PullMsg(group_id=CHAT, receive_seq_id=34, before_seq_id=41, page_size=6)]

    def test_two_who_ask_for_the_same_cost_one_question(self) -> None:
        first, second = self.client.history(CHAT), self.client.history(CHAT)
        self.server.run()
        assert self.successResultOf(first) == self.successResultOf(second)
        assert len(self.pulls()) == 1

    def test_while_offline_what_is_there_is_returned(self) -> None:
        self.page()
        self.server.lose()
        assert self.page(limit=40) == list(range(31, 51))

    def test_what_the_server_no_longer_keeps_is_not_asked_for_again(self) -> None:
        self.server.init_seq[CHAT] = 40
        assert self.page() == list(range(41, 51))
        self.pulls()
        assert self.page() == list(range(41, 51))
        assert self.pulls() == []

    def test_a_page_has_at_most_a_hundred(self) -> None:
        self.error(self.client.history(CHAT, limit=101), ValueError)
        self.error(self.client.history(CHAT, limit=0), ValueError)

    def test_of_a_group_that_is_not_mine_it_is_refused(self) -> None:
        self.server.refused[Command.IM_OFFLINE_MSG] = [Result.NOT_IN_GROUP]
        self.error(self.client.history("g9"), NotInGroupError)

    def test_of_a_chat_in_which_nothing_was_said_it_is_empty(self) -> None:
        assert self.result(self.client.history("7_8")) == []

    def test_one_message_can_be_had_by_its_seq(self) -> None:
        found = self.result(self.client.message(CHAT, 7))
        assert found is not None
        assert found.msg_body == "text 7"
        assert self.result(self.client.message(CHAT, 70)) is None
