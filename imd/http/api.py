"""The API: from a request to its route, and from what comes of it to the answer."""

import json
import traceback
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from imd.errors import RefusedError, UnavailableError
from imd.http.auth import Caller, Keys, is_key
from imd.http.problems import ALWAYS_POSSIBLE, HttpError
from imd.http.routing import Match, Route, Router
from imd.http.site import LimitedRequest

NO_ROUTE = "none"
"""What requests that mean no route, or are nobody's, are counted as."""

_INTERNAL = "the server failed; its log says why"
_encode = msgspec.json.Encoder().encode

Served = Callable[[str, int, float], None]
"""Told of each answer: the route's method and path, the status, and how long it took, in seconds."""


class Api(Resource):
    """Serves ``routes`` to who has a key; an answer takes ``seconds`` at most. ``served`` is told of each."""

    isLeaf = True
    _log = Logger()

    def __init__(
        self, clock: IReactorTime, keys: Keys, routes: Iterable[Route], seconds: float, served: Served
    ) -> None:
        super().__init__()
        self._clock = clock
        self._keys = keys
        self._router = Router(routes)
        self._seconds = seconds
        self._served = served

    def render(self, request: Any) -> int:
        """Serve a request, whatever its method."""
        Deferred.fromCoroutine(self._serve(request))
        return NOT_DONE_YET

    async def _serve(self, request: LimitedRequest) -> None:
        began = self._clock.seconds()
        name = NO_ROUTE
        try:
            caller = await self._caller(request)
            match, in_path = self._router.find(request.method.decode("ascii", "replace"), request.path)
            route = match.route
            name = f"{route.method} {route.path}"
            try:
                answer = await self._answer(request, caller, match, in_path)
            except RefusedError as error:
                if error.result not in ALWAYS_POSSIBLE | route.errors:
                    raise _UndeclaredError from error
                raise
            request.reply(HTTPStatus.OK, "application/json", _encode(answer), {})
            status = int(HTTPStatus.OK)
        except (HttpError, RefusedError) as error:
            status = request.refuse(error).status
        except Exception as error:
            self._log.error(
                "{name} failed with an error it does not declare:\n{trace}",
                name=name,
                trace="".join(traceback.format_exception(error.__cause__ or error)),
            )
            status = request.refuse(HttpError(HTTPStatus.INTERNAL_SERVER_ERROR, _INTERNAL)).status
        self._served(name, status, self._clock.seconds() - began)

    async def _caller(self, request: LimitedRequest) -> Caller:
        if request.channel.site.is_draining:
            raise UnavailableError("this node is being stopped; ask another one")
        # Looked at where it is cheap: what follows may wait for the store.
        return await self._keys.check(request.header("Authorization"), _host(request))

    async def _answer(
        self, request: LimitedRequest, caller: Caller, match: Match, in_path: dict[str, str]
    ) -> msgspec.Struct:
        route = match.route
        caller.check(route.scope)
        parameters = match.parameters(in_path, request.args)
        body = match.body(request.body, request.header("Content-Type"))
        working: Deferred[msgspec.Struct] = Deferred.fromCoroutine(route.respond(parameters, body))
        working.addTimeout(self._seconds, self._clock)
        try:
            answer = await working
        except (TimeoutError, CancelledError):
            raise UnavailableError(
                f"it took longer than {self._seconds:g} s; whether it was done is not known, and it can be repeated"
            ) from None
        if route.audited:
            self._log.info(
                "key {key} ({prefix}): {method} {path} {parameters}",
                key=json.dumps(caller.name),  # whose quotes and escapes keep it in its line
                prefix=caller.prefix,
                method=route.method,
                path=route.path,
                parameters=_encode(parameters).decode(),
            )
        return answer


def takes_body(request: LimitedRequest) -> bool:
    """Whether the body of a request is worth keeping: not without a key."""
    return is_key(request.header("Authorization"))


def _host(request: LimitedRequest) -> str:
    return str(getattr(request.getClientAddress(), "host", "local"))


class _UndeclaredError(Exception):
    """A refusal that the route does not declare."""
