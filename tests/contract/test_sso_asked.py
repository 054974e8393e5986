"""ISso: login systems that are asked at each login, and how often they are."""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred, gatherResults

from imd.errors import AuthExpiredError, AuthFailedError, UnavailableError
from imd.sso.introspection import Introspection
from tests.certificates import make_certificate
from tests.login_server import hangs_up, late, says

from .sso_sources import ASKED, AskedTokens, IntrospectedTokens, LoginTokens


@pytest.fixture
def made(request: pytest.FixtureRequest) -> Any:
    """Makes login systems with settings, and stops them."""
    kept: list[AskedTokens] = []

    def make(kind: str, **settings: Any) -> AskedTokens:
        kept.append(ASKED[kind](**settings))
        return kept[-1]

    yield make
    for tokens in kept:
        pytest_twisted.blockon(Deferred.fromCoroutine(tokens.stop()))


@pytest.fixture(params=sorted(ASKED))
def kind(request: pytest.FixtureRequest) -> str:
    """Each of them."""
    return str(request.param)


async def refused(tokens: AskedTokens, token: str, error: type[Exception] = UnavailableError) -> str:
    with pytest.raises(error) as caught:
        await tokens.verify(7, token)
    return str(caught.value)


class TestRetries:
    @ensureDeferred
    async def test_a_lost_connection_and_a_5xx_are_tried_again(self, made: Any, kind: str) -> None:
        tokens = made(kind, retries=2)
        faults = [hangs_up, says(b"", 503)]

        def fault(request: Any) -> Any:
            try:
                return faults.pop(0)(request)
            finally:
                if not faults:
                    tokens.server.fault = None

        tokens.server.fault = fault
        assert (await tokens.verify(7, tokens.token(7))).uid == 7
        assert len(tokens.server.seen) == 3

    @pytest.mark.parametrize("status", [200, 302, 400, 404, 429])
    @ensureDeferred
    async def test_what_would_be_the_same_again_is_not(self, made: Any, kind: str, status: int) -> None:
        tokens = made(kind, retries=2)
        tokens.server.fault = says(b"no", status)
        await refused(tokens, "t")
        assert len(tokens.server.seen) == 1

    @ensureDeferred
    async def test_they_end(self, made: Any, kind: str) -> None:
        for retries in (0, 2):
            tokens = made(kind, retries=retries)
            tokens.server.fault = says(b"", 500)
            await refused(tokens, "t")
            assert len(tokens.server.seen) == retries + 1


class TestBreaker:
    @ensureDeferred
    async def test_after_failures_in_a_row_it_is_left_alone_and_then_tried_by_one(self, made: Any, kind: str) -> None:
        tokens = made(kind, retries=0, failures=3, pause=60.0)
        tokens.server.fault = says(b"", 500)
        for _ in range(10):
            await refused(tokens, "t")
        assert len(tokens.server.seen) == 3
        tokens.breaker._opened -= 61
        tokens.server.fault = late(0.2)
        outcomes = [tokens.verify(7, f"t{n}").addErrback(lambda failure: failure.type) for n in range(10)]
        told = await gatherResults(outcomes)
        assert len(tokens.server.seen) == 4
        assert told.count(UnavailableError) == 9
        tokens.server.fault = None
        assert (await tokens.verify(7, tokens.token(7))).uid == 7

    @ensureDeferred
    async def test_a_try_that_fails_leaves_it_alone_for_longer(self, made: Any, kind: str) -> None:
        tokens = made(kind, retries=0, failures=2, pause=60.0)
        tokens.server.fault = says(b"", 500)
        for _ in range(3):
            await refused(tokens, "t")
        tokens.breaker._opened -= 61
        for _ in range(5):
            await refused(tokens, "t")
        assert len(tokens.server.seen) == 3

    @ensureDeferred
    async def test_refusals_are_answers(self, made: Any, kind: str) -> None:
        tokens = made(kind, failures=2)
        for _ in range(6):
            await refused(tokens, "forged", AuthFailedError if kind == "url" else AuthExpiredError)
        assert len(tokens.server.seen) == 6


