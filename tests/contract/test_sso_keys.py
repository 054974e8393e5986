"""ISso: published keys come and go, and no token chooses how it is checked."""

import base64
import json
from typing import Any

import jwt
import pytest
import pytest_twisted
from cryptography.hazmat.primitives.asymmetric import ed25519
from pytest_twisted import ensureDeferred
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from imd.errors import AuthFailedError, UnavailableError
from tests.login_server import late, says

from .sso_sources import PRIVATE, KeyTokens, PublishedTokens, jwk, pem, signed

reactor: Any = _reactor
PAUSE = 0.2
"""Seconds between two fetches."""


@pytest.fixture
def tokens() -> Any:
    """Published keys: ``old`` for RS256, ``ed`` for EdDSA."""
    tokens = PublishedTokens(pause=PAUSE)
    yield tokens
    pytest_twisted.blockon(Deferred.fromCoroutine(tokens.stop()))


def by(tokens: PublishedTokens, kid: str, algorithm: str = "ES256", **who: Any) -> str:
    """Return a token of uid 7 that names a key."""
    return signed(PRIVATE[algorithm], algorithm, tokens.now, 7, kid=kid, **who)


async def refused(tokens: PublishedTokens, token: str, error: type[Exception] = AuthFailedError) -> str:
    with pytest.raises(error) as caught:
        await tokens.verify(7, token)
    return str(caught.value)


@ensureDeferred
async def test_keys_are_fetched_once_for_many_and_kept(tokens: PublishedTokens) -> None:
    await gatherResults([tokens.verify(7, tokens.token(7)) for _ in range(20)])
    await tokens.verify(7, by(tokens, "ed", "EdDSA"))
    assert len(tokens.server.seen) == 1


@ensureDeferred
async def test_a_new_key_is_found_by_the_first_token_that_names_it_and_the_old_one_stays(
    tokens: PublishedTokens,
) -> None:
    await tokens.verify(7, tokens.token(7))
    tokens.server.jwks["keys"].append(jwk(PRIVATE["ES256"], "ES256", "new"))
    await deferLater(reactor, PAUSE + 0.05)
    await gatherResults([tokens.verify(7, by(tokens, "new")) for _ in range(20)])
    await tokens.verify(7, tokens.token(7))
    assert len(tokens.server.seen) == 2


@ensureDeferred
async def test_a_key_that_the_set_is_without_is_good_no_more(tokens: PublishedTokens) -> None:
    await tokens.verify(7, tokens.token(7))
    tokens.server.jwks = {"keys": [jwk(PRIVATE["ES256"], "ES256", "new")]}
    await deferLater(reactor, PAUSE + 0.05)
    await tokens.verify(7, by(tokens, "new"))
    await deferLater(reactor, PAUSE + 0.05)
    assert "not among those" in await refused(tokens, tokens.token(7))


@ensureDeferred
async def test_keys_that_nobody_has_do_not_make_the_server_be_asked_again_and_again(tokens: PublishedTokens) -> None:
    await tokens.verify(7, tokens.token(7))
    await deferLater(reactor, PAUSE + 0.05)
    await refused(tokens, by(tokens, "made up"))
    tokens.keys._pause = 60.0
    for number in range(20):
        await refused(tokens, by(tokens, f"made up {number}"), UnavailableError)
    await tokens.verify(7, tokens.token(7))
    assert len(tokens.server.seen) == 2


@ensureDeferred
async def test_old_keys_are_fetched_again_beside_the_logins() -> None:
    tokens = PublishedTokens(pause=0.0, max_age=0.1)
    await tokens.verify(7, tokens.token(7))
    await deferLater(reactor, 0.15)
    tokens.server.jwks = {"keys": [jwk(PRIVATE["ES256"], "ES256", "new")]}
    tokens.server.fault = late(0.1)
    await tokens.verify(7, tokens.token(7))
    while len(tokens.keys._keys) == 2:
        tokens.server.fault = None
        await tokens.verify(7, tokens.token(7))
        await deferLater(reactor, 0.05)
    await refused(tokens, tokens.token(7))
    await tokens.stop()


@ensureDeferred
async def test_while_the_set_can_not_be_had_the_keys_stay() -> None:
    tokens = PublishedTokens(pause=0.0, max_age=0.0)
    await tokens.verify(7, tokens.token(7))
    for fault in (says(b"", 500), says(b"{}"), says(b'{"keys": {}}'), late(1.0)):
        tokens.server.fault = fault
        await tokens.verify(7, tokens.token(7))
        await deferLater(reactor, 0.05)
    await tokens.server.stop()
    await tokens.verify(7, tokens.token(7))
    await tokens.stop()


