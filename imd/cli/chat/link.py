"""The chat's way to the daemon: a new connection with a login each time, until it ends."""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IReactorTime

from imd.client.connection import Connection, connect
from imd.client.errors import ClosedError, ResultError, TimedOutError
from imd.errors import ImdError
from imd.wire.bodies import CloseChannel, ImMsg, KickNotice
from imd.wire.commands import Command
from imd.wire.results import KickReason, Result

LINUX = 23
RECONNECT_SECONDS = 5.0
PASSING = frozenset({Result.UNAVAILABLE, Result.RATE_LIMITED})
"""Refusals of what may be asked again in a moment."""
AWAY = (ClosedError, TimedOutError, ConnectError, DNSLookupError)
"""What is raised where the daemon can't be reached; ConnectError and DNSLookupError by ``log_in`` only."""
_FINAL_KICKS = {KickReason.REPLACED, KickReason.ADMIN, KickReason.BANNED}


class ChatError(ImdError):
    """The chat can't go on."""


class Link:
    """One user's sessions, one after the other; ``token`` makes a login token, ``server`` is an endpoint string."""

    def __init__(
        self,
        reactor: IReactorTime,
        uid: int,
        token: Callable[[], str],
        server: str,
    ) -> None:
        self.was_online = False
        """Whether a login has succeeded once."""
        self.gone = ""
        """Why the connection has ended, empty while it holds."""
        self._reactor = reactor
        self._uid = uid
        self._token = token
        self._server = server
        self._connection: Connection | None = None
        self._session: Connection | None = None
        self._kicked = ""
        self._pause = RECONNECT_SECONDS

    async def log_in(
        self, on_push: Callable[[ImMsg], None], on_notice: Callable[[Message], None], on_lost: Callable[[], None]
    ) -> None:
        """Connect and log in. Raises ChatError, or what ``AWAY`` lists.

        From then on ``on_push`` gets each pushed message, which is ACKed by then, and ``on_notice`` what else the
        daemon sends by itself; ``on_lost`` is called when the connection has ended.
        """

        def pushed(message: ImMsg, trace_id: int) -> None:
            connection.acknowledge(trace_id)
            on_push(message)

        def noticed(_command: Command, body: Message) -> None:
            if not self._is_mine(body):
                on_notice(body)

        def lost(reason: str) -> None:
            if connection is self._connection:
                self._session = None
                self.gone = reason
                on_lost()

        self._connection = connection = Connection(self._reactor, pushed, noticed, lost)
        self.gone = ""
        try:
            await connect(self._reactor, self._server, connection)
            await connection.login(self._uid, self._token(), LINUX, "imctl")
        except ValueError as error:
            raise ChatError(f"{self._server} is no endpoint to connect to: {error}.") from error
        except ResultError as error:
            if self.was_online and error.result in PASSING:
                raise ClosedError(error.reason) from error
            raise ChatError(f"The daemon refused the login: {plain(error)}.") from error
        self.was_online = True
        self._session = connection

    def ask(self, command: Command, body: Message) -> Deferred[Any]:
        """Ask the daemon, and fire with the body of its answer. Fails as Connection.request does."""
        if self._session is None:
            return fail(ClosedError(self.gone or "not logged in"))
        return self._session.request(command, body)

    def tell(self, command: Command, body: Message) -> None:
        """Send what is not answered; nothing happens without a session."""
        if self._session is not None:
            self._session.tell(command, body)

    def close(self) -> bool:
        """End the session after what was sent has gone out, and return whether there was one."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
        return session is not None

    def give_up(self, reason: str) -> float:
        """Drop a session that failed, and return the seconds after which to try again. Raises ChatError."""
        connection, self._connection = self._connection, None
        self._session = None
        if connection is not None and connection.connected:
            connection.drop(reason)
        if self._kicked:
            raise ChatError(self._kicked)
        if not self.was_online:
            raise ChatError(f"No daemon answers at {self._server} ({reason}): start one with `twistd -n imd`.")
        pause, self._pause = self._pause, RECONNECT_SECONDS
        return pause

    def _is_mine(self, body: Message) -> bool:
        """Take in what concerns the session itself, and return whether it does."""
        match body:
            case KickNotice():
                if body.reason in _FINAL_KICKS:
                    why = "you logged in elsewhere" if body.reason == KickReason.REPLACED else "an admin ended it"
                    self._kicked = f"The daemon closed this chat: {body.message or why}."
            case CloseChannel():
                self._pause = min(max(body.reconnect_after_ms / 1000, 0.0), 60.0)
            case _:
                return False
        return True


def plain(error: Exception) -> str:
    """Return an error's words without a full stop, to be put into a sentence."""
    return str(error).rstrip(".")