class TestCache:
    @ensureDeferred
    async def test_a_good_token_is_asked_about_once_for_a_while(self, made: Any, kind: str) -> None:
        tokens = made(kind)
        token = tokens.token(7, 300, name="Ann")
        first = await tokens.verify(7, token)
        tokens.now += 29
        assert await tokens.verify(7, token) == first
        assert len(tokens.server.seen) == 1
        tokens.now += 2
        await tokens.verify(7, token)
        assert len(tokens.server.seen) == 2

    @ensureDeferred
    async def test_it_is_asked_about_for_another_user_and_another_device(self, made: Any, kind: str) -> None:
        tokens = made(kind)
        token = tokens.token(7)
        await tokens.verify(7, token)
        with pytest.raises(AuthFailedError):
            await tokens.verify(8, token)
        for device in ({"device_id": "d"}, {"client_type": 11}, {"app_id": "a"}):
            await tokens.verify(7, token, **device)
        assert len(tokens.server.seen) == 5

    @ensureDeferred
    async def test_a_bad_token_is_asked_about_each_time(self, made: Any, kind: str) -> None:
        tokens = made(kind)
        for _ in range(2):
            await refused(tokens, "forged", Exception)
        tokens.server.tokens["forged"] = tokens.server.tokens[tokens.token(7)]
        assert (await tokens.verify(7, "forged")).uid == 7

    @ensureDeferred
    async def test_it_never_outlives_the_token(self, made: Any, kind: str) -> None:
        tokens = made(kind)
        token = tokens.token(7, 10)
        await tokens.verify(7, token)
        tokens.now += 10
        await refused(tokens, token, AuthExpiredError)

    @ensureDeferred
    async def test_it_can_be_turned_off_and_is_bounded(self, made: Any, kind: str) -> None:
        tokens = made(kind, cache=0)
        token = tokens.token(7)
        for _ in range(2):
            await tokens.verify(7, token)
        assert len(tokens.server.seen) == 2
        tokens = made(kind, kept=2)
        several = [tokens.token(7) for _ in range(3)]
        for token in [*several, *several]:
            await tokens.verify(7, token)
        assert len(tokens.server.seen) == 6
        assert len(tokens.sso._verified._kept) == 2

    @ensureDeferred
    async def test_it_holds_no_token(self, made: Any, kind: str) -> None:
        tokens = made(kind)
        token = tokens.token(7)
        await tokens.verify(7, token)
        assert token not in repr(vars(tokens.sso._verified))


@ensureDeferred
async def test_so_many_are_asked_about_at_once_and_all_have_their_turn(made: Any, kind: str) -> None:
    tokens = made(kind, max_requests=3)
    tokens.server.fault = late(0.02)
    outcomes = [tokens.verify(uid, tokens.token(uid)).addErrback(lambda failure: failure.type) for uid in range(1, 31)]
    assert UnavailableError not in await gatherResults(outcomes)
    assert (len(tokens.server.seen), tokens.server.most) == (30, 3)


