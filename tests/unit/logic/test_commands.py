"""The table of commands: each row is what proto/README.md promises."""

from typing import Any

from zope.interface.verify import verifyObject

from imd.dispatch import Answer, Dispatcher, Route
from imd.logic.broadcasts import Broadcasts
from imd.logic.chat import Chat
from imd.logic.commands import Services, acks, routes
from imd.logic.groups import Groups
from imd.logic.history import History
from imd.logic.login import Login
from imd.logic.members import MembersCache
from imd.logic.notices import Notices
from imd.logic.presence import PresenceWatch
from imd.logic.receipts import Receipts
from imd.logic.removal import Removal
from imd.logic.settings import Settings
from imd.logic.upstream import Upstream
from imd.ports.conversations import IConversationStore
from imd.ports.groups import IGroupStore
from imd.ports.messages import IMessageStore
from imd.ports.upstream import IReportStore
from imd.ports.users import IUserStore
from imd.presence.memory import MemoryPresence
from imd.wire.bodies import Heartbeat, UserLoginAck
from imd.wire.commands import BODIES, Command
from imd.wire.packet import ACK, Packet
from imd.wire.results import Result

from ..wire.test_readme import COMMANDS
from .parts import Listener, LogicTestCase

NO_ANSWER = {Command.IM_MSG_ACK, Command.NOTICE_MSG_ACK}


class Table(LogicTestCase):
    def setUp(self) -> None:
        super().setUp()
        clock, sessions = self.clock, self.sessions
        store: Any = self.store
        sso: Any = None
        presence = MemoryPresence()
        watch = PresenceWatch(clock, presence, store, grace=5.0, delay=0.05, max_watched=500)
        notices = Notices(clock, store, store, presence, sessions, self.now, keep_ms=1000, delay=0.05)
        services = Services(
            login=Login(sso, presence, store, sessions, self.now, lambda: "s", UserLoginAck(), watch.closed),
            chat=Chat(store, sessions, MembersCache(1), Broadcasts(clock, sessions, 1000)),
            receipts=Receipts(clock, store, sessions, 0.05, 100),
            history=History(store, store),
            removal=Removal(store, sessions, lambda: "id", 1000),
            groups=Groups(store, notices, 5, lambda: "id"),
            settings=Settings(store, store, sessions, watch.blocked),
            notices=notices,
            presence=watch,
            upstream=Upstream(store, sessions, ["orders"], 1000, lambda _: None),
        )
        self.table: list[Route] = routes(services)
        self.dispatcher = Dispatcher(self.table, acks(services.receipts), 1000)

    def result(self, uid: int, command: int) -> Result | None:
        """Dispatch a request with an empty body and return the result of its answer."""
        session = self.login(uid) if uid else self.session()
        self.dispatcher.dispatch(session, Packet(command, 0, 0, 1, b""))
        answers = [Result(packet.result) for packet in self.sent(session) if packet.flags & ACK]
        assert len(answers) <= 1
        return answers[0] if answers else None

    def test_every_request_of_the_contract_has_a_route(self) -> None:
        requests = {command for command, kinds in BODIES.items() if kinds.request is not None}
        assert {route.command for route in self.table} == requests

    def test_what_the_contract_says_that_this_release_answers_is_what_has_a_route(self) -> None:
        answered = {row["name"] for row in COMMANDS if row["way"].startswith("C→S") and row["now"] == "answers"}
        assert answered == {Command(route.command).name for route in self.table}

    def test_what_the_contract_reserves_for_admins_is_what_the_routes_do(self) -> None:
        admins = {row["name"] for row in COMMANDS if row["way"] == "C→S, admins"}
        assert admins == {Command(route.command).name for route in self.table if route.admin}
        for name in admins:
            assert self.result(1, Command[name]) == Result.FORBIDDEN

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

    def test_what_only_the_server_sends_is_unknown(self) -> None:
        there = {route.command for route in self.table}
        for command in Command:
            if command not in there:
                assert self.result(1, command) == Result.UNKNOWN_COMMAND

    def test_only_pushed_messages_are_acked_by_clients(self) -> None:
        session = self.login(1)
        for command in Command:
            self.dispatcher.dispatch(session, Packet(command, ACK, 0, 1, Heartbeat().SerializeToString()))
        assert self.sent(session) == []


class StandIn(LogicTestCase):
    def test_what_stands_for_the_store_here_provides_its_ports(self) -> None:
        for port in (IMessageStore, IGroupStore, IConversationStore, IUserStore, IReportStore):
            verifyObject(port, Listener())
