"""Login, logout, kick and heartbeat."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from imd.errors import BadRequestError, ConflictError, UnavailableError
from imd.logic.accounts import admit
from imd.logic.actors import Actor
from imd.logic.ids import check_uid
from imd.ports.delivery import IDelivery, ISession
from imd.ports.presence import IPresence, Location
from imd.ports.sso import ISso, LoginAttempt
from imd.ports.users import IUserStore
from imd.wire.bodies import Heartbeat, HeartbeatAck, KickUser, KickUserAck, UserLogin, UserLoginAck, UserLogout
from imd.wire.commands import Command
from imd.wire.results import KickReason

MAX_CLIENT_TYPE = 1000


class Login:
    """Binds sessions to users, and takes them away again.

    ``now`` gives milliseconds since the epoch, ``new_session_id`` an id that nobody guesses; ``greeting`` is what
    every USER_LOGIN ACK tells beside them; ``on_leave`` is told of each session that ends.
    """

    _log = Logger()

    def __init__(
        self,
        sso: ISso,
        presence: IPresence,
        users: IUserStore,
        delivery: IDelivery,
        now: Callable[[], int],
        new_session_id: Callable[[], str],
        greeting: UserLoginAck,
        on_leave: Callable[[ISession], None],
    ) -> None:
        self._sso = sso
        self._presence = presence
        self._users = users
        self._delivery = delivery
        self._now = now
        self._new_session_id = new_session_id
        self._greeting = greeting
        self._node = greeting.node
        self._on_leave = on_leave
        self._logging_in: set[ISession] = set()
        self._is_draining = False

    def drain(self) -> None:
        """Let nobody log in any more."""
        self._is_draining = True

    async def login(self, session: ISession, request: UserLogin) -> UserLoginAck:
        """Check the token and bind the session; an older session of the same client type ends."""
        self._check_draining()
        if session.uid or session in self._logging_in:
            raise ConflictError("this session has logged in already; log out first")
        uid = check_uid(request.uid)
        if not 0 <= request.client_type <= MAX_CLIENT_TYPE:
            raise BadRequestError(f"client_type is {request.client_type}; expected 0 to {MAX_CLIENT_TYPE}")
        if not request.token:
            raise BadRequestError("token is empty")
        self._logging_in.add(session)
        try:
            return await self._bind(session, uid, request)
        finally:
            self._logging_in.discard(session)

    def _check_draining(self) -> None:
        if self._is_draining:
            raise UnavailableError("this node is being stopped; connect to another one")

    async def _bind(self, session: ISession, uid: int, request: UserLogin) -> UserLoginAck:
        attempt = LoginAttempt(uid, request.token, request.device_id, request.client_type, request.app_id)
        identity = await self._sso.verify(attempt)
        self._check_draining()
        account = await self._users.account(uid)
        admit(account, identity)
        if not account.first_seen or identity.name not in ("", account.name):
            await self._users.remember_user(uid, identity.name)
        location = Location(self._node, self._new_session_id())
        replaced = await self._presence.login(uid, request.client_type, location)
        if session.is_open:
            session.log_in(uid, request.client_type, location.session_id, identity)
        if replaced is not None:
            self._delivery.kick(replaced, KickReason.REPLACED, "logged in on another device of the same kind")
        if not session.uid:  # the client left while its token was checked
            await self._presence.logout(uid, request.client_type, location)
            raise UnavailableError("the connection was closed during the login")
        answer = UserLoginAck(session_id=location.session_id, server_time=self._now())
        answer.MergeFrom(self._greeting)
        return answer

    def logout(self, session: ISession, trace_id: int, _request: UserLogout) -> None:
        """ACK, then free the user's presence."""
        session.answer(Command.USER_LOGOUT, trace_id, b"")
        self.closed(session)
        session.log_out()

    def closed(self, session: ISession) -> None:
        """A logged-in session's connection is gone."""
        self._on_leave(session)
        left = Deferred.fromCoroutine(self._leave(session))
        left.addErrback(lambda failure: self._log.failure("presence could not be freed", failure))

    async def _leave(self, session: ISession) -> None:
        location = Location(self._node, session.session_id)
        await self._presence.logout(session.uid, session.client_type, location)

    async def kick(self, _session: Actor, request: KickUser) -> KickUserAck:
        """End a user's sessions, of one client type or of all."""
        uid = check_uid(request.uid)
        message = request.message or "an admin has ended this session"
        kicked = 0
        for client_type, location in (await self._presence.locations(uid)).items():
            if request.client_type in (0, client_type):
                kicked += self._delivery.kick(location, KickReason.ADMIN, message)
        return KickUserAck(sessions=kicked)

    def heartbeat(self, _session: ISession, _request: Heartbeat) -> HeartbeatAck:
        """Tell the time."""
        return HeartbeatAck(server_time=self._now())
