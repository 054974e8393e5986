"""The dispatcher: each request gets exactly one answer, whatever its responder does."""

import zlib
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from imd.dispatch import MAX_IN_FLIGHT, Answer, Dispatcher, Route
from imd.errors import (
    AuthFailedError,
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    TooLargeError,
    UnavailableError,
)
from imd.wire.bodies import Heartbeat, HeartbeatAck, UserLogin
from imd.wire.packet import ACK, DEFLATE, Packet
from imd.wire.results import Result

COMMAND = 0x0042
MAX_BODY = 10_000


class Caller:
    """A session that keeps its answers."""

    def __init__(self, uid: int = 1, is_admin: bool = False) -> None:
        self.uid = uid
        self.is_admin = is_admin
        self.in_flight = 0
        self.deflates = False
        self.answers: list[tuple[int, int, Result, Any]] = []

    def answer(self, command: int, trace_id: int, body: bytes) -> None:
        self.answers.append((command, trace_id, Result.OK, body))

    def refuse(self, command: int, trace_id: int, error: RefusedError) -> None:
        self.answers.append((command, trace_id, error.result, str(error)))


class DispatchTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.caller = Caller()

    def dispatch(
        self,
        respond: Callable[..., Any] = lambda *_: HeartbeatAck(),
        answer: Answer = Answer.NOW,
        body: bytes = b"",
        flags: int = 0,
        command: int = COMMAND,
        request: type[Message] = UserLogin,
        **row: Any,
    ) -> list[tuple[int, int, Result, Any]]:
        """Dispatch one packet to a route and return the answers."""
        dispatcher = Dispatcher([Route(COMMAND, request, respond, answer, **row)], {}, MAX_BODY)
        dispatcher.dispatch(self.caller, Packet(command, flags, 0, 7, body))
        return self.caller.answers

    def result(self, *args: Any, **kwargs: Any) -> Result:
        """Dispatch one packet and return the result of the one answer to it."""
        (answer,) = self.dispatch(*args, **kwargs)
        assert answer[:2] == (COMMAND, 7)
        return answer[2]


class Table(DispatchTestCase):
    def test_a_command_with_two_routes_fails_at_construction(self) -> None:
        route = Route(COMMAND, Heartbeat, lambda *_: HeartbeatAck(), Answer.NOW)
        with self.assertRaisesRegex(ValueError, "command 0x0042 has two routes"):
            Dispatcher([route, route], {}, MAX_BODY)

    def test_an_unknown_command_is_refused(self) -> None:
        (answer,) = self.dispatch(command=0x0FFF)
        assert answer == (0x0FFF, 7, Result.UNKNOWN_COMMAND, "there is no command 0x0FFF")

    def test_the_responder_gets_the_session_and_the_request(self) -> None:
        got: list[Any] = []
        self.dispatch(lambda *args: got.extend(args) or HeartbeatAck(), body=UserLogin(uid=5).SerializeToString())
        assert got == [self.caller, UserLogin(uid=5)]


class Gates(DispatchTestCase):
    def test_before_login_a_request_is_refused_and_not_looked_at(self) -> None:
        self.caller = Caller(uid=0)
        assert self.result(self.fail) == Result.NOT_LOGGED_IN

    def test_before_login_what_may_be_asked_is_answered(self) -> None:
        self.caller = Caller(uid=0)
        assert self.result(before_login=True) == Result.OK

    def test_an_admins_command_is_forbidden_to_others(self) -> None:
        assert self.result(self.fail, admin=True) == Result.FORBIDDEN

    def test_an_admins_command_is_answered_to_an_admin(self) -> None:
        self.caller = Caller(is_admin=True)
        assert self.result(admin=True) == Result.OK

    def test_a_body_that_does_not_parse_is_a_bad_request(self) -> None:
        assert self.result(self.fail, body=b"\xff\xff") == Result.BAD_REQUEST

    def test_a_compressed_body_is_inflated(self) -> None:
        got: list[Any] = []
        body = zlib.compress(UserLogin(token="t" * 5000).SerializeToString())
        self.dispatch(lambda _, request: got.append(request) or HeartbeatAck(), body=body, flags=DEFLATE)
        assert got == [UserLogin(token="t" * 5000)]
        assert self.caller.deflates

    def test_a_body_that_inflates_past_the_limit_is_too_large(self) -> None:
        body = zlib.compress(bytes(MAX_BODY + 1))
        assert self.result(self.fail, body=body, flags=DEFLATE) == Result.TOO_LARGE

    def test_before_login_a_body_inflates_to_the_small_limit_only(self) -> None:
        self.caller = Caller(uid=0)
        body = zlib.compress(UserLogin(token="t" * 5000).SerializeToString())
        assert self.result(self.fail, body=body, flags=DEFLATE, before_login=True) == Result.TOO_LARGE

    def test_what_is_no_zlib_stream_is_a_bad_request(self) -> None:
        assert self.result(self.fail, body=b"plain", flags=DEFLATE) == Result.BAD_REQUEST

    def test_a_client_that_has_not_sent_deflate_has_not_shown_that_it_knows_it(self) -> None:
        self.dispatch()
        assert not self.caller.deflates


