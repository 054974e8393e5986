"""The table of commands: each row is what proto/README.md promises."""

from typing import Any

from imd.dispatch import Answer, Dispatcher, Route
from imd.logic.chat import Chat
from imd.logic.commands import acks, routes
from imd.logic.groups import Groups
from imd.logic.history import History
from imd.logic.login import Login
from imd.logic.members import MembersCache
from imd.logic.receipts import Receipts
from imd.presence.memory import MemoryPresence
from imd.wire.bodies import Heartbeat, UserLoginAck
from imd.wire.commands import BODIES, Command
from imd.wire.packet import ACK, Packet
from imd.wire.results import Result

from .parts import LogicTestCase

NO_ANSWER = {Command.IM_MSG_ACK}


class Table(LogicTestCase):
    def setUp(self) -> None:
        super().setUp()
        sso: Any = None
        login = Login(sso, MemoryPresence(), self.store, self.sessions, self.now, lambda: "s", UserLoginAck())
        chat = Chat(self.store, self.sessions, MembersCache(1))
        receipts = Receipts(self.clock, self.store, 0.05)
        groups = Groups(self.store, 5, lambda: "id")
        self.table: list[Route] = routes(login, chat, groups, History(self.store), receipts)
        self.dispatcher = Dispatcher(self.table, acks(receipts), 1000)

    def result(self, uid: int, command: int) -> Result | None:
        """Dispatch a request with an empty body and return the result of its answer."""
        session = self.login(uid) if uid else self.session()
        self.dispatcher.dispatch(session, Packet(command, 0, 0, 1, b""))
        answers = [Result(packet.result) for packet in self.sent(session) if packet.flags & ACK]
        assert len(answers) <= 1
        return answers[0] if answers else None

    def test_each_command_takes_the_body_of_the_contract(self) -> None:
        for route in self.table:
            assert BODIES[Command(route.command)].request is route.request

    def test_only_the_login_is_there_before_it(self) -> None:
        assert [route.command for route in self.table if route.before_login] == [Command.USER_LOGIN]

    def test_every_other_command_answers_not_logged_in_before_it(self) -> None:
        for route in self.table:
            if route.command == Command.USER_LOGIN or route.command in NO_ANSWER:
                continue
            assert self.result(0, route.command) == Result.NOT_LOGGED_IN, route

    def test_only_a_kick_is_for_admins(self) -> None:
        assert [route.command for route in self.table if route.admin] == [Command.USER_KICK]
        assert self.result(1, Command.USER_KICK) == Result.FORBIDDEN

    def test_what_is_never_answered_is_what_the_contract_says(self) -> None:
        assert {route.command for route in self.table if route.answer is Answer.NONE} == NO_ANSWER
        for route in self.table:
            assert (BODIES[Command(route.command)].answer is None) == (route.answer is Answer.NONE)
        for command in NO_ANSWER:
            assert self.result(1, command) is None
            assert self.result(0, command) is None

    def test_an_empty_request_has_exactly_one_answer(self) -> None:
        for route in self.table:
            if route.command not in NO_ANSWER:
                result = self.result(1, route.command)
                assert result is not None, route
                assert result != Result.INTERNAL, route

    def test_codes_of_later_releases_are_unknown(self) -> None:
        there = {route.command for route in self.table}
        for command in Command:
            if command not in there:
                assert self.result(1, command) == Result.UNKNOWN_COMMAND

    def test_only_pushed_messages_are_acked_by_clients(self) -> None:
        session = self.login(1)
        for command in Command:
            self.dispatcher.dispatch(session, Packet(command, ACK, 0, 1, Heartbeat().SerializeToString()))
        assert self.sent(session) == []
