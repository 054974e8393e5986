"""The keys that tokens are checked with. Its type and the configuration fix a key's algorithm; a token never does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK
from jwt.exceptions import PyJWTError

HS256 = "HS256"
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
MAX_KID = 256
"""Characters of a key's name."""

_RSA = ("RS256", "RS384", "RS512", "PS256")


@dataclass(frozen=True, slots=True)
class Key:
    """A key, and the one algorithm it is good for."""

    algorithm: str
    key: Any = field(repr=False)
    kid: str = ""


def secret_key(secret: bytes) -> Key:
    """Return the key that a shared secret is."""
    return Key(HS256, secret)


def public_key(pem: bytes, algorithm: str = "") -> Key:
    """Return the public key in ``pem``; empty, ``algorithm`` is RS256, ES256 or EdDSA, as the key's type has it.

    Raises ValueError, which says what is wrong.
    """
    if b"PRIVATE KEY" in pem:
        raise ValueError("holds a private key; its public half was expected: openssl pkey -in FILE -pubout")
    try:
        found = load_pem_public_key(pem)
    except Exception as error:
        raise ValueError("holds no public key in PEM, which begins with -----BEGIN PUBLIC KEY-----") from error
    return Key(_pinned(found, algorithm), found)


def key_of_set(jwk: object, algorithm: str = "") -> Key:
    """Return one key of a JSON Web Key Set. Raises ValueError where it is not one to check our tokens with."""
    if not isinstance(jwk, Mapping) or jwk.get("kty") not in ("RSA", "EC", "OKP"):
        raise ValueError("is no public key")  # a shared secret has no place in a public set
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        raise ValueError("is not for signatures")
    kid = jwk.get("kid", "")
    if not isinstance(kid, str) or len(kid) > MAX_KID:
        raise ValueError("has no usable kid")
    try:
        public = {name: value for name, value in jwk.items() if name not in ("alg", "d")}
        found = PyJWK(public, _any_of(jwk["kty"])).key
    except (PyJWTError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"can't be read: {error}") from error
    pinned = _pinned(found, algorithm or (jwk["alg"] if isinstance(jwk.get("alg"), str) else ""))
    if jwk.get("alg", pinned) != pinned:
        raise ValueError(f"is for {jwk['alg']!r:.20}, where [sso] algorithm is {algorithm}")
    return Key(pinned, found, kid)


def _pinned(key: object, algorithm: str) -> str:
    match key:
        case RSAPublicKey():
            if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
                raise ValueError(f"is an RSA key of {key.key_size} bits; expected {MIN_RSA_BITS} to {MAX_RSA_BITS}")
            possible: tuple[str, ...] = _RSA
        case EllipticCurvePublicKey() if isinstance(key.curve, SECP256R1):
            possible = ("ES256",)
        case Ed25519PublicKey():
            possible = ("EdDSA",)
        case _:
            raise ValueError("is a key of another kind than RSA, P-256 or Ed25519")
    if algorithm and algorithm not in possible:
        raise ValueError(f"is a key for {' or '.join(possible)}, not for {algorithm:.20}")
    return algorithm or possible[0]


def _any_of(kty: str) -> str:
    """Return an algorithm by which PyJWK reads keys of this type, whatever theirs is."""
    return {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}[kty]
