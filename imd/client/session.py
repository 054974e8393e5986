"""The session: one connection after the other, each with a login, until the server or the application says no more."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from google.protobuf.message import Message as Body
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from imd.client.answer import driven
from imd.client.connection import Connection, connect
from imd.client.errors import (
    AuthExpiredError,
    ClosedError,
    InternalError,
    KickedError,
    RateLimitedError,
    ResultError,
    StoppedError,
    UnavailableError,
    UnreachableError,
)
from imd.client.settings import Settings
from imd.client.values import Connectivity, Kick, State
from imd.wire.bodies import CloseChannel, ImMsg, KickNotice
from imd.wire.commands import Command
from imd.wire.results import KickReason

TokenSource = str | Callable[[], "str | Awaitable[str]"]
"""A token, or what makes one each time it is asked: a function, plain or async."""

_KICKS: dict[int, str] = {
    KickReason.REPLACED: "logged in elsewhere",
    KickReason.ADMIN: "an admin ended it",
    KickReason.BANNED: "the user is banned",
}
"""The reasons after which a client doesn't come back by itself."""
_LONGEST_DRAIN_SECONDS = 60.0


class Watcher(Protocol):
    """Who is told of what happens to the session."""

    def came_online(self) -> None:
        """A login has succeeded."""

    def went_offline(self) -> None:
        """The connection of a login has ended."""

    def changed(self, connectivity: Connectivity) -> None:
        """The state has changed."""

    def kicked(self, kick: Kick) -> None:
        """The server has ended the session for good."""

    def pushed(self, message: ImMsg, trace_id: int) -> None:
        """The server has pushed a message."""

    def noticed(self, body: Body) -> None:
        """The server has sent something else by itself."""


