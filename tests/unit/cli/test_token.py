"""`imctl token`: what it prints, and what it says where it can't."""

import os
import tempfile
import time
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from imd.cli.main import main
from imd.model import Identity
from imd.ports.sso import LoginAttempt
from imd.sso.jwt import JwtSso
from imd.sso.keys import secret_key
from imd.sso.secret import load_or_create


class TokenTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data = Path(folder.name)

    def imctl(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["token", *arguments, "--data", str(self.data)])

    def identity(self, *arguments: str, uid: int = 5) -> Identity:
        """Return whom the token printed for ``arguments`` belongs to."""
        secret = load_or_create(self.data / "token.secret", True, os.urandom)
        result = self.imctl(*arguments)
        assert result.exit_code == 0, result.output
        token = result.stdout.removesuffix("\n")
        return self.successResultOf(
            Deferred.fromCoroutine(JwtSso(secret_key(secret), time.time).verify(LoginAttempt(uid, token)))
        )

    def test_the_token_is_all_that_is_printed(self) -> None:
        assert not self.identity("5").is_admin

    def test_a_token_is_good_for_thirty_days_unless_told(self) -> None:
        day = 86_400
        assert abs(self.identity("5").expires - time.time() - 30 * day) < 60
        assert abs(self.identity("5", "--days", "1").expires - time.time() - day) < 60

    def test_a_token_may_carry_a_name_and_an_admins_rights(self) -> None:
        identity = self.identity("5", "--name", "李", "--admin")
        assert (identity.name, identity.is_admin) == ("李", True)

    def test_without_a_secret_it_says_where_it_looked(self) -> None:
        result = self.imctl("5")
        assert (result.exit_code, result.stdout) == (1, "")
        assert f"There is no token secret {self.data}/token.secret: start the daemon first" in result.stderr
        assert not list(self.data.iterdir())

    def test_a_bad_configuration_ends_with_78_and_a_sentence(self) -> None:
        file = self.data / "imd.toml"
        file.write_text("[sever]")
        result = self.imctl("5", "--config", str(file))
        assert result.exit_code == 78
        assert result.stderr == f"Error: {file}: the section [sever] is unknown: did you mean server?\n"

    def test_a_uid_is_a_positive_number(self) -> None:
        for uid in ("0", str(2**63), "x"):
            assert self.imctl(uid).exit_code == 2

    def test_a_name_has_to_be_text(self) -> None:
        result = self.imctl("5", "--name", "\udcff")
        assert (result.exit_code, "it is not UTF-8" in result.stderr) == (2, True)
