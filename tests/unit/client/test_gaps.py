"""Gaps: whatever was lost on the way or from the store is fetched, once, and shown in order."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from imd.wire.bodies import GetGroupById, PullMsg
from imd.wire.commands import Command
from imd.wire.results import Result

from ..paths import new_path
from .parts import CHAT, ClientTestCase


class GapTests(ClientTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.server.say(number=3)
        self.start()
        self.server.bodies(Command.IM_OFFLINE_MSG)
        self.shown.clear()

    def pulls(self) -> list[PullMsg]:
        return self.server.bodies(Command.IM_OFFLINE_MSG)

    def test_what_is_missing_before_a_push_is_fetched_by_both_ends_and_shown_first(self) -> None:
        self.server.say(number=4, push=False)
        self.server.say()
        self.server.run()
        assert self.seqs() == [4, 5, 6, 7, 8]
        assert self.pulls() == [PullMsg(group_id=CHAT, receive_seq_id=3, before_seq_id=8, page_size=4)]

    def test_a_gap_is_asked_for_once_however_many_pushes_show_it(self) -> None:
        self.server.say(push=False)
        self.server.say(number=5)
        self.server.run()
        assert self.seqs() == [4, 5, 6, 7, 8, 9]
        assert len(self.pulls()) == 1

    def test_a_large_gap_is_fetched_in_pages_from_its_lower_end(self) -> None:
        self.server.say(number=250, push=False)
        self.server.say()
        self.server.run()
        assert self.seqs() == list(range(4, 255))
        assert [(pull.receive_seq_id, pull.before_seq_id) for pull in self.pulls()] == [
            (3, 104),
            (103, 204),
            (203, 254),
        ]

    def test_one_that_can_not_be_filled_now_is_asked_for_again_after_ever_longer_pauses(self) -> None:
        self.server.refused[Command.IM_OFFLINE_MSG] = [Result.UNAVAILABLE] * 3
        self.server.say(push=False)
        self.server.say()
        self.server.run()
        for pause in (1, 2, 4):
            assert len(self.pulls()) == 1
            self.server.wait(pause - 0.5)
            assert not self.pulls()
            self.server.wait(0.5)
        assert self.seqs() == [4, 5]

    def test_one_whose_connection_ended_is_filled_on_the_next(self) -> None:
        self.server.silent.add(Command.IM_OFFLINE_MSG)
        self.server.say(push=False)
        self.server.say()
        self.server.run()
        self.server.silent.clear()
        self.server.has_news = False
        self.come_back()
        assert self.seqs() == [4, 5]

    def test_one_that_was_left_open_is_filled_by_the_next_process(self) -> None:
        store = new_path(self)
        self.client = self.make(store)
        self.start()
        self.server.silent.add(Command.IM_OFFLINE_MSG)
        self.server.say(push=False)
        self.server.say()
        self.server.run()
        self.stop()
        self.server.silent.clear()
        self.server.has_news = False
        self.shown.clear()
        self.client = self.make(store)
        self.start()
        assert self.seqs() == [4, 5]

    def test_what_the_server_no_longer_keeps_is_no_gap(self) -> None:
        self.server.say(number=9, push=False)
        self.server.init_seq[CHAT] = 10
        self.server.say()
        self.server.run()
        assert self.seqs() == [11, 12, 13]

    def test_what_i_may_no_longer_see_is_given_up(self) -> None:
        self.server.refused[Command.IM_OFFLINE_MSG] = [Result.NOT_IN_GROUP]
        self.server.say(push=False)
        self.server.say()
        self.server.wait(60)
        assert len(self.pulls()) == 1

    def test_a_conversation_that_was_not_known_begins_where_the_server_says(self) -> None:
        self.server.say("g1", 5, push=False)
        self.server.init_seq["g1"] = 3
        self.server.say("g1")
        self.server.run()
        assert self.seqs() == [4, 5, 6]
        assert self.server.bodies(Command.GROUP_BY_ID) == [GetGroupById(group_ids=["g1"])]

    def test_what_is_pushed_of_it_is_shown_although_another_device_has_acked_it(self) -> None:
        self.server.say("g1", 5, push=False)
        self.server.receive_seq["g1"] = 6
        self.server.say("g1")
        self.server.run()
        assert self.seqs() == [6]


lost = st.sets(st.integers(1, 40))


class AnythingLostTests(ClientTestCase):
    @settings(max_examples=100, deadline=None)
    @given(before=st.integers(0, 20), pushes=lost, rows=lost, late=lost, is_reconnected=st.booleans())
    def test_any_pushes_and_rows_may_be_lost_and_the_store_ends_complete(
        self, before: int, pushes: set[int], rows: set[int], late: set[int], is_reconnected: bool
    ) -> None:
        super().setUp()
        server = self.server
        server.say(number=before, push=False)
        self.start()
        delayed: list[Any] = []
        for _ in range(20):
            message = server.store(CHAT, 3)
            if message.seq_id in late:
                delayed.append(message)
            elif message.seq_id not in pushes:
                server.push(message)
        for message in reversed(delayed):
            server.push(message)
        self.database(lambda database: [database.run("DELETE FROM x_message WHERE seq_id = ?", seq) for seq in rows])
        server.run()
        if is_reconnected:
            self.come_back()
        server.say()
        server.run()
        assert self.seqs() == list(range(1, before + 22))
        seen: list[int] = []
        while page := self.result(self.client.history(CHAT, before=seen[0] if seen else 0, limit=7)):
            seen = self.seqs(page) + seen
        assert seen == list(range(1, before + 22))
        held = self.rows("SELECT seq_id, msg_body FROM x_message WHERE group_id = ? ORDER BY seq_id", CHAT)
        assert held == [(seq, f"text {seq}") for seq in seen]