class TestAlgorithms:
    """Each of these tokens is signed rightly, by somebody who knows only what is public."""

    @ensureDeferred
    async def test_a_public_key_is_no_shared_secret(self, tokens: PublishedTokens) -> None:
        public = tokens.server.jwks["keys"][0]
        for secret in (pem(PRIVATE["RS256"]), json.dumps(public).encode(), public["n"].encode()):
            assert "signed with RS256" in await refused(tokens, forged("HS256", "old", secret, tokens.now))
        assert "signed with RS256" in await refused(tokens, forged("none", "old", b"", tokens.now))

    @ensureDeferred
    async def test_a_shared_secret_in_the_set_is_no_key(self, tokens: PublishedTokens) -> None:
        secret = b"5f1d0a7c93be4286d1e05b3c7a9f2468"
        word = base64.urlsafe_b64encode(secret).decode().rstrip("=")
        tokens.server.jwks["keys"].append({"kty": "oct", "kid": "shared", "alg": "HS256", "k": word})
        await refused(tokens, forged("HS256", "shared", secret, tokens.now))

    @ensureDeferred
    async def test_a_key_is_for_its_own_algorithm_alone(self, tokens: PublishedTokens) -> None:
        for algorithm in ("RS384", "RS512", "PS256"):
            assert "signed with RS256" in await refused(tokens, by(tokens, "old", algorithm))
        assert "signed with EdDSA" in await refused(tokens, by(tokens, "ed", "ES256"))

    @ensureDeferred
    async def test_the_configuration_says_which_keys_count(self) -> None:
        tokens = PublishedTokens(algorithm="EdDSA", pause=0.0)
        await tokens.verify(7, by(tokens, "ed", "EdDSA"))
        await refused(tokens, tokens.token(7))
        await tokens.stop()

    @ensureDeferred
    async def test_a_key_that_names_no_algorithm_has_that_of_its_type(self, tokens: PublishedTokens) -> None:
        bare = jwk(PRIVATE["RS256"], "RS256", "bare")
        del bare["alg"], bare["use"]
        tokens.server.jwks["keys"].append(bare)
        await tokens.verify(7, by(tokens, "bare", "RS256"))
        await refused(tokens, by(tokens, "bare", "PS256"))


class TestKeyInAFile:
    @pytest.mark.parametrize("algorithm", PRIVATE)
    @ensureDeferred
    async def test_it_is_for_its_own_algorithm_alone(self, algorithm: str) -> None:
        tokens = KeyTokens(algorithm)
        for other, private in PRIVATE.items():
            token = signed(private, other, tokens.now, 7)
            if other == algorithm:
                await tokens.verify(7, token)
            else:
                with pytest.raises(AuthFailedError, match=f"signed with {algorithm}"):
                    await tokens.verify(7, token)
        for secret in (pem(PRIVATE[algorithm]), pem(PRIVATE[algorithm]).strip(), b""):
            for name in ("HS256", "none"):
                with pytest.raises(AuthFailedError, match=f"signed with {algorithm}"):
                    await tokens.verify(7, forged(name, "", secret, tokens.now))

    @ensureDeferred
    async def test_another_key_of_its_type_is_not_it(self) -> None:
        tokens = KeyTokens("EdDSA")
        other = ed25519.Ed25519PrivateKey.generate()
        with pytest.raises(AuthFailedError, match="signed with another key"):
            await tokens.verify(7, signed(other, "EdDSA", tokens.now, 7))


class TestSets:
    @ensureDeferred
    async def test_what_can_not_be_used_is_passed_over(self, tokens: PublishedTokens) -> None:
        good = jwk(PRIVATE["ES256"], "ES256", "good")
        tokens.server.jwks["keys"] = [
            None,
            "key",
            {},
            {"kty": ["RSA"], "kid": "x"},
            {"kty": "RSA", "kid": "x", "n": "AQAB", "e": "AQAB"},
            {"kty": "RSA", "kid": "x", "n": 5, "e": None},
            {"kty": "EC", "kid": "x", "crv": "P-256", "x": "!", "y": "!"},
            {"kty": "EC", "kid": "x", "crv": "secp256k1", "x": "AQAB", "y": "AQAB"},
            {"kty": "OKP", "kid": "x", "crv": "X25519", "x": "A" * 43},
            {**good, "kid": 5},
            {**good, "kid": "k" * 300},
            {**good, "use": "enc"},
            {**good, "key_ops": ["sign"]},
            {**good, "key_ops": 5},
            {**good, "alg": "RS256"},
            {**good, "alg": 5},
            good,
        ]
        await tokens.verify(7, by(tokens, "good"))
        await deferLater(reactor, PAUSE + 0.05)
        await refused(tokens, by(tokens, "x"))

    @ensureDeferred
    async def test_a_set_of_very_many_keys_is_none(self, tokens: PublishedTokens) -> None:
        tokens.server.jwks["keys"] *= 40
        await refused(tokens, tokens.token(7), UnavailableError)

    @ensureDeferred
    async def test_a_token_that_names_no_key_has_the_only_one(self, tokens: PublishedTokens) -> None:
        assert "names no key" in await refused(tokens, by(tokens, "", "RS256"))
        tokens.server.jwks["keys"].pop()
        await deferLater(reactor, PAUSE + 0.05)
        await refused(tokens, by(tokens, "unknown"))
        await tokens.verify(7, by(tokens, "", "RS256"))

    @ensureDeferred
    async def test_a_set_without_a_key_lets_nobody_in(self, tokens: PublishedTokens) -> None:
        tokens.server.jwks["keys"] = []
        await refused(tokens, by(tokens, "", "RS256"))


def forged(algorithm: str, kid: str, secret: bytes, now: float) -> str:
    """Return a token as somebody makes it whose library does not know better."""
    header = {"alg": algorithm, "typ": "JWT", "kid": kid}
    parts = [header, {"sub": "7", "exp": int(now) + 60}]
    signing = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    if algorithm == "none":
        return signing.decode() + "."
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(signing, secret)
    return f"{signing.decode()}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
