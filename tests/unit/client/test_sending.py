"""The send queue: in order, once, through failures, lost connections and restarts."""

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from imd.client.errors import BusyError, TooLargeError, UnknownMessageError
from imd.client.values import Message, body_of, message_of
from imd.wire.bodies import ImMsg
from imd.wire.commands import Command
from imd.wire.enums import MsgType, Status
from imd.wire.results import Result

from ..paths import new_path
from .parts import CHAT, ME, ClientTestCase


class SendingTestCase(ClientTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.server.bodies(Command.USER_LOGIN)

    def sent(self) -> list[str]:
        """Return the texts that came to the server since this was asked last."""
        return [body.msg_body for body in self.server.bodies(Command.IM_SEND_MSG)]

    def told(self) -> list[tuple[str, Status]]:
        """Return what was told of texts since this was asked last."""
        told = [(message.msg_body, Status(message.status)) for message in self.statuses]
        self.statuses.clear()
        return told

    def fail(self, *texts: str) -> list[Message]:
        """Let texts be sent whose first has no ACK in time."""
        self.server.silent.add(Command.IM_SEND_MSG)
        messages = [self.send(text) for text in texts]
        self.server.wait(self.settings.answer_seconds)
        self.server.silent.clear()
        return messages


class QueueTests(SendingTestCase):
    def test_a_message_is_in_the_store_at_once_and_then_on_the_server(self) -> None:
        message = self.send("hello")
        assert (message.status, message.seq_id, message.group_id, message.sender_id) == (Status.SENDING, 0, CHAT, ME)
        assert self.rows("SELECT msg_id, status, seq_id FROM x_message") == [(message.msg_id, Status.SENDING, 0)]
        self.server.run()
        assert self.rows("SELECT msg_id, status, seq_id FROM x_message") == [(message.msg_id, Status.SUCCESS, 1)]
        assert self.told() == [("hello", Status.SUCCESS)]
        assert self.shown == []

    def test_the_msg_id_is_a_uuid_of_version_7(self) -> None:
        assert self.send().msg_id[14] == "7"

    def test_of_one_conversation_one_is_under_way_in_their_order(self) -> None:
        self.server.silent.add(Command.IM_SEND_MSG)
        for text in ("one", "two", "three"):
            self.send(text)
        self.server.run()
        assert self.sent() == ["one"]
        self.server.silent.clear()
        self.come_back()
        assert self.sent() == ["one", "two", "three"]
        assert self.told() == [(text, Status.SUCCESS) for text in ("one", "two", "three")]

    def test_conversations_do_not_wait_for_each_other(self) -> None:
        self.server.silent.add(Command.IM_SEND_MSG)
        self.send("one", to=3)
        self.send("two", to=4)
        self.server.run()
        assert self.sent() == ["one", "two"]

    def test_what_is_sent_while_offline_goes_out_after(self) -> None:
        self.server.lose()
        self.send("later")
        assert self.client.queued == 1
        self.server.wait(self.settings.reconnect_seconds)
        assert (self.sent(), self.client.queued) == (["later"], 0)

    def test_what_a_lost_connection_left_without_an_ack_is_sent_again_under_its_id(self) -> None:
        self.server.silent.add(Command.IM_SEND_MSG)
        message = self.send()
        self.server.run()
        self.server.silent.clear()
        self.come_back()
        assert [body.msg_id for body in self.server.bodies(Command.IM_SEND_MSG)] == [message.msg_id] * 2
        assert len(self.server.groups[CHAT]) == 1

    def test_what_waits_survives_the_application(self) -> None:
        store = new_path(self)
        self.client = self.make(store)
        self.start()
        self.server.lose()
        for text in ("one", "two"):
            self.send(text)
        self.stop()
        self.client = self.make(store)
        assert self.client.queued == 0
        self.start()
        assert (self.sent(), self.client.queued) == (["one", "two"], 0)

    def test_a_passthrough_is_not_kept(self) -> None:
        passed = self.client.send(to=3, msg_type=MsgType.PASSTHROUGH, msg_body="typing")
        self.result(passed)
        assert self.sent() == ["typing"]
        assert self.rows("SELECT * FROM x_message") == []

    def test_what_can_not_be_a_message_is_refused_at_once(self) -> None:
        self.error(self.client.send_text(text="x" * 70_000, to=3), TooLargeError)
        self.error(self.client.send_text(text="\ud800", to=3), ValueError)
        self.error(self.client.send_text(text="x"), ValueError)
        self.error(self.client.send_text(text="x", to=3, group_id=CHAT), ValueError)
        assert (self.sent(), self.client.queued) == ([], 0)


class FailureTests(SendingTestCase):
    def test_no_ack_in_time_is_a_failure_until_it_is_sent_again(self) -> None:
        [message] = self.fail("hello")
        assert self.told() == [("hello", Status.FAILURE)]
        self.server.wait(60)
        assert self.sent() == ["hello"]
        assert self.result(self.client.resend(message.msg_id)).status == Status.SENDING
        assert self.told() == [("hello", Status.SENDING), ("hello", Status.SUCCESS)]
        [again] = self.server.bodies(Command.IM_SEND_MSG)
        assert again.msg_id == message.msg_id

    def test_what_comes_after_it_waits_for_it(self) -> None:
        first, _ = self.fail("one", "two")
        self.send("three")
        self.server.run()
        assert self.sent() == ["one"]
        self.result(self.client.resend(first.msg_id))
        assert self.sent() == ["one", "two", "three"]

    def test_what_comes_after_it_goes_on_once_it_is_discarded(self) -> None:
        first, _ = self.fail("one", "two")
        self.result(self.client.discard(first.msg_id))
        assert self.sent() == ["one", "two"]
        assert self.rows("SELECT msg_body FROM x_message") == [("two",)]
        assert self.client.queued == 0

    def test_it_still_holds_the_others_up_after_a_restart(self) -> None:
        store = new_path(self)
        self.client = self.make(store)
        self.start()
        first, _ = self.fail("one", "two")
        self.stop()
        self.client = self.make(store)
        self.start()
        assert [message.msg_body for message in self.result(self.client.unsent())] == ["one", "two"]
        assert self.sent() == ["one"]
        self.result(self.client.resend(first.msg_id))
        assert self.sent() == ["one", "two"]

    def test_one_that_turns_up_on_the_server_was_sent(self) -> None:
        first, _ = self.fail("one", "two")
        self.told()
        self.server.store(CHAT, ME, msg_id=first.msg_id, msg_body="one")
        self.server.say()
        self.server.run()
        assert self.told()[0] == ("one", Status.SUCCESS)
        assert self.sent() == ["one", "two"]
        assert self.seqs() == [2]

    def test_a_refused_one_says_why_and_holds_nobody_up(self) -> None:
        self.server.refused[Command.IM_SEND_MSG] = [Result.MUTED]
        first = self.send("one")
        self.send("two")
        self.server.run()
        failed, _ = self.statuses
        assert (failed.status, failed.result, failed.reason) == (Status.FAILURE, Result.MUTED, "MUTED it is")
        assert self.told()[1] == ("two", Status.SUCCESS)
        self.result(self.client.resend(first.msg_id))
        assert self.sent() == ["one", "two", "one"]
        assert [each.msg_body for each in self.server.groups[CHAT]] == ["two", "one"]

    def test_a_refusal_that_passes_is_met_with_patience(self) -> None:
        self.server.refused[Command.IM_SEND_MSG] = [Result.UNAVAILABLE, Result.RATE_LIMITED]
        self.send("one")
        self.send("two")
        self.server.run()
        assert self.sent() == ["one"]
        self.server.wait(3)
        assert self.sent() == ["one", "one", "two"]
        assert self.told() == [("one", Status.SUCCESS), ("two", Status.SUCCESS)]

    def test_a_server_that_failed_may_have_stored_it(self) -> None:
        self.server.refused[Command.IM_SEND_MSG] = [Result.INTERNAL]
        self.send("one")
        self.send("two")
        self.server.wait(60)
        assert (self.sent(), self.told()) == (["one"], [("one", Status.FAILURE)])

    def test_only_what_has_failed_can_be_sent_again_or_dropped(self) -> None:
        self.error(self.client.resend("nothing"), UnknownMessageError)
        self.server.silent.add(Command.IM_SEND_MSG)
        message = self.send()
        self.error(self.client.discard(message.msg_id), UnknownMessageError)
        assert self.result(self.client.resend(message.msg_id)).status == Status.SENDING
        assert self.sent() == ["hello"]


class BoundsTests(SendingTestCase):
    settings = replace(SendingTestCase.settings, max_queued=500, max_under_way=10)

    def test_no_more_than_so_many_wait(self) -> None:
        self.server.lose()
        for number in range(500):
            self.send(str(number))
        self.error(self.client.send_text(text="one too many", to=3), BusyError)
        assert self.client.queued == 500
        self.server.wait(self.settings.reconnect_seconds)
        assert self.sent() == [str(number) for number in range(500)]
        self.send("there is room again")

    def test_of_a_long_queue_a_part_is_in_memory(self) -> None:
        self.server.lose()
        for number in range(500):
            self.send(str(number))
        [lane] = self.client._engine.sending._lanes.values()
        assert len(lane.waiting) <= 100

    def test_no_more_than_so_many_are_under_way(self) -> None:
        self.server.silent.add(Command.IM_SEND_MSG)
        for uid in range(100, 150):
            self.send(to=uid)
        self.server.run()
        assert len(self.sent()) == 10
        self.server.silent.clear()
        self.come_back()
        assert len({body.group_id for body in self.server.bodies(Command.IM_SEND_MSG)}) == 50

    def test_thousands_of_conversations_that_wait_do_not_exhaust_the_stack(self) -> None:
        self.stop()
        self.client = self.make(settings=replace(self.settings, max_queued=20_000))
        self.start()
        self.server.silent.add(Command.IM_SEND_MSG)
        for uid in range(100, 1_600):
            self.send(to=uid)
        self.server.run()
        self.server.silent.clear()
        self.come_back()
        assert self.client.queued == 0


class BodyTests(SynchronousTestCase):
    def test_the_body_of_a_message_has_what_a_client_sends(self) -> None:

        sent = ImMsg(
            msg_id="m",
            msg_type=6,
            msg_body="b",
            sender_name="n",
            sender_remark="r",
            group_id=CHAT,
            extra="e",
            attach_id=1,
            attach_type=2,
            attach_name="a",
            attach_url="u",
            attach_size=3,
            whether_non_count=1,
            at_uids=[3, 0],
        )
        assert body_of(message_of(sent)) == sent
