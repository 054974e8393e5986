"""The chat: what is typed arrives once, in order, whatever becomes of the connection."""

from pathlib import Path

from imd.cli.chat.program import MAX_TYPED, RECONNECT_SECONDS, SETTINGS, ChatError
from imd.wire.bodies import (
    CloseChannel,
    ImGroup,
    ImMsgAck,
    KickNotice,
    MsgAck,
    PullMsg,
    UserData,
    UserLogin,
    UserLoginAck,
)
from imd.wire.commands import Command
from imd.wire.packet import ACK, Packet, encode, encode_error
from imd.wire.results import KickReason, Result

from ...paths import new_path
from .parts import ChatTestCase, message


class OpeningTests(ChatTestCase):
    def test_it_logs_in_as_a_linux_device(self) -> None:
        self.accept()
        _, login = self.request(Command.USER_LOGIN)
        assert login == UserLogin(uid=7, token="token 1", client_type=23, device_id="imctl")

    def test_it_shows_the_last_messages(self) -> None:
        history = [message(seq) for seq in range(1, 24)] + [message(24, sender=7)]
        pulls = self.come_online(history, has_more=True)
        assert pulls == [PullMsg(group_id="3_7", receive_seq_id=4, before_seq_id=25, page_size=20)]
        shown = self.shown()
        assert shown[:3] == [
            "7 in a chat with 3; /help tells more.",
            "(older messages are left out)",
            "   5  01-01 00:00  3: text 5",
        ]
        assert shown[-1] == "  24  01-01 00:00  you: text 24"

    def test_what_had_not_reached_me_is_shown_once_and_acked(self) -> None:
        self.accept()
        self.answer(Command.USER_LOGIN, UserLoginAck())
        view = ImGroup(group_id="3_7", group_type=1, max_seq=2, receive_seq=1)
        self.answer(Command.LIST_GROUP, UserData(groups=[view]))
        self.show([message(1), message(2)], group=view)
        assert self.shown()[1:] == ["   1  01-01 00:00  3: text 1", "   2  01-01 00:00  3: text 2"]
        _, acks = self.request(Command.IM_MSG_ACK)
        assert acks == MsgAck(acks=[ImMsgAck(group_id="3_7", seq_id=2)])

    def test_a_conversation_without_messages_says_so(self) -> None:
        self.come_online()
        assert self.shown()[-1] == "No messages yet."

    def test_no_daemon_is_an_error_that_says_what_to_do(self) -> None:
        self.refuse_connection()
        error = self.failureResultOf(self.run_, ChatError).value
        assert str(error).startswith("No daemon answers at tcp:127.0.0.1:7650 (Connection was refused")

    def test_a_refused_login_is_an_error(self) -> None:
        self.accept()
        self.refuse(Command.USER_LOGIN, Result.AUTH_FAILED, "the token is no good")
        error = self.failureResultOf(self.run_, ChatError).value
        assert str(error) == "The daemon refused the login: the token is no good."


class ReceivingTests(ChatTestCase):
    def test_a_live_message_is_shown_and_acked(self) -> None:
        self.come_online()
        self.shown()
        self.push(message(1))
        assert self.shown() == ["   1  01-01 00:00  3: text 1"]
        self.reactor.advance(SETTINGS.ack_seconds)
        assert self.asked() == [Packet(Command.IM_SEND_MSG, ACK, 0, 50, b"")]

    def test_a_message_that_comes_again_is_acked_and_not_shown_again(self) -> None:
        self.come_online([message(1)])
        self.asked()
        self.shown()
        self.push(message(1))
        assert self.shown() == []
        self.reactor.advance(SETTINGS.ack_seconds)
        assert len(self.asked()) == 1

    def test_what_comes_while_the_history_is_fetched_is_shown_after_it(self) -> None:
        self.accept()
        self.answer(Command.USER_LOGIN, UserLoginAck())
        view = ImGroup(group_id="3_7", group_type=1, max_seq=2, receive_seq=2)
        self.answer(Command.LIST_GROUP, UserData(groups=[view]))
        self.answer(Command.GROUP_BY_ID, UserData(groups=[view]))
        pull, _ = self.request(Command.IM_OFFLINE_MSG)
        for seq in (2, 3):
            self.send(Command.IM_SEND_MSG, message(seq))
        history = UserData(messages=[message(1), message(2)])
        self.client.dataReceived(encode(pull.command, pull.trace_id, history.SerializeToString(), ACK))
        assert [line[-6:] for line in self.shown()[1:]] == ["text 1", "text 2", "text 3"]

    def test_a_message_of_another_conversation_says_how_to_go_there(self) -> None:
        self.come_online()
        self.shown()
        self.push(message(1, sender=9, group_id="7_9"))
        assert self.shown() == ["[from 9 in 7_9] text 1  (/open 7_9)"]

    def test_what_only_passes_through_is_not_shown(self) -> None:
        self.come_online()
        self.shown()
        self.push(message(0, msg_type=99))
        assert self.shown() == []

    def test_what_i_write_elsewhere_on_another_device_is_not_shown(self) -> None:
        self.come_online()
        self.shown()
        self.push(message(1, sender=7, group_id="7_9"))
        assert self.shown() == []


