"""`imctl apikey`: a key is told once, and what is kept is enough to know it again."""

import json
import tempfile
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from imd.cli.main import main
from imd.http.scopes import Scope
from imd.storage.open import upgrade


class ApiKeyTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data = Path(folder.name)
        upgrade(f"sqlite:///{self.data / 'imd.sqlite'}", "")

    def imctl(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["apikey", *arguments, "--data", str(self.data)], env={"COLUMNS": "200"})

    def create(self, *arguments: str) -> str:
        result = self.imctl("create", *arguments)
        assert result.exit_code == 0, result.output
        return result.stdout.strip()

    def test_a_key_is_printed_alone_and_listed_without_its_secret(self) -> None:
        key = self.create("shop", "--scope", "notices", "--scope", "users:read", "--days", "2", "--per-second", "5")
        [listed] = json.loads(self.imctl("list", "--json").stdout)
        assert key.startswith(f"imd_{listed['prefix']}_")
        assert (listed["name"], listed["scopes"], listed["per_second"]) == ("shop", ["notices", "users:read"], 5)
        assert listed["expires"] - listed["created"] == 2 * 86_400_000
        assert key.split("_")[2] not in self.imctl("list").stdout
        assert key.split("_")[2].encode() not in (self.data / "imd.sqlite").read_bytes()

    def test_all_are_the_scopes_that_there_are(self) -> None:
        made = json.loads(self.create("ops", "--all", "--json"))
        assert made["scopes"] == [scope.value for scope in Scope]
        assert made["key"].startswith("imd_")

    def test_it_has_to_be_said_what_a_key_may(self) -> None:
        assert self.imctl("create", "x").exit_code == 2
        assert self.imctl("create", "x", "--all", "--scope", "tokens").exit_code == 2
        assert self.imctl("create", "x", "--scope", "everything").exit_code == 2
        assert self.imctl("list").stdout == "There are no keys.\n"

    def test_a_key_is_revoked_by_its_prefix(self) -> None:
        key = self.create("shop", "--scope", "notices")
        for name in (key.split("_")[1], f"imd_{key.split('_')[1]}"):
            assert self.imctl("revoke", name).exit_code == 0
        assert "revoked" in self.imctl("list").stdout
        assert self.imctl("revoke", "unknown").exit_code == 1

    def test_without_a_database_it_says_what_to_do(self) -> None:
        (self.data / "imd.sqlite").unlink()
        result = self.imctl("list")
        assert result.exit_code == 78
        assert "start the daemon once" in result.output
