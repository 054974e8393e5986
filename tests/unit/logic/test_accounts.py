"""Accounts: who is let in, and whose sessions end when that is decided otherwise."""

from twisted.internet.defer import Deferred

from imd.errors import AuthExpiredError, AuthFailedError, BadRequestError, ForbiddenError, UnavailableError
from imd.gateway.sessions import Session
from imd.logic import accounts
from imd.logic.accounts import OVERLAP_MS, Accounts, admit
from imd.model import Identity
from imd.ports.users import Account
from imd.wire.bodies import KickNotice
from imd.wire.commands import Command
from imd.wire.results import KickReason

from .parts import NOW, LogicTestCase, parsed


class AdmissionTests(LogicTestCase):
    def test_who_is_neither_banned_nor_has_a_void_token_comes_in(self) -> None:
        for account in (Account(1), Account(1, void_before=5000), Account(1, void_before=4999)):
            admit(account, Identity(1, issued=5.0))
        admit(Account(1), Identity(1))

    def test_who_is_banned_does_not_whatever_the_token(self) -> None:
        for identity in (Identity(1), Identity(1, issued=5.0), Identity(1, is_admin=True)):
            with self.assertRaises(ForbiddenError):
                admit(Account(1, is_banned=True, void_before=5000), identity)

    def test_a_token_that_is_void_has_to_be_replaced(self) -> None:
        with self.assertRaises(AuthExpiredError):
            admit(Account(1, void_before=5001), Identity(1, issued=5.0))

    def test_one_that_does_not_say_when_it_was_issued_can_not_be_told_from_those(self) -> None:
        with self.assertRaises(AuthFailedError):
            admit(Account(1, void_before=1), Identity(1))


class AccountsTestCase(LogicTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.accounts = Accounts(self.clock, self.store, self.sessions, "imd1", self.now)
        self.accounts.start()
        self.addCleanup(self.accounts.stop)

    def enter(self, uid: int, issued: float = NOW / 1000 - 10) -> Session:
        """Log a session in with a token issued then."""
        session = self.session()
        session.log_in(uid, 11, f"s{len(self.channels)}", Identity(uid, issued=issued))
        return session

    def told(self, session: Session) -> int:
        """Return the reason that a session was ended for, 0 where it was not."""
        if session.is_open:
            return 0
        [packet] = self.sent(session)
        assert packet.command == Command.USER_KICK
        notice: KickNotice = parsed(packet, KickNotice)
        return notice.reason

    def elsewhere(self, uid: int, time: int = NOW, **values: object) -> None:
        """Let another node decide."""
        self.store.accounts[uid] = Account(uid, account_time=time)._replace(**values)  # type: ignore[arg-type]


class DecidingTests(AccountsTestCase):
    def test_a_ban_ends_all_sessions_of_the_user_at_once(self) -> None:
        sessions, other = [self.enter(1), self.enter(1, issued=0)], self.enter(2)
        self.wait(self.accounts.ban(1))
        assert [self.told(session) for session in sessions] == [KickReason.BANNED] * 2
        assert self.told(other) == 0
        assert self.sessions.sessions(1) == ()
        assert self.store.accounts[1].is_banned

    def test_a_ban_can_be_taken_back(self) -> None:
        self.wait(self.accounts.ban(1))
        self.wait(self.accounts.unban(1))
        session = self.enter(1)
        self.clock.advance(1)
        assert self.told(session) == 0

    def test_void_tokens_end_the_sessions_that_came_with_them(self) -> None:
        old, unknown, new = self.enter(1), self.enter(1, issued=0), self.enter(1, issued=NOW / 1000)
        self.wait(self.accounts.void_tokens(1, NOW - 5000))
        assert [self.told(session) for session in (old, unknown, new)] == [KickReason.TOKEN_EXPIRED] * 2 + [0]
        self.clock.advance(1)
        self.wait(self.accounts.void_tokens(1))
        assert self.told(new) == KickReason.TOKEN_EXPIRED
        assert self.store.accounts[1].void_before == NOW + 1000

    def test_what_makes_no_sense_is_a_bad_request(self) -> None:
        for uid, before in ((0, 0), (1, -1), (1, NOW + 1)):
            self.refused(self.accounts.void_tokens(uid, before), BadRequestError)
        self.refused(self.accounts.ban(0), BadRequestError)
        self.refused(self.accounts.unban(2**63), BadRequestError)

    def test_a_store_that_is_away_is_told(self) -> None:
        session = self.enter(1)
        self.store.is_full = True
        self.refused(self.accounts.ban(1), UnavailableError)
        assert self.told(session) == 0


class LookingTests(AccountsTestCase):
    def test_what_another_node_has_decided_holds_here_a_second_later(self) -> None:
        banned, void, other = self.enter(1), self.enter(2), self.enter(3)
        self.elsewhere(1, is_banned=True)
        self.elsewhere(2, void_before=NOW)
        self.clock.advance(1)
        assert [self.told(each) for each in (banned, void, other)] == [KickReason.BANNED, KickReason.TOKEN_EXPIRED, 0]

    def test_a_login_that_was_under_way_meanwhile_ends_with_the_next_look(self) -> None:
        self.wait(self.accounts.ban(1))
        self.clock.advance(5)
        session = self.enter(1)
        self.clock.advance(1)
        assert self.told(session) == KickReason.BANNED

    def test_a_look_goes_back_to_before_the_last_and_no_further(self) -> None:
        self.clock.advance(100)
        for uid, ago in ((1, OVERLAP_MS - 2000), (2, OVERLAP_MS + 2000)):
            self.elsewhere(uid, self.now() - ago, is_banned=True)
        sessions = [self.enter(1), self.enter(2)]
        self.clock.advance(1)
        assert [self.told(session) for session in sessions] == [KickReason.BANNED, 0]

    def test_a_store_that_was_away_is_asked_for_all_that_was_missed(self) -> None:
        session = self.enter(1)
        self.clock.advance(1)
        self.store.is_full = True
        self.elsewhere(1, self.now() + 1000, is_banned=True)
        self.clock.pump([1] * 100)
        assert self.told(session) == 0
        self.store.is_full = False
        self.clock.advance(1)
        assert self.told(session) == KickReason.BANNED

    def test_very_many_are_looked_at_a_page_at_a_time(self) -> None:
        self.patch(accounts, "PAGE", 2)
        sessions = [self.enter(uid) for uid in range(1, 8)]
        for uid in range(1, 8):
            self.elsewhere(uid, NOW + uid // 3, is_banned=True)
        self.clock.advance(1)
        assert [self.told(session) for session in sessions] == [KickReason.BANNED] * 7

    def test_an_error_is_news_and_not_the_end(self) -> None:
        def fails(*_: object) -> "Deferred[None]":
            raise ValueError("no")

        session = self.enter(1)
        self.elsewhere(1, is_banned=True)
        with_fault = self.patch(self.store, "changed_accounts", fails)
        self.clock.pump([1, 1, 1])
        assert len(self.flushLoggedErrors(ValueError)) == 1
        with_fault.restore()
        self.clock.advance(1)
        assert self.told(session) == KickReason.BANNED
