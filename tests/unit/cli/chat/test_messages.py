"""Taking a message back."""

from imd.wire.bodies import PullMsg, RevokeMsg, UserData
from imd.wire.commands import Command
from imd.wire.results import Result

from .parts import ChatTestCase, control, message

TAKEN_BACK = '{"op": "revoke", "by": 7, "uids": [7], "msg_id": "id 5", "seq_id": 5}'


class RevokeTests(ChatTestCase):
    def test_my_last_message_is_taken_back(self) -> None:
        self.come_online([message(4, 7), message(5, 7), message(6, 3)])
        self.type("/revoke")
        assert self.answer(Command.REVOKE_MSG) == RevokeMsg(group_id="3_7", msg_id="id 5")

    def test_one_just_sent_is_the_last(self) -> None:
        self.come_online([message(4, 7)])
        self.shown()
        msg_id = self.write("hi", 5)
        self.type("/revoke")
        assert self.answer(Command.REVOKE_MSG).msg_id == msg_id

    def test_the_next_time_it_is_the_one_before(self) -> None:
        self.come_online([message(4, 7), message(5, 7)])
        self.type("/revoke", "/revoke")
        self.answer(Command.REVOKE_MSG)
        assert self.answer(Command.REVOKE_MSG).msg_id == "id 4"

    def test_one_that_was_taken_back_elsewhere_is_not_the_last(self) -> None:
        self.come_online([message(4, 7), message(5, 7)])
        self.push(control(6, TAKEN_BACK, 7, "3_7"))
        self.type("/revoke")
        assert self.answer(Command.REVOKE_MSG).msg_id == "id 4"

    def test_one_that_was_taken_back_before_i_came_is_not_the_last(self) -> None:
        self.come_online([message(4, 7), message(5, 7, msg_status=2)])
        self.type("/revoke")
        assert self.answer(Command.REVOKE_MSG).msg_id == "id 4"

    def test_a_refused_one_stays_the_last(self) -> None:
        self.come_online([message(4, 7)])
        self.shown()
        self.type("/revoke")
        self.refuse(Command.REVOKE_MSG, Result.REVOKE_TIMEOUT, "it is older than 120 seconds")
        assert self.shown() == ["/revoke was refused: it is older than 120 seconds."]
        self.type("/revoke")
        assert self.answer(Command.REVOKE_MSG).msg_id == "id 4"

    def test_a_message_is_named_by_its_number(self) -> None:
        self.come_online()
        self.type("/revoke 2")
        pull = self.answer(Command.IM_OFFLINE_MSG, UserData(messages=[message(2)]))
        assert pull == PullMsg(group_id="3_7", receive_seq_id=1, before_seq_id=3, page_size=1)
        assert self.answer(Command.REVOKE_MSG).msg_id == "id 2"

    def test_without_a_message_nothing_is_asked(self) -> None:
        self.come_online([message(1)])
        self.asked()
        self.shown()
        self.type("/revoke", "/revoke 2", "/revoke 3")
        self.show([message(1), message(3, msg_status=2)])
        assert self.shown() == [
            "Which one? None of yours is to be seen: name its number, as in /revoke 12.",
            "There is no message 2 here.",
            "Message 3 was taken back before.",
        ]
        assert not self.asked()
