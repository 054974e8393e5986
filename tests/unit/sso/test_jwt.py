"""Tokens: who is let in, and what those who are not let in are told."""

import base64
import json
import string

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from imd.errors import AuthExpiredError, AuthFailedError, RefusedError
from imd.model import Identity
from imd.ports.sso import ISso, LoginAttempt
from imd.sso.jwt import JwtSso, issue
from imd.sso.keys import secret_key

SECRET = b"5f1d0a7c93be4286d1e05b3c7a9f2468"
NOW = 1_763_856_000.0


def signed(claims: dict[str, object], secret: bytes = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, secret, algorithm)


def unsigned(header: bytes) -> str:
    return f"{base64.urlsafe_b64encode(header).decode().rstrip('=')}.e30.AAAA"


class JwtTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = NOW
        self.sso = JwtSso(secret_key(SECRET), lambda: self.now)

    def verify(self, token: str, uid: int = 7) -> Identity:
        return self.successResultOf(Deferred.fromCoroutine(self.sso.verify(LoginAttempt(uid, token))))

    def refusal(self, token: str, kind: type[RefusedError] = AuthFailedError, uid: int = 7) -> str:
        error = self.failureResultOf(Deferred.fromCoroutine(self.sso.verify(LoginAttempt(uid, token))), kind).value
        assert len(token) < 10 or token not in str(error)
        return str(error)


class GoodTokenTests(JwtTestCase):
    def test_the_adapter_provides_the_port(self) -> None:
        verifyObject(ISso, self.sso)

    def test_an_issued_token_is_its_users(self) -> None:
        token = issue(SECRET, 7, NOW, 60)
        assert self.verify(token) == Identity(uid=7, expires=int(NOW) + 60, issued=NOW)

    def test_a_token_carries_the_name_and_the_rights(self) -> None:
        identity = self.verify(issue(SECRET, 7, NOW, 60, name="李", is_admin=True))
        assert (identity.name, identity.is_admin) == ("李", True)

    def test_only_the_role_admin_makes_an_admin(self) -> None:
        for role in ("Admin", "user", True, ["admin"]):
            assert not self.verify(signed({"sub": "7", "exp": NOW + 1, "imd_role": role})).is_admin

    def test_a_long_name_is_cut(self) -> None:
        assert self.verify(signed({"sub": "7", "exp": NOW + 1, "name": "n" * 500})).name == "n" * 128

    def test_half_a_surrogate_pair_in_a_name_is_replaced(self) -> None:
        assert self.verify(signed({"sub": "7", "exp": NOW + 1, "name": "a\ud800b"})).name == "a?b"

    def test_a_name_that_is_no_text_is_none(self) -> None:
        assert self.verify(signed({"sub": "7", "exp": NOW + 1, "name": 3})).name == ""


class TimeTests(JwtTestCase):
    def test_a_token_is_good_until_it_expires(self) -> None:
        token = issue(SECRET, 7, NOW, 60)
        self.now = NOW + 59.9
        self.verify(token)
        self.now = NOW + 60
        assert "expired" in self.refusal(token, AuthExpiredError)

    def test_a_token_is_not_good_before_its_time(self) -> None:
        for claim in ("nbf", "iat"):
            token = signed({"sub": "7", "exp": NOW + 60, claim: NOW + 1})
            assert f"{claim} lies in the future" in self.refusal(token)

    def test_the_leeway_bridges_clocks_that_differ(self) -> None:
        self.sso = JwtSso(secret_key(SECRET), lambda: self.now, leeway=5)
        self.verify(signed({"sub": "7", "exp": NOW - 4}))
        self.verify(signed({"sub": "7", "exp": NOW + 60, "nbf": NOW + 4, "iat": NOW + 5}))
        self.refusal(signed({"sub": "7", "exp": NOW - 5}), AuthExpiredError)

    def test_a_session_ends_when_its_token_is_refused(self) -> None:
        for leeway, seconds in ((0, 60), (5, 65), (0.5, 61)):
            self.sso = JwtSso(secret_key(SECRET), lambda: self.now, leeway=leeway)
            assert self.verify(issue(SECRET, 7, NOW, 60)).expires == int(NOW) + seconds

    def test_a_time_that_is_no_number_is_refused(self) -> None:
        for time in (str(NOW + 60), True, [1], {}, float("nan"), float("inf"), 10**400):
            assert "exp has to be a number" in self.refusal(signed({"sub": "7", "exp": time}))
        assert "nbf has to be a number" in self.refusal(signed({"sub": "7", "exp": NOW + 60, "nbf": None}))


