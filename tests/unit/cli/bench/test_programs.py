"""Where the programs of PostgreSQL and Redis are looked for."""

from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from imd.cli.bench import programs
from imd.cli.bench.wire import LoadError


class ProgramsTests(SynchronousTestCase):
    def setUp(self) -> None:
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name).resolve()
        self.debian = self.folder / "postgresql"
        self.path: dict[str, str] = {}
        self.patch(programs.shutil, "which", self.path.get)
        self.patch(programs, "_DEBIAN", self.debian)
        self.patch(programs, "find_spec", lambda _name: None)

    def install(self, folder: Path, *names: str) -> Path:
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).touch()
        return folder

    def test_what_is_on_path_goes_first(self) -> None:
        self.install(self.debian / "17/bin", "postgres", "initdb")
        mine = self.install(self.folder / "mine", "postgres", "initdb")
        linked = self.install(self.folder / "linked") / "postgres"
        linked.symlink_to(mine / "postgres")
        self.path["postgres"] = str(linked)
        assert programs.postgresql() == mine

    def test_of_debians_the_newest_is_taken_that_is_whole(self) -> None:
        self.install(self.debian / "9/bin", "postgres", "initdb")
        newest = self.install(self.debian / "15/bin", "postgres", "initdb")
        self.install(self.debian / "17/bin", "psql")
        assert programs.postgresql() == newest

    def test_redis_is_the_one_on_path(self) -> None:
        self.path["redis-server"] = "/usr/bin/redis-server"
        assert programs.redis() == Path("/usr/bin/redis-server")

    def test_where_there_is_none_one_sentence_says_what_to_install(self) -> None:
        with self.assertRaises(LoadError) as missing:
            programs.postgresql()
        assert "apt-get install postgresql" in str(missing.exception)
        with self.assertRaises(LoadError) as missing:
            programs.redis()
        assert "apt-get install redis-server" in str(missing.exception)

    def test_without_any_the_package_carries_them(self) -> None:
        class Spec:
            submodule_search_locations = ("/site/package",)

        self.patch(programs, "find_spec", lambda _name: Spec)
        assert programs.postgresql() == Path("/site/package/pginstall18/bin")
        assert programs.redis() == Path("/site/package/bin/redis-server")