class SendingTests(ChatTestCase):
    def test_a_stored_message_gets_its_mark(self) -> None:
        self.come_online()
        self.shown()
        self.type("hi")
        sent = self.answer(Command.IM_SEND_MSG, ImMsgAck(group_id="3_7", seq_id=12))
        assert (sent.msg_type, sent.msg_body, sent.receiver_id, sent.group_id) == (1, "hi", 0, "3_7")
        assert self.shown() == ["✓ 12"]

    def test_messages_go_out_one_after_the_other(self) -> None:
        self.come_online()
        self.type("one", "two")
        first = self.answer(Command.IM_SEND_MSG, ImMsgAck(group_id="3_7", seq_id=1))
        second = self.answer(Command.IM_SEND_MSG, ImMsgAck(group_id="3_7", seq_id=2))
        assert (first.msg_body, second.msg_body) == ("one", "two")

    def test_a_refused_message_is_told_with_the_reason(self) -> None:
        self.come_online()
        self.shown()
        self.type("hi", "again")
        self.refuse(Command.IM_SEND_MSG, Result.BLOCKED, "3 has blocked you")
        assert self.shown() == ["✗ not sent: 3 has blocked you."]
        _, second = self.request(Command.IM_SEND_MSG)
        assert second.msg_body == "again"

    def test_one_who_is_muted_is_told_until_when(self) -> None:
        self.come_online()
        for group, reason in (
            (ImGroup(mute_until=61_000), "you are muted until 01-01 00:01:01"),
            (ImGroup(mute_all=1), "only the owner and the admins may speak now"),
            (ImGroup(), "until noon"),
        ):
            self.shown()
            self.type("hi")
            self.refuse(Command.IM_SEND_MSG, Result.MUTED, "until noon")
            self.answer(Command.GROUP_BY_ID, UserData(groups=[group]))
            assert self.shown() == [f"✗ not sent: {reason}."]

    def test_what_the_daemon_can_not_take_now_is_sent_again(self) -> None:
        self.come_online()
        self.type("hi")
        packet, first = self.request(Command.IM_SEND_MSG)
        self.client.dataReceived(encode_error(packet.command, packet.trace_id, Result.UNAVAILABLE, "later"))
        assert not self.asked()
        self.reactor.advance(1)
        _, second = self.request(Command.IM_SEND_MSG)
        assert first == second

    def test_the_daemon_sets_the_pace_of_reading(self) -> None:
        self.come_online()
        self.type(*(str(n) for n in range(MAX_TYPED + 1)))
        assert self.screen.producerState == "paused"
        self.answer(Command.IM_SEND_MSG, ImMsgAck(group_id="3_7", seq_id=1))
        for _ in range(2):
            self.answer(Command.IM_SEND_MSG, ImMsgAck(group_id="3_7", seq_id=1))
        assert self.screen.producerState == "producing"