class Session:
    """The user ``uid`` on one device. ``random`` gives numbers from 0 to 1."""

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        server: str,
        uid: int,
        token: TokenSource,
        client_type: int,
        device_id: str,
        settings: Settings,
        random: Callable[[], float],
        watcher: Watcher,
    ) -> None:
        self.state = State.STOPPED
        self._reactor = reactor
        self._server = server
        self._uid = uid
        self._token = token
        self._client_type = client_type
        self._device_id = device_id
        self._settings = settings
        self._random = random
        self._watcher = watcher
        self._connection: Connection | None = None
        self._online: Connection | None = None
        self._timer: IDelayedCall | None = None
        self._tries = 0
        self._drain_seconds: float | None = None
        self._kick: Kick | None = None
        self._login: Deferred[None] = succeed(None)
        self._started: list[Deferred[None]] = []
        self._closed: list[Deferred[None]] = []
        self._reason = "not connected yet"

    def start(self) -> "Deferred[None]":
        """Connect unless that is under way; fires once logged in.

        Fails with ValueError where the server is no endpoint string, ResultError where it refuses the token,
        UnreachableError after the last try, KickedError or StoppedError.
        """
        started: Deferred[None] = Deferred()
        if self.state is State.ONLINE:
            started.callback(None)
            return started
        self._started.append(started)
        if self.state is not State.CONNECTING:
            self._begin()
        return started

    def network_changed(self) -> None:
        """Try at once, if not online: the network may be back."""
        if self.state is State.WAITING or (self.state is State.CONNECTING and self._timer is not None):
            self._begin()

    def stop(self) -> "Deferred[None]":
        """End it; fires once what was sent has gone out."""
        stopped: Deferred[None] = Deferred()
        self._cancel()
        connection = self._connection
        self._end(StoppedError("the client was stopped"))
        self._login.cancel()
        if connection is None or not connection.connected:
            stopped.callback(None)
        else:
            self._closed.append(stopped)
            connection.close()
            self._timer = self._reactor.callLater(
                self._settings.close_seconds, connection.drop, "it did not close in time"
            )
        return stopped

    def request(self, command: Command, body: Body) -> "Deferred[Any]":
        """Ask the server. Fails with ClosedError where offline, else as Connection.request does."""
        if self._online is None:
            return fail(ClosedError(f"not connected: {self._reason}"))
        return self._online.request(command, body)

    def tell(self, command: Command, body: Body) -> None:
        """Send what is not answered; nothing happens while offline."""
        if self._online is not None:
            self._online.tell(command, body)

    def acknowledge(self, trace_id: int) -> None:
        """ACK a push of the present connection."""
        if self._online is not None:
            self._online.acknowledge(trace_id)

    def drop(self, reason: str) -> None:
        """End the connection at once; the next one follows."""
        if self._connection is not None and self._connection.connected:
            self._connection.drop(reason)

    # One try after the other.

    def _begin(self) -> None:
        self._cancel()
        self._tries = 0
        self._kick = None
        self._change(State.CONNECTING, "")
        self._try()

    def _try(self) -> None:
        self._timer = None
        self._drain_seconds = None
        connection = Connection(
            self._reactor,
            self._watcher.pushed,
            self._noticed,
            lambda reason: self._lost(connection, reason),
            self._settings.answer_seconds,
            self._settings.heartbeat_seconds,
            self._settings.idle_seconds,
        )
        self._connection = connection
        self._login = Deferred.fromCoroutine(self._log_in(connection))
        self._login.addErrback(lambda failure: self._log.failure("the login failed unforeseen", failure))

    async def _log_in(self, connection: Connection) -> None:
        try:
            await connect(self._reactor, self._server, connection).addTimeout(
                self._settings.connect_seconds, self._reactor
            )
            await self._present_token(connection)
        except ValueError as error:
            self._give_up(connection, ValueError(f"{self._server} is no endpoint to connect to: {error}"))
        except (UnavailableError, RateLimitedError, InternalError) as error:
            self._failed(connection, str(error))
        except ResultError as error:
            self._give_up(connection, error)
        except (Exception, CancelledError) as error:
            self._failed(connection, str(error) or type(error).__name__)
        else:
            self._came_online(connection)

    async def _present_token(self, connection: Connection) -> None:
        try:
            await connection.login(self._uid, await self._make_token(), self._client_type, self._device_id)
        except AuthExpiredError:
            if isinstance(self._token, str):
                raise
            await connection.login(self._uid, await self._make_token(), self._client_type, self._device_id)

    async def _make_token(self) -> str:
        token = self._token
        made = token if isinstance(token, str) else token()
        return made if isinstance(made, str) else await driven(made)

    def _came_online(self, connection: Connection) -> None:
        self._online = connection
        self._tries = 0
        self._change(State.ONLINE, "")
        self._watcher.came_online()
        for started in self._taken(self._started):
            started.callback(None)

    def _lost(self, connection: Connection, reason: str) -> None:
        for closed in self._taken(self._closed):
            self._cancel()
            closed.callback(None)
        if connection is not self._connection or connection is not self._online:
            return  # it was dropped, or its login fails and says so
        self._connection = self._online = None
        self._reason = reason
        self._watcher.went_offline()
        if not self._is_kicked():
            self._try_later(reason)

    def _failed(self, connection: Connection, reason: str) -> None:
        """Count a try that failed, and plan the next one."""
        if connection is not self._connection:
            return
        self._drop(connection, reason)
        if self._is_kicked():
            return
        self._tries += 1
        self._reason = reason
        if self._tries < self._settings.reconnect_tries:
            self._try_later(reason)
            return
        self._change(State.WAITING, reason)
        self._tell_started(UnreachableError(f"{self._server} was not reached in {self._tries} tries: {reason}"))

    def _is_kicked(self) -> bool:
        kick, self._kick = self._kick, None
        if kick is None:
            return False
        self._watcher.kicked(kick)
        self._end(KickedError(f"the server has ended the session: {kick.message or _KICKS[kick.reason]}"))
        return True

    def _try_later(self, reason: str) -> None:
        settings = self._settings
        pause = settings.reconnect_seconds * (1 + settings.jitter * (2 * self._random() - 1))
        if self._drain_seconds is not None:
            pause, self._drain_seconds = self._drain_seconds, None
        self._cancel()
        self._timer = self._reactor.callLater(pause, self._try)
        self._change(State.CONNECTING, reason)

    def _give_up(self, connection: Connection, error: Exception) -> None:
        if connection is self._connection:
            self._drop(connection, str(error))
            self._end(error)

    def _end(self, error: Exception) -> None:
        was_online = self._online is not None
        self._connection = self._online = None
        self._reason = str(error)
        if was_online:
            self._watcher.went_offline()
        if self.state is not State.STOPPED:
            self._change(State.STOPPED, str(error))
        self._tell_started(error)

    def _drop(self, connection: Connection, reason: str) -> None:
        self._connection = None
        if connection.connected:
            connection.drop(reason)

    def _change(self, state: State, reason: str) -> None:
        self.state = state
        self._watcher.changed(Connectivity(state, reason))

    def _tell_started(self, error: Exception) -> None:
        for started in self._taken(self._started):
            started.errback(error)

    def _cancel(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _noticed(self, _command: Command, body: Body) -> None:
        """Take in what concerns the session itself, and hand on the rest."""
        match body:
            case KickNotice():
                if body.reason in _KICKS:
                    self._kick = Kick(body.reason, body.message)
            case CloseChannel():
                self._drain_seconds = min(max(body.reconnect_after_ms / 1000, 0.0), _LONGEST_DRAIN_SECONDS)
                if self._online is not None:
                    self._cancel()
                    self._timer = self._reactor.callLater(self._drain_seconds, self._leave)
            case _:
                self._watcher.noticed(body)

    def _leave(self) -> None:
        """Leave a node that drains and has not closed by itself."""
        self._timer = None
        self._drain_seconds = 0.0
        self.drop("the server is being stopped")

    @staticmethod
    def _taken(waiting: "list[Deferred[None]]") -> "list[Deferred[None]]":
        taken = waiting[:]
        waiting.clear()
        return taken
