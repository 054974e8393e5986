"""Notices, and that they are ACKed."""

from twisted.trial.unittest import SynchronousTestCase

from imd.cli.chat.notices import notice_line
from imd.wire.bodies import NoticeMsg, NoticeMsgAck, PullNotice, UserData
from imd.wire.commands import Command
from imd.wire.results import Result

from .parts import ChatTestCase

ASKING = b'{"op": "join_request", "group_id": "g1", "group_name": "Team", "uid": 9, "message": "please"}'


class LineTests(SynchronousTestCase):
    def test_a_notice_says_who_sent_it(self) -> None:
        assert notice_line(NoticeMsg(sender="shop", payload="päid".encode()), "g1") == "!! notice from shop: päid"

    def test_what_is_no_text_is_told_by_its_size(self) -> None:
        assert notice_line(NoticeMsg(sender="shop", payload=b"\xff\xfe"), "g1") == "!! notice from shop: (2 bytes)"

    def test_one_who_asks_to_join_is_told_with_what_to_do(self) -> None:
        assert notice_line(NoticeMsg(notice_type=1, sender="imd", payload=ASKING), "g2") == (
            "!! 9 asks to join Team (g1): please  (to agree: /open g1, then /invite 9)"
        )
        assert notice_line(NoticeMsg(notice_type=1, sender="imd", payload=ASKING), "g1").endswith(
            "(to agree: /invite 9)"
        )

    def test_only_the_daemon_tells_who_asks(self) -> None:
        assert notice_line(NoticeMsg(sender="shop", payload=ASKING), "g1").startswith("!! notice from shop: {")

    def test_an_op_that_is_not_known_is_shown_as_it_is(self) -> None:
        for payload in (b'{"op": "dance"}', b'{"op": "join_request"}', b"[]", b"\xff"):
            assert notice_line(NoticeMsg(sender="imd", payload=payload), "g1").startswith("!! notice from imd: ")


class NoticesTests(ChatTestCase):
    def notice(self, number: int) -> NoticeMsg:
        return NoticeMsg(notice_id=f"n{number}", payload=f"news {number}".encode(), sender="shop", send_time=number)

    def acked(self) -> list[str]:
        _, ack = self.request(Command.NOTICE_MSG_ACK)
        assert isinstance(ack, NoticeMsgAck)
        return list(ack.notice_ids)

    def test_a_notice_is_shown_and_acked(self) -> None:
        self.come_online()
        self.shown()
        self.send(Command.NOTICE_MSG, self.notice(1))
        assert self.shown() == ["!! notice from shop: news 1"]
        assert self.acked() == ["n1"]

    def test_one_that_comes_again_is_acked_and_not_shown_again(self) -> None:
        self.come_online()
        self.send(Command.NOTICE_MSG, self.notice(1))
        self.acked()
        self.shown()
        self.send(Command.NOTICE_MSG, self.notice(1))
        assert (self.shown(), self.acked()) == ([], ["n1"])

    def test_those_that_came_while_i_was_away_are_shown_at_the_login(self) -> None:
        self.come_online(notices=[self.notice(1), self.notice(2)])
        assert self.shown()[1:3] == ["!! notice from shop: news 1", "!! notice from shop: news 2"]
        assert self.acked() == ["n1", "n2"]

    def test_every_page_is_asked_for(self) -> None:
        self.accept()
        self.answer(Command.USER_LOGIN)
        page = UserData(notices=[self.notice(1)], cursor="c", has_more=True)
        assert self.answer(Command.OFFLINE_NOTICE_MSG, page) == PullNotice(page_size=100)
        assert self.answer(Command.OFFLINE_NOTICE_MSG, UserData()) == PullNotice(cursor="c", page_size=100)

    def test_a_daemon_without_notices_is_not_complained_about(self) -> None:
        self.accept()
        self.answer(Command.USER_LOGIN)
        self.show()
        self.shown()
        self.refuse(Command.OFFLINE_NOTICE_MSG, Result.UNKNOWN_COMMAND, "no such command")
        assert self.shown() == []
        self.type("hi")
        self.request(Command.IM_SEND_MSG)