class Answering(DispatchTestCase):
    def test_now_answers_what_the_responder_returns(self) -> None:
        answers = self.dispatch(lambda *_: HeartbeatAck(server_time=5))
        assert answers == [(COMMAND, 7, Result.OK, HeartbeatAck(server_time=5).SerializeToString())]

    def test_await_answers_when_the_responder_is_done(self) -> None:
        waiting: Deferred[HeartbeatAck] = Deferred()

        async def respond(*_: Any) -> HeartbeatAck:
            return await waiting

        assert self.dispatch(respond, Answer.AWAIT) == []
        assert self.caller.in_flight == 1
        waiting.callback(HeartbeatAck(server_time=5))
        assert self.caller.answers == [(COMMAND, 7, Result.OK, HeartbeatAck(server_time=5).SerializeToString())]
        assert self.caller.in_flight == 0

    def test_later_leaves_the_answer_to_the_responder(self) -> None:
        def respond(session: Caller, trace_id: int, request: Message) -> None:
            session.answer(COMMAND, trace_id, b"by myself")

        assert self.dispatch(respond, Answer.LATER) == [(COMMAND, 7, Result.OK, b"by myself")]

    def test_none_is_never_answered(self) -> None:
        got: list[Any] = []
        assert self.dispatch(lambda *args: got.append(args), Answer.NONE) == []
        assert len(got) == 1

    def test_none_is_not_answered_when_it_fails_either(self) -> None:
        def refuse(*_: Any) -> None:
            raise BadRequestError("no")

        assert self.dispatch(refuse, Answer.NONE) == []
        assert self.dispatch(lambda *_: 1 / 0, Answer.NONE) == []
        assert self.dispatch(self.fail, Answer.NONE, body=b"\xff") == []
        self.caller = Caller(uid=0)
        assert self.dispatch(self.fail, Answer.NONE) == []

    def test_whatever_the_responder_does_there_is_exactly_one_answer(self) -> None:
        async def returns(*_: Any) -> Any:
            return await succeed(HeartbeatAck())

        async def waits_and_fails(*_: Any) -> Any:
            return await fail(ZeroDivisionError())

        async def fails(*_: Any) -> Any:
            raise ZeroDivisionError

        async def refuses(*_: Any) -> Any:
            raise UnavailableError("later")

        async def returns_nothing(*_: Any) -> Any:
            return None

        cases: list[tuple[Callable[..., Any], Answer, Result]] = [
            (returns, Answer.AWAIT, Result.OK),
            (waits_and_fails, Answer.AWAIT, Result.INTERNAL),
            (fails, Answer.AWAIT, Result.INTERNAL),
            (refuses, Answer.AWAIT, Result.UNAVAILABLE),
            (returns_nothing, Answer.AWAIT, Result.INTERNAL),
            (lambda *_: 1 / 0, Answer.AWAIT, Result.INTERNAL),
            (lambda *_: 1 / 0, Answer.NOW, Result.INTERNAL),
            (lambda *_: None, Answer.NOW, Result.INTERNAL),
            (lambda *_: 1 / 0, Answer.LATER, Result.INTERNAL),
        ]
        for respond, answer, result in cases:
            self.caller = Caller()
            with capturedLogs():
                assert self.result(respond, answer) == result
            assert self.caller.in_flight == 0