class ReconnectTests(ChatTestCase):
    def test_a_lost_connection_is_told_and_made_again(self) -> None:
        self.come_online([message(4)])
        self.shown()
        self.lose()
        assert self.shown() == ["The daemon is away (Connection was closed cleanly); trying again every 5 seconds."]
        for _ in range(2):
            self.reactor.advance(RECONNECT_SECONDS)
            self.refuse_connection()
        self.reactor.advance(RECONNECT_SECONDS)
        pulls = self.come_online([message(5)])
        assert self.shown() == ["The daemon is back.", "   5  01-01 00:00  3: text 5"]
        assert pulls == [PullMsg(group_id="3_7", receive_seq_id=4, before_seq_id=6, page_size=20)]

    def test_of_a_long_absence_the_newest_messages_are_shown(self) -> None:
        self.come_online([message(4)])
        self.lose()
        self.shown()
        self.reactor.advance(RECONNECT_SECONDS)
        self.come_online([message(seq) for seq in range(5, 300)], has_more=True)
        shown = self.shown()
        assert shown[:2] == ["The daemon is back.", "(older messages are left out)"]
        assert [int(line.split()[0]) for line in shown[2:]] == list(range(280, 300))

    def test_a_chat_can_be_kept_in_a_file(self) -> None:
        path = new_path(self)
        self.make(path)
        self.come_online([message(4)])
        assert Path(path).exists()

    def test_a_file_that_is_no_store_is_an_error(self) -> None:
        path = Path(new_path(self))
        path.write_bytes(b"nonsense" * 1000)
        self.make(str(path))
        error = self.failureResultOf(self.run_, ChatError).value
        assert str(error) == f"The local store {path} can't be used: file is not a database."

    def test_what_was_not_acked_is_sent_again_under_its_id(self) -> None:
        self.come_online()
        self.type("hi")
        _, first = self.request(Command.IM_SEND_MSG)
        self.lose()
        self.reactor.advance(RECONNECT_SECONDS)
        self.come_online()
        _, second = self.request(Command.IM_SEND_MSG)
        assert first == second
        assert first.msg_id

    def test_what_is_typed_while_the_daemon_is_away_is_sent_after(self) -> None:
        self.come_online()
        self.lose()
        self.type("hi")
        assert not self.reactor.tcpClients
        self.reactor.advance(RECONNECT_SECONDS)
        self.come_online()
        _, sent = self.request(Command.IM_SEND_MSG)
        assert sent.msg_body == "hi"

    def test_a_line_without_an_ack_is_sent_again_under_its_id(self) -> None:
        self.come_online()
        self.type("hi")
        _, first = self.request(Command.IM_SEND_MSG)
        self.wait(SETTINGS.answer_seconds)
        _, second = self.request(Command.IM_SEND_MSG)
        assert first == second

    def test_each_login_has_a_token_of_its_own(self) -> None:
        self.come_online()
        self.lose()
        self.reactor.advance(RECONNECT_SECONDS)
        self.accept()
        _, login = self.request(Command.USER_LOGIN)
        assert login.token == "token 2"

    def test_a_daemon_that_drains_says_when_to_come_back(self) -> None:
        self.come_online()
        self.send(Command.CLOSE_CHANNEL, CloseChannel(reconnect_after_ms=300))
        self.lose()
        self.reactor.advance(0.3)
        self.refuse_connection()
        self.reactor.advance(0.3)
        assert not self.reactor.tcpClients

    def test_one_that_was_replaced_does_not_come_back(self) -> None:
        self.come_online()
        self.send(Command.USER_KICK, KickNotice(reason=KickReason.REPLACED))
        self.lose()
        error = self.failureResultOf(self.run_, ChatError).value
        assert str(error) == "The daemon closed this chat: you logged in elsewhere."


class EndTests(ChatTestCase):
    def test_the_end_of_the_input_ends_the_chat(self) -> None:
        self.come_online()
        self.end_input()
        assert self.wire.disconnecting
        self.lose()
        assert self.successResultOf(self.run_)

    def test_what_was_typed_before_is_stored_first(self) -> None:
        self.type("hi")
        self.end_input()
        self.come_online()
        assert not self.wire.disconnecting
        self.answer(Command.IM_SEND_MSG, ImMsgAck(group_id="3_7", seq_id=1))
        self.lose()
        assert self.successResultOf(self.run_)
        assert self.shown()[-1] == "✓ 1"

    def test_a_refused_message_is_told_at_the_end(self) -> None:
        self.come_online()
        self.type("hi")
        self.end_input()
        self.refuse(Command.IM_SEND_MSG, Result.TOO_LARGE, "too long")
        self.lose()
        assert self.successResultOf(self.run_) is False

    def test_with_nothing_left_to_send_an_absent_daemon_is_not_waited_for(self) -> None:
        self.come_online()
        self.lose()
        self.end_input()
        assert self.successResultOf(self.run_)

    def test_exit_leaves_what_was_typed_after_it(self) -> None:
        self.come_online()
        self.type("/exit", "hi")
        self.lose()
        assert self.successResultOf(self.run_)