class IssuerTests(JwtTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.sso = JwtSso(secret_key(SECRET), lambda: self.now, issuer="https://login", audience="imd")

    def token(self, **claims: object) -> str:
        return signed({"sub": "7", "exp": NOW + 60, **claims})

    def test_an_issuer_and_an_audience_that_are_asked_for_are_found(self) -> None:
        self.verify(self.token(iss="https://login", aud="imd"))
        self.verify(self.token(iss="https://login", aud=["shop", "imd"]))

    def test_others_are_refused_and_so_is_silence(self) -> None:
        assert "another issuer" in self.refusal(self.token(iss="https://else", aud="imd"))
        assert "another service" in self.refusal(self.token(iss="https://login", aud="shop"))
        assert "lacks the claim iss" in self.refusal(self.token(aud="imd"))
        assert "lacks the claim aud" in self.refusal(self.token(iss="https://login"))
        for odd in (5, ["https://login"], None):
            claims = {"sub": "7", "exp": NOW + 60, "iss": odd, "aud": "imd"}
            self.refusal(jwt.PyJWS().encode(json.dumps(claims).encode(), SECRET, "HS256"))
        for odd in (5, [5], {"imd": 1}):
            self.refusal(self.token(iss="https://login", aud=odd))


class BadTokenTests(JwtTestCase):
    def test_another_users_token_is_refused(self) -> None:
        assert "another user" in self.refusal(issue(SECRET, 8, NOW, 60))

    def test_the_uid_has_one_spelling_only(self) -> None:
        for sub in ("07", " 7", "+7", "7.0", "٧"):
            assert "another user" in self.refusal(signed({"sub": sub, "exp": NOW + 60}))

    def test_a_subject_that_is_a_number_is_refused(self) -> None:
        token = jwt.PyJWS().encode(b'{"sub": 7, "exp": 9999999999}', SECRET, "HS256")
        assert "sub has to be the uid" in self.refusal(token)

    def test_a_token_of_another_secret_is_refused(self) -> None:
        assert "another secret" in self.refusal(issue(SECRET[::-1], 7, NOW, 60))

    def test_a_token_without_a_required_claim_is_refused(self) -> None:
        assert "lacks the claim exp" in self.refusal(signed({"sub": "7"}))
        assert "lacks the claim sub" in self.refusal(signed({"exp": NOW + 60}))

    def test_another_algorithm_is_refused_with_or_without_a_signature(self) -> None:
        assert "signed with HS256" in self.refusal(signed({"sub": "7", "exp": NOW + 60}, SECRET * 2, "HS512"))
        assert "signed with HS256" in self.refusal(unsigned(b'{"alg":"none"}'))

    def test_a_token_made_for_another_service_is_refused(self) -> None:
        assert "another service" in self.refusal(signed({"sub": "7", "exp": NOW + 60, "aud": "shop"}))

    def test_a_header_that_would_exhaust_the_parser_is_refused(self) -> None:
        for header in (b"[" * 2900, b'{"alg":' + b"9" * 2900, b'{"alg":[]}', b'{"alg":"HS256","crit":["x"]}'):
            self.refusal(unsigned(header))

    def test_text_that_is_no_token_is_refused(self) -> None:
        for token in ("", ".", "..", "a.b.c", "é.è.ê", "x" * 4000):
            assert self.refusal(token)

    @given(st.text(string.printable + "é\0"))
    def test_any_text_is_refused_in_words(self, token: str) -> None:
        with pytest.raises(AuthFailedError):
            self.sso.verify(LoginAttempt(7, token)).send(None)