class Errors(DispatchTestCase):
    def refusing(self, error: Exception, **row: Any) -> tuple[Result, str, list[dict[str, Any]]]:
        """Return the result and the reason that a responder's error is answered with, and what the log says."""

        def respond(*_: Any) -> Message:
            raise error

        with capturedLogs() as events:
            ((_, _, result, reason),) = self.dispatch(respond, **row)
        return result, reason, [dict(event) for event in events if event["log_level"] >= LogLevel.warn]

    def test_a_declared_error_is_answered_and_not_logged(self) -> None:
        declared = frozenset({Result.AUTH_FAILED})
        assert self.refusing(AuthFailedError("bad token"), errors=declared) == (Result.AUTH_FAILED, "bad token", [])

    def test_what_every_command_may_answer_need_not_be_declared(self) -> None:
        for error in (BadRequestError("x"), TooLargeError("x"), RateLimitedError("x"), UnavailableError("x")):
            self.caller = Caller()
            assert self.refusing(error) == (error.result, "x", [])

    def test_an_undeclared_error_is_internal_and_logged_in_full(self) -> None:
        result, reason, (event,) = self.refusing(NotFoundError("where is it"))
        assert (result, reason) == (Result.INTERNAL, "the server failed; its log says why")
        assert (event["command"], event["uid"]) == (COMMAND, 1)
        assert "NotFoundError: where is it" in event["trace"]
        assert "Traceback" in event["trace"]

    def test_an_unforeseen_error_is_internal_and_its_text_stays_in_the_log(self) -> None:
        result, reason, (event,) = self.refusing(RuntimeError("the password is swordfish"))
        assert result == Result.INTERNAL
        assert "swordfish" not in reason
        assert "swordfish" in event["trace"]

    def test_forbidden_is_implied_for_an_admins_command(self) -> None:
        self.caller = Caller(is_admin=True)
        assert self.refusing(ForbiddenError("not even you"), admin=True)[0] == Result.FORBIDDEN

    def test_forbidden_is_not_implied_for_others(self) -> None:
        assert self.refusing(ForbiddenError("no"))[0] == Result.INTERNAL


class InFlight(DispatchTestCase):
    def test_a_session_has_so_many_requests_under_way_and_no_more(self) -> None:
        waiting: list[Deferred[HeartbeatAck]] = []

        async def respond(*_: Any) -> HeartbeatAck:
            waiting.append(Deferred())
            return await waiting[-1]

        for _ in range(MAX_IN_FLIGHT):
            assert self.dispatch(respond, Answer.AWAIT) == []
        (refused,) = self.dispatch(respond, Answer.AWAIT)
        assert refused[2] == Result.RATE_LIMITED
        waiting[0].callback(HeartbeatAck())
        self.dispatch(respond, Answer.AWAIT)
        assert [answer[2] for answer in self.caller.answers] == [Result.RATE_LIMITED, Result.OK]
        assert self.caller.in_flight == MAX_IN_FLIGHT


class ClientAcks(DispatchTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.acknowledged: list[tuple[Any, int]] = []
        self.dispatcher = Dispatcher([], {COMMAND: lambda *args: self.acknowledged.append(args)}, MAX_BODY)  # type: ignore[arg-type]

    def ack(self, command: int = COMMAND, flags: int = ACK, result: int = 0) -> None:
        self.dispatcher.dispatch(self.caller, Packet(command, flags, result, 7, b""))

    def test_an_ack_goes_to_who_takes_it_and_is_not_answered(self) -> None:
        self.ack()
        assert self.acknowledged == [(self.caller, 7)]
        assert self.caller.answers == []

    def test_an_ack_that_nobody_takes_is_ignored(self) -> None:
        self.ack(command=0x0001)
        self.ack(command=0x0FFF)
        assert self.caller.answers == []

    def test_an_ack_before_login_is_ignored(self) -> None:
        self.caller = Caller(uid=0)
        self.ack()
        assert self.acknowledged == []
        assert self.caller.answers == []


class Refusing(DispatchTestCase):
    def setUp(self) -> None:
        super().setUp()
        routes = [
            Route(1, Heartbeat, self.fail, Answer.NOW),
            Route(2, Heartbeat, self.fail, Answer.NONE),
        ]
        self.dispatcher = Dispatcher(routes, {}, MAX_BODY)

    def refuse(self, command: int, flags: int = 0) -> list[tuple[int, int, Result, Any]]:
        self.caller.answers.clear()
        self.dispatcher.refuse(self.caller, Packet(command, flags, 0, 7, b"\xff"), RateLimitedError("wait"))
        return self.caller.answers

    def test_a_refused_request_is_answered_unseen(self) -> None:
        assert self.refuse(1) == [(1, 7, Result.RATE_LIMITED, "wait")]

    def test_a_refused_unknown_command_is_answered_too(self) -> None:
        assert self.refuse(3) == [(3, 7, Result.RATE_LIMITED, "wait")]

    def test_what_is_never_answered_is_not_answered_when_refused(self) -> None:
        assert self.refuse(2) == []
        assert self.refuse(1, ACK) == []
