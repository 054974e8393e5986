"""What the configuration says of the login system."""

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from imd.config import Sso
from imd.errors import ConfigError
from imd.fetch import Fetch
from imd.ports.sso import ISso
from imd.sso import jwks, remote
from imd.sso.breaker import Breaker
from imd.sso.http import Login
from imd.sso.introspection import Introspection
from imd.sso.jwks import KeySet
from imd.sso.jwt import JwtSso
from imd.sso.keys import Key, public_key, secret_key
from imd.sso.remote import Question, RemoteSso
from imd.sso.secret import load_credential
from imd.sso.verified import Verified


def sso_of(sso: Sso, reactor: Any, now: Callable[[], float], load_secret: Callable[[], bytes]) -> ISso:
    """Return what checks tokens; ``load_secret`` is asked where that is a shared secret. Raises ConfigError.

    ``now`` gives the seconds since the epoch. Nothing is asked of anybody yet.
    """
    leeway, issuer, audience = sso.leeway_seconds, sso.issuer, sso.audience
    match sso.source:
        case "secret_file":
            key: Key | KeySet = secret_key(load_secret())
        case "public_key_file":
            key = _public_key(sso)
        case "jwks_url":
            fetch = _fetch(sso, reactor, sso.jwks_url, connections=1, max_body=jwks.MAX_BODY)
            key = KeySet(
                reactor,
                fetch,
                algorithm=sso.algorithm,
                max_age=sso.jwks_seconds,
                timeout=sso.timeout_seconds,
                pause=min(jwks.PAUSE, sso.jwks_seconds),
            )
        case "url":
            return _remote(sso, reactor, now, sso.url, Login(now))
        case _:
            introspection = Introspection(now, leeway=leeway, issuer=issuer, audience=audience)
            return _remote(sso, reactor, now, sso.introspection_url, introspection)
    return JwtSso(key, now, leeway=leeway, issuer=issuer, audience=audience)


def _remote(sso: Sso, reactor: Any, now: Callable[[], float], url: str, question: Question) -> RemoteSso:
    fetch = _fetch(sso, reactor, url, connections=sso.max_requests, max_body=remote.MAX_BODY)
    return RemoteSso(
        reactor,
        fetch,
        question,
        Breaker(reactor, f"the login system at {fetch.host}"),
        Verified(sso.cache_seconds, now),
        timeout=sso.timeout_seconds,
        retries=sso.retries,
        max_requests=sso.max_requests,
    )


def _fetch(sso: Sso, reactor: Any, url: str, *, connections: int, max_body: int) -> Fetch:
    headers = {}
    if sso.client_id:
        secret = load_credential(Path(sso.client_secret_file))
        account = f"{quote_plus(sso.client_id)}:{quote_plus(secret)}"  # RFC 6749, section 2.3.1
        headers["Authorization"] = f"Basic {b64encode(account.encode()).decode()}"
    elif sso.bearer_file:
        headers["Authorization"] = f"Bearer {load_credential(Path(sso.bearer_file))}"
    authorities = _content("ca_file", sso.ca_file) if sso.ca_file else b""
    return Fetch(reactor, url, connections=connections, max_body=max_body, authorities=authorities, headers=headers)


def _public_key(sso: Sso) -> Key:
    try:
        return public_key(_content("public_key_file", sso.public_key_file), sso.algorithm)
    except ValueError as error:
        raise ConfigError(f"[sso] public_key_file {sso.public_key_file} {error}.") from error


def _content(key: str, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ConfigError(f"[sso] {key} {file} can't be read: {error.strerror}.") from error
