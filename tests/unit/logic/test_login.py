"""Login, logout, kick and heartbeat: one session a (uid, client_type)."""

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from imd.errors import (
    AuthExpiredError,
    AuthFailedError,
    BadRequestError,
    ConflictError,
    ForbiddenError,
    UnavailableError,
)
from imd.gateway.sessions import Session
from imd.logic.login import Login
from imd.model import Identity
from imd.ports.presence import Location
from imd.ports.sso import ISso, LoginAttempt
from imd.presence.memory import MemoryPresence
from imd.sso.jwt import JwtSso, issue
from imd.sso.keys import secret_key
from imd.wire.bodies import Heartbeat, HeartbeatAck, KickNotice, KickUser, UserLogin, UserLoginAck, UserLogout
from imd.wire.commands import Command
from imd.wire.packet import ACK, Packet
from imd.wire.results import KickReason

from .parts import NOW, LogicTestCase, parsed

SECRET = b"5f1d0a7c93be4286d1e05b3c7a9f2468"


class LoginTestCase(LogicTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.presence = MemoryPresence()
        self.left: list[tuple[int, str]] = []
        self.logins = self.login_over(JwtSso(secret_key(SECRET), lambda: self.now() / 1000))

    def login_over(self, sso: Any) -> Login:
        ids = iter(range(1, 1000))
        greeting = UserLoginAck(heartbeat_seconds=5, idle_seconds=15, node="imd1", max_body=100)
        return Login(
            sso,
            self.presence,
            self.store,
            self.sessions,
            self.now,
            lambda: f"s{next(ids)}",
            greeting,
            lambda session: self.left.append((session.uid, session.session_id)),
        )

    def request(self, uid: int = 1, client_type: int = 11, **claims: Any) -> UserLogin:
        return UserLogin(uid=uid, client_type=client_type, token=issue(SECRET, uid, NOW / 1000, 60, **claims))

    def enter(self, uid: int = 1, client_type: int = 11, session: Session | None = None, **claims: Any) -> Session:
        """Log a session in."""
        session = session or self.session()
        self.wait(self.logins.login(session, self.request(uid, client_type, **claims)))
        return session

    def where(self, uid: int = 1) -> Mapping[int, Location]:
        found: Mapping[int, Location] = self.wait(self.presence.locations(uid))
        return found

    def leave(self, session: Session) -> None:
        """Let the client go, as the gateway does."""
        self.channels[session].is_open = False
        if session.uid:
            self.sessions.remove(session)
            self.logins.closed(session)

    def kicked(self, session: Session) -> KickNotice:
        """Return what a session was told that has ended."""
        (packet,) = self.sent(session)
        assert packet.command == Command.USER_KICK
        assert not session.is_open
        notice: KickNotice = parsed(packet, KickNotice)
        return notice


class LoggingIn(LoginTestCase):
    def test_a_good_token_makes_the_session_its_users(self) -> None:
        session = self.session()
        answer = self.wait(self.logins.login(session, self.request(7, 20, name="Ann", is_admin=True)))
        assert answer == UserLoginAck(
            session_id="s1", server_time=NOW, heartbeat_seconds=5, idle_seconds=15, node="imd1", max_body=100
        )
        assert (session.uid, session.client_type, session.session_id) == (7, 20, "s1")
        assert (session.name, session.is_admin, session.expires) == ("Ann", True, NOW // 1000 + 60)
        assert self.where(7) == {20: Location("imd1", "s1")}
        assert list(self.sessions.sessions(7)) == [session]

    def test_a_bad_token_is_refused_and_another_can_be_tried(self) -> None:
        session = self.session()
        forged = UserLogin(uid=1, token=issue(b"x" + SECRET, 1, NOW / 1000, 60))
        self.refused(self.logins.login(session, forged), AuthFailedError)
        assert session.uid == 0
        assert self.where() == {}
        assert self.store.users == []
        assert self.enter(1, session=session).uid == 1

    def test_the_token_of_another_user_is_refused(self) -> None:
        request = self.request(2)
        request.uid = 1
        self.refused(self.logins.login(self.session(), request), AuthFailedError)

    def test_an_expired_token_is_refused_as_such(self) -> None:
        request = self.request()
        self.clock.advance(61)
        self.refused(self.logins.login(self.session(), request), AuthExpiredError)

    def test_what_makes_no_sense_is_a_bad_request(self) -> None:
        for request in (
            UserLogin(uid=0, token="t"),
            UserLogin(uid=-1, token="t"),
            UserLogin(uid=1, token="t", client_type=-1),
            UserLogin(uid=1, token="t", client_type=1001),
            UserLogin(uid=1),
        ):
            self.refused(self.logins.login(self.session(), request), BadRequestError)

    def test_the_largest_uid_can_log_in(self) -> None:
        assert self.enter(2**63 - 1).uid == 2**63 - 1

    def test_a_session_logs_in_once(self) -> None:
        session = self.enter(1)
        self.refused(self.logins.login(session, self.request(2)), ConflictError)
        assert session.uid == 1

    def test_a_user_is_remembered_at_the_first_login_only(self) -> None:
        self.enter(1, 11)
        self.enter(1, 20)
        self.enter(2)
        assert self.store.users == [(1, ""), (2, "")]

    def test_a_user_is_remembered_again_when_the_login_system_gives_another_name(self) -> None:
        for name in ("Ann", "Ann", "Anna", "Anna", "Ann"):
            self.enter(1, name=name)
        assert self.store.users == [(1, "Ann"), (1, "Anna"), (1, "Ann")]

    def test_a_user_whom_the_store_could_not_take_is_remembered_at_the_next_login(self) -> None:
        self.store.is_full = True
        self.refused(self.logins.login(self.session(), self.request()), UnavailableError)
        self.store.is_full = False
        self.enter(1)
        assert self.store.users == [(1, "")]

    def test_a_node_that_is_being_stopped_lets_nobody_in(self) -> None:
        self.logins.drain()
        self.refused(self.logins.login(self.session(), self.request()), UnavailableError)

    def test_who_is_banned_is_told_and_replaces_nobody(self) -> None:
        older = self.enter(1)
        self.wait(self.store.set_banned(1, True))
        self.refused(self.logins.login(self.session(), self.request()), ForbiddenError)
        assert older.is_open
        assert list(self.sessions.sessions(1)) == [older]
        self.wait(self.store.set_banned(1, False))
        self.enter(1)

    def test_a_void_token_is_refused_and_a_newer_one_is_not(self) -> None:
        request = self.request()
        self.wait(self.store.void_tokens(1, NOW + 1))
        self.refused(self.logins.login(self.session(), request), AuthExpiredError)
        assert self.store.users == []
        self.wait(self.store.void_tokens(1, NOW))
        self.wait(self.logins.login(self.session(), request))

    def test_a_store_that_can_not_say_lets_nobody_in(self) -> None:
        self.enter(1)
        self.store.is_full = True
        self.refused(self.logins.login(self.session(), self.request()), UnavailableError)


@implementer(ISso)
class SlowSso:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[Deferred[Identity]] = []

    async def verify(self, attempt: LoginAttempt) -> Identity:
        self.asked.append(Deferred())
        return await self.asked[-1]

    def close(self) -> None:
        pass


class SlowLogins(LoginTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.sso = SlowSso()
        self.logins = self.login_over(self.sso)

    def begin(self, session: Session) -> Deferred[UserLoginAck]:
        return Deferred.fromCoroutine(self.logins.login(session, self.request()))

    def test_a_second_login_while_the_first_is_under_way_is_a_conflict(self) -> None:
        session = self.session()
        first = self.begin(session)
        self.failureResultOf(self.begin(session), ConflictError)
        self.sso.asked[0].callback(Identity(1))
        self.successResultOf(first)
        assert session.uid == 1

    def test_a_client_that_left_meanwhile_leaves_nothing_behind(self) -> None:
        session = self.session()
        answer = self.begin(session)
        self.leave(session)
        self.sso.asked[0].callback(Identity(1))
        self.failureResultOf(answer, UnavailableError)
        assert self.where() == {}
        assert self.sessions.online() == []
        assert session.uid == 0

    def test_a_node_that_is_stopped_meanwhile_lets_nobody_in(self) -> None:
        answer = self.begin(self.session())
        self.logins.drain()
        self.sso.asked[0].callback(Identity(1))
        self.failureResultOf(answer, UnavailableError)
        assert self.store.users == []

    def test_a_login_that_fails_can_be_tried_again(self) -> None:
        session = self.session()
        answer = self.begin(session)
        self.sso.asked[0].errback(AuthFailedError("no"))
        self.failureResultOf(answer, AuthFailedError)
        again = self.begin(session)
        self.sso.asked[1].callback(Identity(1))
        self.successResultOf(again)

    def test_of_two_at_once_exactly_one_remains_and_the_other_knows_it(self) -> None:
        for first_answer in (0, 1):
            self.sso.asked.clear()
            sessions = [self.session(), self.session()]
            answers = [self.begin(session) for session in sessions]
            self.sso.asked[first_answer].callback(Identity(1))
            self.sso.asked[1 - first_answer].callback(Identity(1))
            loser, winner = sessions[first_answer], sessions[1 - first_answer]
            for answer in answers:
                self.successResultOf(answer)
            assert self.kicked(loser).reason == KickReason.REPLACED
            assert winner.is_open
            assert list(self.sessions.sessions(1)) == [winner]
            assert self.where() == {11: Location("imd1", winner.session_id)}
            self.leave(loser)
            assert self.where() == {11: Location("imd1", winner.session_id)}
            self.leave(winner)


class Replacing(LoginTestCase):
    def test_a_newer_login_of_the_same_kind_replaces_the_older_which_is_told_why(self) -> None:
        older = self.enter(1, 11)
        newer = self.enter(1, 11)
        assert self.kicked(older).reason == KickReason.REPLACED
        assert list(self.sessions.sessions(1)) == [newer]
        assert self.where() == {11: Location("imd1", newer.session_id)}

    def test_the_close_of_the_older_takes_nothing_from_the_newer(self) -> None:
        older = self.enter(1, 11)
        newer = self.enter(1, 11)
        self.leave(older)
        assert self.where() == {11: Location("imd1", newer.session_id)}

    def test_devices_of_other_kinds_and_other_users_stay(self) -> None:
        others = [self.enter(1, 20), self.enter(1, 0), self.enter(2, 11)]
        self.enter(1, 11)
        self.enter(1, 11)
        for session in others:
            assert session.is_open
            assert self.sent(session) == []


class Leaving(LoginTestCase):
    def test_a_logout_is_acked_and_frees_presence(self) -> None:
        session = self.enter(1)
        self.logins.logout(session, 9, UserLogout())
        assert self.sent(session) == [Packet(Command.USER_LOGOUT, ACK, 0, 9, b"")]
        assert self.where() == {}
        assert session.uid == 0
        assert session.is_open
        assert self.sessions.online() == []

    def test_after_a_logout_one_can_log_in_again_on_the_same_connection(self) -> None:
        session = self.enter(1)
        for uid in (1, 2):
            self.logins.logout(session, 9, UserLogout())
            self.enter(uid, session=session)
            assert session.uid == uid
            assert list(self.sessions.sessions(uid)) == [session]
        assert self.where(1) == {}
        assert list(self.where(2)) == [11]

    def test_a_session_whose_connection_is_gone_frees_presence(self) -> None:
        session = self.enter(1)
        self.leave(session)
        assert self.where() == {}

    def test_each_session_that_ends_is_told_of_once_as_whose_it_was(self) -> None:
        session = self.enter(1)
        self.logins.logout(session, 9, UserLogout())
        assert self.left == [(1, "s1")]
        self.enter(2, session=session)
        self.leave(session)
        assert self.left == [(1, "s1"), (2, "s2")]

    def test_a_session_that_is_replaced_is_told_of_when_its_connection_closes(self) -> None:
        older = self.enter(1)
        self.enter(1)
        assert self.left == []
        self.leave(older)
        assert self.left == [(1, "s1")]

    def test_a_session_that_never_logged_in_is_not_told_of(self) -> None:
        self.leave(self.session())
        assert self.left == []

    def test_presence_that_can_not_be_freed_is_news_for_the_log(self) -> None:
        async def away(*_: Any) -> None:
            raise UnavailableError("presence is away")

        session = self.enter(1)
        self.patch(self.presence, "logout", away)
        self.leave(session)
        assert len(self.flushLoggedErrors(UnavailableError)) == 1


class Kicking(LoginTestCase):
    def kick(self, **fields: Any) -> int:
        admin = self.session()
        sessions: int = self.wait(self.logins.kick(admin, KickUser(**fields))).sessions
        return sessions

    def test_all_sessions_of_a_user_end_and_are_told_why(self) -> None:
        sessions = [self.enter(1, 11), self.enter(1, 20)]
        other = self.enter(2)
        assert self.kick(uid=1, message="bye") == 2
        for session in sessions:
            assert self.kicked(session) == KickNotice(reason=KickReason.ADMIN, message="bye")
            self.leave(session)
        assert self.where() == {}
        assert other.is_open

    def test_sessions_of_one_kind_end(self) -> None:
        phone, desktop = self.enter(1, 11), self.enter(1, 20)
        assert self.kick(uid=1, client_type=20) == 1
        assert phone.is_open
        assert self.kicked(desktop).message == "an admin has ended this session"

    def test_who_is_not_here_is_no_error(self) -> None:
        assert self.kick(uid=9) == 0

    def test_a_uid_that_is_none_is_a_bad_request(self) -> None:
        self.refused(self.logins.kick(self.session(), KickUser()), BadRequestError)


class Heartbeats(LoginTestCase):
    def test_a_heartbeat_tells_the_time(self) -> None:
        self.clock.advance(2.5)
        assert self.logins.heartbeat(self.session(), Heartbeat()) == HeartbeatAck(server_time=NOW + 2500)
