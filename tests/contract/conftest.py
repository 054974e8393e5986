"""Every implementation of every port: a new one is added here, and all suites run over it."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from imd.ports.presence import IPresence
from imd.ports.sso import ISso
from imd.presence.memory import MemoryPresence
from imd.sso.jwt import JwtSso, issue
from imd.storage.store import SqlStore

from .subject import Place, Subject, Time

SECRET = b"5f1d0a7c93be4286d1e05b3c7a9f2468"


class SqlitePlace:
    """SQLite in a folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "imd.sqlite"

    def open(self, time: Time, **settings: Any) -> SqlStore:
        defaults = {"gap": 0.0, "max_pending": 1000, "readers": 2, "cache_mib": 2, "max_body": 1024 * 1024}
        return SqlStore(reactor, self._path, time.now, **{**defaults, **settings})

    def fill(self, store: SqlStore) -> None:
        self._pragma(store, f"max_page_count = {self._pragma(store, 'page_count')}")

    def empty(self, store: SqlStore) -> None:
        self._pragma(store, "max_page_count = 1000000")

    def _pragma(self, store: SqlStore, pragma: str) -> Any:
        # A limit of the writer's own connection, which does nothing while this runs.
        connection: Any = store._commit.connection.connection.dbapi_connection
        return connection.execute(f"PRAGMA {pragma}").fetchone()[0]


PLACES: dict[str, type[SqlitePlace]] = {"sqlite": SqlitePlace}


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a store was once, copied for each test to save it the migrations."""
    folder = tmp_path_factory.mktemp("started")
    store = SqlitePlace(folder).open(Time())
    store._commit.close()
    store._engine.dispose()
    return folder


@pytest.fixture(params=sorted(PLACES))
def place(request: pytest.FixtureRequest, started: Path, tmp_path: Path) -> Place:
    """Where a store keeps its data, one for each implementation."""
    shutil.copytree(started, tmp_path, dirs_exist_ok=True)
    return PLACES[request.param](tmp_path)


@pytest.fixture
def subject(place: Place) -> Iterator[Subject]:
    """An open store, one for each implementation."""
    subject = Subject(place)
    subject.open()
    yield subject
    pytest_twisted.blockon(Deferred.fromCoroutine(subject.close()))


@pytest.fixture(params=["memory"])
def presence(request: pytest.FixtureRequest) -> IPresence:
    """Presence without anybody in it, one for each implementation."""
    return {"memory": MemoryPresence}[request.param]()


class JwtTokens:
    """Tokens of the shared secret."""

    def __init__(self) -> None:
        self.now = 1_763_856_000.0
        self.sso: ISso = JwtSso(SECRET, 0, lambda: self.now)

    def token(self, uid: int, seconds: float = 60, **who: Any) -> str:
        return issue(SECRET, uid, self.now, seconds, **who)


@pytest.fixture(params=["jwt"])
def tokens(request: pytest.FixtureRequest) -> JwtTokens:
    """A login system and tokens of it, one for each implementation."""
    return {"jwt": JwtTokens}[request.param]()