class TestWords:
    @ensureDeferred
    async def test_our_own_question_says_all_that_the_client_said(self, made: Any) -> None:
        tokens = made("url")
        token = tokens.token(7)
        await tokens.verify(7, token, device_id="d\0☕", client_type=11, app_id="a")
        [seen] = tokens.server.seen
        asked = {"uid": 7, "token": token, "device_id": "d\0☕", "client_type": 11, "app_id": "a"}
        assert json.loads(seen.body) == asked
        assert seen.headers["content-type"] == "application/json"

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            ({"ok": False}, AuthFailedError),
            ({"ok": False, "expired": True}, AuthExpiredError),
            ({"ok": True, "expires": 1000}, AuthExpiredError),
            ({"ok": True, "expires": -1}, UnavailableError),
            ({"expires": 0}, UnavailableError),
        ],
    )
    @ensureDeferred
    async def test_our_own_answer_may_be(self, made: Any, answer: Any, error: type[Exception]) -> None:
        tokens = made("url")
        tokens.server.fault = says(json.dumps(answer).encode())
        await refused(tokens, "t", error)

    @ensureDeferred
    async def test_ok_alone_is_enough(self, made: Any) -> None:
        tokens = made("url")
        tokens.server.fault = says(b'{"ok": true}')
        identity = await tokens.verify(7, "t")
        assert (identity.name, identity.is_admin, identity.expires, identity.issued) == ("", False, 0, tokens.now)

    @pytest.mark.parametrize("status", [401, 403])
    @ensureDeferred
    async def test_who_refuses_imd_itself_says_nothing_of_the_token(self, made: Any, status: int) -> None:
        for kind, error in (("url", AuthFailedError), ("introspection_url", UnavailableError)):
            tokens = made(kind)
            tokens.server.fault = says(b'{"ok": false, "active": false}', status)
            await refused(tokens, "t", error)

    @ensureDeferred
    async def test_introspection_posts_a_form(self, made: Any) -> None:
        tokens = made("introspection_url")
        token = tokens.token(7) + "&x=é"
        tokens.server.tokens[token] = tokens.server.tokens[tokens.token(7)]
        assert (await tokens.verify(7, token)).uid == 7
        [seen] = tokens.server.seen
        assert parse_qs(seen.body.decode()) == {"token": [token], "token_type_hint": ["access_token"]}
        assert seen.headers["content-type"] == "application/x-www-form-urlencoded"

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            ({"active": True}, AuthFailedError),
            ({"active": True, "sub": "8"}, AuthFailedError),
            ({"active": True, "sub": 7}, AuthFailedError),
            ({"active": True, "sub": "7", "exp": 1}, AuthExpiredError),
            ({"active": True, "sub": "7", "exp": "soon"}, AuthFailedError),
            ({"active": False, "sub": "7"}, AuthExpiredError),
            ({"sub": "7"}, UnavailableError),
            ({"active": "yes", "sub": "7"}, UnavailableError),
        ],
    )
    @ensureDeferred
    async def test_introspection_may_answer(self, made: Any, answer: Any, error: type[Exception]) -> None:
        tokens = made("introspection_url")
        tokens.server.fault = says(json.dumps(answer).encode())
        await refused(tokens, "t", error)

    @ensureDeferred
    async def test_an_issuer_and_an_audience_that_are_asked_for_have_to_be_there(self, made: Any) -> None:
        tokens = made("introspection_url", cache=0)
        tokens.sso._question = Introspection(lambda: tokens.now, issuer="https://login", audience="imd")
        for more, is_good in (
            ({"iss": "https://login", "aud": "imd"}, True),
            ({"iss": "https://login", "aud": ["shop", "imd"]}, True),
            ({"iss": "https://other", "aud": "imd"}, False),
            ({"iss": "https://login", "aud": "shop"}, False),
            ({"iss": "https://login"}, False),
            ({"aud": "imd"}, False),
        ):
            tokens.server.fault = says(json.dumps({"active": True, "sub": "7", **more}).encode())
            if is_good:
                await tokens.verify(7, "t")
            else:
                await refused(tokens, "t", AuthFailedError)

    @ensureDeferred
    async def test_an_admin_has_the_role_or_the_scope(self, made: Any) -> None:
        tokens = made("introspection_url", cache=0)
        for more, is_admin in (
            ({"scope": "a imd_admin b"}, True),
            ({"imd_role": "admin"}, True),
            ({"scope": "imd_admins"}, False),
            ({"scope": ["imd_admin"]}, False),
            ({"role": "admin"}, False),
        ):
            tokens.server.fault = says(json.dumps({"active": True, "sub": "7", **more}).encode())
            assert (await tokens.verify(7, "t")).is_admin is is_admin


class TestWayThere:
    @ensureDeferred
    async def test_imd_shows_who_it_is(self, made: Any, kind: str) -> None:
        tokens = made(kind)
        word = base64.b64encode(b"imd:s%2B").decode()
        tokens.sso._fetch = tokens.fetch(headers={"Authorization": f"Basic {word}"})
        await tokens.verify(7, tokens.token(7))
        assert tokens.server.seen[0].headers["authorization"] == f"Basic {word}"

    @pytest.mark.parametrize(
        ("host", "is_trusted", "is_good"),
        [("127.0.0.1", True, True), ("127.0.0.1", False, False), ("127.0.0.2", True, False)],
    )
    @ensureDeferred
    async def test_a_certificate_has_to_be_of_the_host_and_trusted(
        self, made: Any, kind: str, tmp_path: Path, host: str, is_trusted: bool, is_good: bool
    ) -> None:
        authority = make_certificate(tmp_path, host)
        tokens = made(kind)
        await tokens.server.stop()
        tokens.server.start(0, (str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")))
        tokens.sso._fetch = tokens.fetch(authorities=authority if is_trusted else b"")
        if is_good:
            assert (await tokens.verify(7, tokens.token(7))).uid == 7
        else:
            await refused(tokens, tokens.token(7))
            assert tokens.server.seen == []


def test_both_are_asked_here() -> None:
    assert set(ASKED.values()) == {LoginTokens, IntrospectedTokens}
