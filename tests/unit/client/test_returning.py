"""Coming back: what has changed, the newest page of each conversation with news, and then an ACK."""

from dataclasses import replace

from imd.client.values import Conversation
from imd.wire.bodies import ImGroup, ImMsg, ImMsgAck, ListGroup, MsgAck, PullMsg, UserData
from imd.wire.commands import Command
from imd.wire.enums import MsgStatus
from imd.wire.results import Result

from ..paths import new_path
from .parts import CHAT, ClientTestCase


class ReturningTests(ClientTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.store = new_path(self)
        self.client = self.make(self.store)
        self.server.say(number=2)
        self.start()
        self.server.wait(1)
        self.server.asked.clear()
        self.shown.clear()

    def test_only_what_changed_since_the_last_time_is_asked_for(self) -> None:
        self.come_back()
        assert self.server.bodies(Command.LIST_GROUP) == [ListGroup(page_size=200, since=77)]

    def test_also_in_the_next_process(self) -> None:
        self.stop()
        self.client = self.make(self.store)
        self.start()
        assert self.server.bodies(Command.LIST_GROUP) == [ListGroup(page_size=200, since=77)]
        assert self.shown == []

    def test_the_newest_page_of_what_has_news_is_fetched_then_acked_then_shown(self) -> None:
        self.server.lose()
        self.server.say(number=5)
        self.server.wait(5)
        asked = [command for command, _ in self.server.asked if command != Command.OFFLINE_NOTICE_MSG]
        assert asked == [Command.USER_LOGIN, Command.LIST_GROUP, Command.IM_OFFLINE_MSG, Command.IM_MSG_ACK]
        assert self.server.bodies(Command.IM_OFFLINE_MSG) == [
            PullMsg(group_id=CHAT, receive_seq_id=2, before_seq_id=8, page_size=20)
        ]
        assert self.server.bodies(Command.IM_MSG_ACK) == [MsgAck(acks=[ImMsgAck(group_id=CHAT, seq_id=7)])]
        assert self.seqs() == [3, 4, 5, 6, 7]

    def test_what_is_missing_below_that_page_is_fetched_too(self) -> None:
        self.server.lose()
        self.server.say(number=150)
        self.server.wait(5)
        pulls = [(each.receive_seq_id, each.before_seq_id) for each in self.server.bodies(Command.IM_OFFLINE_MSG)]
        assert pulls == [(2, 153), (2, 103), (102, 133)]
        assert self.seqs() == list(range(3, 153))

    def test_a_list_has_pages(self) -> None:
        pages = [UserData(groups=[ImGroup(group_id=CHAT, group_type=1, max_seq=2)], has_more=True, cursor="c")]
        self.server._answer = lambda command, body, answer=self.server._answer: (  # type: ignore[method-assign, misc]
            pages.pop() if command == Command.LIST_GROUP and pages else answer(command, body)
        )
        self.come_back()
        assert [body.cursor for body in self.server.bodies(Command.LIST_GROUP)] == ["", "c"]

    def test_a_list_that_was_cut_off_is_asked_for_again_from_the_same_time(self) -> None:
        self.server.silent.add(Command.LIST_GROUP)
        self.come_back()
        self.server.silent.clear()
        self.come_back()
        assert [body.since for body in self.server.bodies(Command.LIST_GROUP)] == [77, 77]

    def test_one_that_is_refused_for_now_is_asked_for_again(self) -> None:
        self.server.refused[Command.LIST_GROUP] = [Result.UNAVAILABLE]
        self.server.lose()
        self.server.say()
        self.server.wait(5)
        assert self.shown == []
        self.server.wait(1)
        assert self.seqs() == [3]

    def test_a_conversation_i_may_not_pull_harms_no_other(self) -> None:
        self.server.lose()
        for group_id in ("g1", CHAT, "7_9"):
            self.server.say(group_id, push=False)
        self.server.closed = {"g1"}
        self.server.wait(5)
        assert [message.group_id for message in self.shown] == [CHAT, "7_9"]
        assert len(self.server.bodies(Command.LIST_GROUP)) == 1

    def test_tombstones_take_the_place_of_what_i_deleted_elsewhere(self) -> None:
        tombstone = ImMsg(group_id=CHAT, group_type=1, seq_id=1, msg_status=MsgStatus.DELETED)
        notice = UserData(groups=[self.server.view(CHAT)], messages=[tombstone])
        self.server.send(Command.CONVERSATION_NOTICE, notice)
        assert self.rows("SELECT msg_body, msg_status FROM x_message WHERE seq_id = 1") == [("", MsgStatus.DELETED)]

    def test_a_notice_of_conversations_is_told_and_what_is_missing_fetched(self) -> None:
        changed: list[Conversation] = []
        self.client.on_conversation(changed.append)
        self.server.say(push=False)
        view = self.server.view(CHAT)
        view.is_top = 1
        self.server.send(Command.CONVERSATION_NOTICE, UserData(groups=[view]))
        self.server.run()
        assert self.seqs() == [3]
        assert [each.is_top for each in changed] == [1]

    def test_one_without_conversations_asks_for_the_list(self) -> None:
        self.server.send(Command.CONVERSATION_NOTICE, UserData())
        self.server.run()
        assert len(self.server.bodies(Command.LIST_GROUP)) == 1

    def test_history_that_was_cleared_elsewhere_is_gone_here(self) -> None:
        self.server.init_seq[CHAT] = 1
        self.come_back()
        assert self.rows("SELECT seq_id FROM x_message") == [(2,)]

    def test_a_new_device_is_not_shown_what_reached_the_others(self) -> None:
        self.stop()
        self.server.receive_seq[CHAT] = 1
        self.client = self.make()
        self.start()
        assert self.seqs() == [2]


class LongAbsenceTests(ClientTestCase):
    settings = replace(ClientTestCase.settings, catch_up=100)

    def test_of_what_would_be_too_many_only_the_newest_page_is_fetched_and_the_rest_on_demand(self) -> None:
        self.start()
        self.server.lose()
        self.server.say(number=100_000, push=False)
        self.server.wait(5)
        assert self.seqs() == list(range(99_981, 100_001))
        assert len(self.server.bodies(Command.IM_OFFLINE_MSG)) == 1
        assert self.server.bodies(Command.IM_MSG_ACK) == [MsgAck(acks=[ImMsgAck(group_id=CHAT, seq_id=100_000)])]
        older = self.result(self.client.history(CHAT, before=99_981, limit=100))
        assert self.seqs(older) == list(range(99_881, 99_981))
        self.come_back()
        assert len(self.shown) == 20
