"""Login systems of every kind, in the words of their tests."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from imd.errors import AuthExpiredError, AuthFailedError, RefusedError
from imd.fetch import Fetch
from imd.model import Identity
from imd.ports.sso import ISso, LoginAttempt
from imd.sso.breaker import Breaker
from imd.sso.http import Login
from imd.sso.introspection import Introspection
from imd.sso.jwks import KeySet
from imd.sso.jwt import JwtSso, issue
from imd.sso.keys import public_key, secret_key
from imd.sso.remote import Question, RemoteSso
from imd.sso.verified import Verified
from tests.login_server import LoginServer

SECRET = b"5f1d0a7c93be4286d1e05b3c7a9f2468"
PATIENCE = 20.0
"""Seconds in which a login system has to answer here, unless that is what a test is about."""

RSA = rsa.generate_private_key(65537, 2048)
PRIVATE: dict[str, Any] = {
    "RS256": RSA,
    "RS384": RSA,
    "RS512": RSA,
    "PS256": RSA,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
"""A key for each algorithm."""


def pem(private: Any) -> bytes:
    """Return the public half of a key."""
    encoded: bytes = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def jwk(private: Any, algorithm: str, kid: str, **members: Any) -> dict[str, Any]:
    """Return it as one of a JSON Web Key Set."""
    public: dict[str, Any] = get_default_algorithms()[algorithm].to_jwk(private.public_key(), as_dict=True)
    public.pop("key_ops", None)
    return {**public, "kid": kid, "alg": algorithm, "use": "sig", **members}


class Tokens:
    """A login system and its clock; ``refuses`` is what it may call a token that is none."""

    refuses: tuple[type[RefusedError], ...] = (AuthFailedError,)

    def __init__(self) -> None:
        self.now = 1_763_856_000.0
        self.sso: ISso

    def token(self, uid: int, seconds: float = 60, **who: Any) -> str:
        """Return a token of ``uid`` that is good for so long."""
        raise NotImplementedError

    def verify(self, uid: int, token: str, **device: Any) -> Deferred[Identity]:
        """Ask whether it is theirs."""
        return Deferred.fromCoroutine(self.sso.verify(LoginAttempt(uid, token, **device)))

    async def stop(self) -> None:
        """Stop what was started."""
        self.sso.close()


class SecretTokens(Tokens):
    """Signed with the shared secret."""

    def __init__(self) -> None:
        super().__init__()
        self.sso = JwtSso(secret_key(SECRET), lambda: self.now)

    def token(self, uid: int, seconds: float = 60, **who: Any) -> str:
        return issue(SECRET, uid, self.now, seconds, **who)


class KeyTokens(Tokens):
    """Signed with a private key, whose public half is in a file."""

    def __init__(self, algorithm: str) -> None:
        super().__init__()
        self.algorithm = algorithm
        self.sso = JwtSso(public_key(pem(PRIVATE[algorithm]), algorithm), lambda: self.now)

    def token(self, uid: int, seconds: float = 60, **who: Any) -> str:
        return signed(PRIVATE[self.algorithm], self.algorithm, self.now, uid, seconds, **who)


class RemoteTokens(Tokens):
    """Of a login system that is asked over HTTP at ``path`` of ``server``."""

    path = ""
    max_body = 64 * 1024

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.server = LoginServer(lambda: self.now).start()
        self.sso = self.make(**settings)

    def make(self, **settings: Any) -> ISso:
        """Return what asks the server."""
        raise NotImplementedError

    def fetch(self, **settings: Any) -> Fetch:
        """Return the way to the server."""
        defaults = {"connections": 4, "max_body": self.max_body}
        return Fetch(reactor, self.server.url(self.path), **{**defaults, **settings})

    def wait(self, seconds: float) -> None:
        """From now on an answer has to come in so many seconds."""
        raise NotImplementedError

    async def stop(self) -> None:
        await super().stop()
        await self.server.stop()


class AskedTokens(RemoteTokens):
    """Of one that is asked at each login."""

    def make(self, **settings: Any) -> RemoteSso:
        self.breaker = Breaker(reactor, "the login system", settings.pop("failures", 5), settings.pop("pause", 0.3))
        cache = Verified(settings.pop("cache", 30.0), lambda: self.now, settings.pop("kept", 100))
        fetch = settings.pop("fetch", None) or self.fetch()
        defaults = {"timeout": PATIENCE, "retries": 1, "retry_seconds": 0.01}
        return RemoteSso(reactor, fetch, self.question(), self.breaker, cache, **{**defaults, **settings})

    def question(self) -> Question:
        """Return how it is asked."""
        raise NotImplementedError

    def wait(self, seconds: float) -> None:
        self.sso._timeout = seconds  # type: ignore[attr-defined]

    def token(self, uid: int, seconds: float = 60, **who: Any) -> str:
        return self.server.issue(uid, seconds, **who)


class LoginTokens(AskedTokens):
    """Asked in our own words."""

    path = "login"

    def question(self) -> Question:
        return Login(lambda: self.now)


class IntrospectedTokens(AskedTokens):
    """Asked as RFC 7662 says, by which a token that is none is not told from one that has expired."""

    path = "introspect"
    refuses = (AuthFailedError, AuthExpiredError)

    def question(self) -> Question:
        return Introspection(lambda: self.now)


class PublishedTokens(RemoteTokens):
    """Signed with a private key, whose public half is published at a URL."""

    path = "jwks"
    max_body = 256 * 1024

    def make(self, **settings: Any) -> JwtSso:
        self.server.jwks = {"keys": [jwk(PRIVATE["RS256"], "RS256", "old"), jwk(PRIVATE["EdDSA"], "EdDSA", "ed")]}
        defaults = {"timeout": PATIENCE, "pause": 0.2}
        self.keys = KeySet(reactor, self.fetch(), **{**defaults, **settings})
        return JwtSso(self.keys, lambda: self.now)

    def wait(self, seconds: float) -> None:
        self.keys._timeout = seconds

    def token(self, uid: int, seconds: float = 60, **who: Any) -> str:
        return signed(PRIVATE["RS256"], "RS256", self.now, uid, seconds, kid="old", **who)


def signed(private: Any, algorithm: str, now: float, uid: int, seconds: float = 60, kid: str = "", **who: Any) -> str:
    """Return a token as an identity provider makes it."""
    claims: dict[str, Any] = {"sub": str(uid), "iat": int(now), "exp": int(now + seconds)}
    if who.pop("is_admin", False):
        claims["imd_role"] = "admin"
    return jwt.encode(claims | who, private, algorithm, headers={"kid": kid} if kid else None)


REMOTE: dict[str, Callable[..., RemoteTokens]] = {
    "url": LoginTokens,
    "introspection_url": IntrospectedTokens,
    "jwks_url": PublishedTokens,
}
ASKED: dict[str, Callable[..., AskedTokens]] = {"url": LoginTokens, "introspection_url": IntrospectedTokens}
SOURCES: dict[str, Callable[[], Tokens]] = {
    "HS256": SecretTokens,
    **{algorithm: partial(KeyTokens, algorithm) for algorithm in PRIVATE},
    **REMOTE,
}
