"""`imctl db` on SQLite: the versions it tells, and what it says where it can't."""

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from imd.cli.main import main
from imd.node import DataLock
from imd.storage import version


class DbTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data = Path(folder.name)
        self.needed = version.needed()

    def imctl(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["db", *arguments])

    def db(self, command: str) -> Result:
        return self.imctl(command, "--data", str(self.data))

    def mark(self, found: str) -> None:
        with closing(sqlite3.connect(self.data / "imd.sqlite")) as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", (found,))
            connection.commit()

    def locked(self) -> None:
        lock = DataLock(self.data)
        lock.acquire(os.getpid())
        self.addCleanup(lock.release)

    def test_an_upgrade_makes_the_schema_where_there_is_none(self) -> None:
        result = self.db("upgrade")
        assert (result.exit_code, result.stdout) == (
            0,
            f"The database was empty and is of version {self.needed} now.\n",
        )
        assert self.db("current").stdout == f"The database is of version {self.needed}, as this imd needs it.\n"

    def test_an_upgrade_of_what_is_up_to_date_changes_nothing(self) -> None:
        self.db("upgrade")
        assert self.db("upgrade").stdout == f"The database is of version {self.needed} already.\n"

    def test_an_older_version_is_told(self) -> None:
        self.db("upgrade")
        self.mark("0001")
        result = self.db("current")
        assert result.exit_code == 0
        assert result.stdout == (
            f"The database is of version 0001, and this imd needs {self.needed}: run imctl db upgrade.\n"
        )

    def test_a_newer_version_ends_with_75(self) -> None:
        self.db("upgrade")
        self.mark("9999")
        for command in ("current", "upgrade"):
            result = self.db(command)
            assert (result.exit_code, result.stdout) == (75, "")
            assert "is of version 9999, which a later imd has made" in result.stderr

    def test_looking_makes_no_database(self) -> None:
        assert "The database has no schema yet" in self.db("current").stdout
        assert not list(self.data.iterdir())

    def test_a_database_in_use_is_not_upgraded(self) -> None:
        self.locked()
        result = self.db("upgrade")
        assert (result.exit_code, result.stdout) == (1, "")
        assert f"another imd (pid {os.getpid()}) already runs on the data in {self.data}" in result.stderr
        assert not (self.data / "imd.sqlite").exists()

    def test_a_database_in_use_is_not_copied(self) -> None:
        self.locked()
        result = self.imctl("copy", str(self.data), "postgresql://imd@nowhere.invalid/imd")
        assert (result.exit_code, result.stdout) == (1, "")
        assert f"another imd (pid {os.getpid()}) already runs on the data in {self.data}" in result.stderr

    def test_the_lock_is_given_back(self) -> None:
        self.db("upgrade")
        self.locked()

    def test_what_is_no_database_ends_with_75(self) -> None:
        (self.data / "imd.sqlite").write_bytes(b"no database" * 1000)
        for command in ("current", "upgrade"):
            result = self.db(command)
            assert (result.exit_code, result.stdout) == (75, "")
            assert "can't be used: file is not a database" in result.stderr

    def test_a_missing_folder_ends_with_78(self) -> None:
        result = self.imctl("upgrade", "--data", str(self.data / "missing"))
        assert result.exit_code == 78
        assert f"The data folder {self.data}/missing can't be written" in result.stderr

    def test_a_copy_goes_to_postgresql_only(self) -> None:
        result = self.imctl("copy", str(self.data), "mysql://imd:secret@host/imd")
        assert result.exit_code == 78
        assert "The copy can only go to PostgreSQL" in result.stderr
        assert "secret" not in result.stderr
