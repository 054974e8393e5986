"""Keys: which there can be, and the one algorithm that each is good for."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from twisted.trial.unittest import SynchronousTestCase

from imd.sso.keys import public_key, secret_key

RSA = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()


def pem(private: Any) -> bytes:
    encoded: bytes = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def refusal(content: bytes, algorithm: str = "") -> str:
    with pytest.raises(ValueError, match=r"\A(is|holds) ") as caught:
        public_key(content, algorithm)
    return str(caught.value)


class KeyTests(SynchronousTestCase):
    def test_a_key_has_the_algorithm_of_its_type(self) -> None:
        for private, algorithm in ((RSA, "RS256"), (P256, "ES256"), (ED25519, "EdDSA")):
            assert public_key(pem(private)).algorithm == algorithm
            assert public_key(pem(private), algorithm).algorithm == algorithm
        assert secret_key(b"x" * 32).algorithm == "HS256"

    def test_an_rsa_key_leaves_a_choice(self) -> None:
        for algorithm in ("RS384", "RS512", "PS256"):
            assert public_key(pem(RSA), algorithm).algorithm == algorithm

    def test_a_key_is_for_no_algorithm_of_another_type(self) -> None:
        for private, algorithm in ((RSA, "ES256"), (RSA, "HS256"), (RSA, "none"), (P256, "RS256"), (ED25519, "ES256")):
            assert f"not for {algorithm}" in refusal(pem(private), algorithm)

    def test_a_key_of_another_kind_or_size_is_refused(self) -> None:
        for private in (
            ec.generate_private_key(ec.SECP384R1()),
            ec.generate_private_key(ec.SECP256K1()),
            ed448.Ed448PrivateKey.generate(),
            x25519.X25519PrivateKey.generate(),
        ):
            assert "another kind" in refusal(pem(private))
        assert "of 1024 bits; expected 2048 to 8192" in refusal(pem(rsa.generate_private_key(65537, 1024)))

    def test_a_private_key_has_no_place_here_and_is_not_told(self) -> None:
        private = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        assert "holds a private key" in refusal(private)
        assert private.decode().splitlines()[1] not in refusal(private)

    def test_what_is_no_key_is_refused(self) -> None:
        for content in (b"", b"x" * 32, b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", b"\xff" * 99):
            assert "holds no public key in PEM" in refusal(content)

    def test_its_text_does_not_tell_a_secret(self) -> None:
        assert "hunter2" not in repr(secret_key(b"hunter2" * 8))
