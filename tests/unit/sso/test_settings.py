"""What the configuration says of the login system, and what is said of a file that is not as it should be."""

import tempfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from imd.config import Sso
from imd.errors import ConfigError
from imd.ports.sso import ISso
from imd.sso.jwt import JwtSso
from imd.sso.remote import RemoteSso
from imd.sso.settings import sso_of

from .test_keys import ED25519, RSA, pem

URL = "https://login.example/x"


class SettingsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def file(self, content: bytes | str, mode: int = 0o600) -> str:
        file = self.folder / f"f{len(list(self.folder.iterdir()))}"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        file.chmod(mode)
        return str(file)

    def made(self, **values: Any) -> Any:
        return sso_of(Sso(**values), MemoryReactorClock(), lambda: 0.0, lambda: b"5f1d0a7c93be4286d1e05b3c7a9f2468")

    def complaint(self, **values: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            self.made(**values)
        return str(caught.value)


class SourceTests(SettingsTestCase):
    def test_each_source_has_what_checks_its_tokens(self) -> None:
        for values, kind in (
            ({}, JwtSso),
            ({"secret_file": "/s"}, JwtSso),
            ({"public_key_file": self.file(pem(RSA), 0o644)}, JwtSso),
            ({"jwks_url": URL}, JwtSso),
            ({"url": URL}, RemoteSso),
            ({"introspection_url": URL}, RemoteSso),
        ):
            sso = self.made(**values)
            assert isinstance(sso, kind), values
            verifyObject(ISso, sso)
            sso.close()

    def test_imd_shows_who_it_is(self) -> None:
        sso = self.made(introspection_url=URL, client_id="i:d", client_secret_file=self.file("s p+\n"))
        assert sso._fetch._headers["Authorization"] == f"Basic {b64encode(b'i%3Ad:s+p%2B').decode()}"
        assert self.made(url=URL, bearer_file=self.file("word"))._fetch._headers["Authorization"] == "Bearer word"
        assert "Authorization" not in self.made(url=URL)._fetch._headers


class ComplaintTests(SettingsTestCase):
    def test_a_key_that_can_not_be_used(self) -> None:
        assert "public_key_file /nowhere can't be read: No such file" in self.complaint(public_key_file="/nowhere")
        assert "holds no public key in PEM" in self.complaint(public_key_file=self.file("x"))
        file = self.file(pem(ED25519))
        assert self.complaint(public_key_file=file, algorithm="RS256") == (
            f"[sso] public_key_file {file} is a key for EdDSA, not for RS256."
        )

    def test_an_authority_that_can_not_be_used(self) -> None:
        assert "ca_file /nowhere can't be read" in self.complaint(url=URL, ca_file="/nowhere")
        assert "expected PEM" in self.complaint(url=URL, ca_file=self.file("x"))
        broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
        assert "expected PEM" in self.complaint(jwks_url=URL, ca_file=self.file(broken))

    def test_a_credential_that_others_can_read_or_that_is_none(self) -> None:
        assert "run `chmod 600" in self.complaint(url=URL, bearer_file=self.file("word", 0o644))
        assert "can't be opened: No such file" in self.complaint(url=URL, bearer_file="/nowhere")
        for content in ("", "\n", "two\nlines", "x" * 5000, "é", "\0"):
            said = self.complaint(url=URL, client_id="imd", client_secret_file=self.file(content))
            assert "was expected to be one line" in said
