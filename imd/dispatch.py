"""The dispatcher: command code -> responder.

The table is data (see imd/logic/commands.py), after Ergo's and AMP's example: each row says who may ask, how the
answer comes about and which errors it may be. The mechanism knows no command.
"""

import traceback
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from google.protobuf.message import DecodeError, Message
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from imd.errors import (
    BadRequestError,
    ForbiddenError,
    NotLoggedInError,
    RateLimitedError,
    RefusedError,
    TooLargeError,
    UnknownCommandError,
)
from imd.ports.delivery import ISession
from imd.wire.packet import ACK, DEFLATE, MAX_BODY_BEFORE_LOGIN, InflateError, InflateLimitError, Packet, inflate
from imd.wire.results import Result

ALWAYS_POSSIBLE = frozenset(
    {
        Result.BAD_REQUEST,
        Result.UNKNOWN_COMMAND,
        Result.NOT_LOGGED_IN,
        Result.TOO_LARGE,
        Result.RATE_LIMITED,
        Result.UNAVAILABLE,
    }
)
"""Results that every answered command may have without declaring them."""

MAX_IN_FLIGHT = 64
"""Requests of one session that may be worked on at the same time."""


class Answer(Enum):
    """How a responder answers."""

    NOW = "returns the answer"
    AWAIT = "is a coroutine function that returns the answer"
    LATER = "answers by itself, exactly once, through the session"
    NONE = "never answers"


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table.

    ``respond`` takes (session, request), with ``answer`` LATER (session, traceId, request); an ACK route takes
    (session, traceId). ``errors`` are the results it may refuse with beside ALWAYS_POSSIBLE; for an admin's route
    FORBIDDEN is implied.
    """

    command: int
    request: type[Message]
    respond: Callable[..., Any]
    answer: Answer
    before_login: bool = False
    admin: bool = False
    errors: frozenset[Result] = frozenset()


class Dispatcher:
    """Hands each packet to the responder of its command.

    ``acks`` are the responders of the client's ACKs, by command; each takes (session, traceId). Raises ValueError
    where a command has two routes.
    """

    _log = Logger()

    def __init__(
        self, routes: Iterable[Route], acks: dict[int, Callable[[ISession, int], None]], max_body: int
    ) -> None:
        table: dict[int, Route] = {}
        for route in routes:
            if route.command in table:
                raise ValueError(f"command 0x{route.command:04X} has two routes")
            table[route.command] = route
        self._routes = table
        self._acks = acks
        self._max_body = max_body

    def dispatch(self, session: ISession, packet: Packet) -> None:
        """Answer one packet, or see to it that it is answered."""
        command, flags, _, trace_id, body = packet
        if flags & ACK:
            acknowledged = self._acks.get(command)
            if acknowledged is not None and session.uid:
                acknowledged(session, trace_id)
            return
        route = self._routes.get(command)
        try:
            if route is None:
                raise UnknownCommandError(f"there is no command 0x{command:04X}")
            if flags & DEFLATE:
                session.deflates = True
                body = inflate(body, self._max_body if session.uid else MAX_BODY_BEFORE_LOGIN)
            if not route.before_login and not session.uid:
                raise NotLoggedInError("log in first (USER_LOGIN)")
            if route.admin and not session.is_admin:
                raise ForbiddenError("only an admin may do this; the token lacks imd_role: admin")
            request = route.request.FromString(body)
            answer = route.answer
            if answer is Answer.LATER:
                route.respond(session, trace_id, request)
            elif answer is Answer.NOW:
                session.answer(command, trace_id, route.respond(session, request).SerializeToString())
            elif answer is Answer.AWAIT:
                self._start(session, trace_id, route, request)
            else:
                route.respond(session, request)
        except Exception as error:
            self._fail(session, trace_id, command, route, error)

    def refuse(self, session: ISession, packet: Packet, error: RefusedError) -> None:
        """Answer a packet with ``error`` without looking into it; what is never answered stays so."""
        route = self._routes.get(packet.command)
        if not packet.flags & ACK and (route is None or route.answer is not Answer.NONE):
            session.refuse(packet.command, packet.trace_id, error)

    def _start(self, session: ISession, trace_id: int, route: Route, request: Message) -> None:
        if session.in_flight >= MAX_IN_FLIGHT:
            raise RateLimitedError(f"{MAX_IN_FLIGHT} requests of this session are being worked on; wait for answers")
        Deferred.fromCoroutine(self._finish(session, trace_id, route, request))

    async def _finish(self, session: ISession, trace_id: int, route: Route, request: Message) -> None:
        session.in_flight += 1
        respond: Callable[[ISession, Message], Coroutine[Any, Any, Message]] = route.respond
        try:
            reply = await respond(session, request)
            session.answer(route.command, trace_id, reply.SerializeToString())
        except Exception as error:
            self._fail(session, trace_id, route.command, route, error)
        finally:
            session.in_flight -= 1

    def _fail(self, session: ISession, trace_id: int, command: int, route: Route | None, error: Exception) -> None:
        refusal = _refusal(error)
        if refusal is None or not _is_declared(refusal.result, route):
            self._log.error(
                "command 0x{command:04X} of uid {uid} failed with an error it does not declare:\n{trace}",
                command=command,
                uid=session.uid,
                trace="".join(traceback.format_exception(error)),
            )
            refusal = RefusedError("the server failed; its log says why")
        if route is None or route.answer is not Answer.NONE:
            session.refuse(command, trace_id, refusal)


def _is_declared(result: Result, route: Route | None) -> bool:
    if result in ALWAYS_POSSIBLE:
        return True
    return route is not None and (result in route.errors or (route.admin and result is Result.FORBIDDEN))


def _refusal(error: Exception) -> RefusedError | None:
    match error:
        case RefusedError():
            return error
        case InflateLimitError():
            return TooLargeError(str(error))
        case DecodeError() | InflateError():
            return BadRequestError(f"the body is not what the command asks for: {error}")
    return None
