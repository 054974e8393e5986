"""Every implementation of every port: a new one is added here, and all suites run over it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from imd.ports.presence import IPresence
from imd.presence.memory import MemoryPresence
from imd.storage.postgresql import PostgresqlDatabase, address, upgrade
from imd.storage.schema import metadata
from imd.storage.sqlite import SqliteDatabase
from imd.storage.store import SqlStore
from imd.wire.enums import SYSTEM_GROUP

from .postgres_server import PostgresServer
from .redis_node import Node, TwoNodes
from .redis_server import RedisServer
from .sso_sources import REMOTE, SOURCES, RemoteTokens, Tokens
from .subject import Place, Subject, Time


class SqlitePlace:
    """SQLite in a folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "imd.sqlite"

    def open(self, time: Time, **settings: Any) -> SqlStore:
        defaults = {"gap": 0.0, "max_pending": 1000, "readers": 2, "max_body": 1024 * 1024}
        return SqlStore(reactor, SqliteDatabase(self._path, 4, 2), time.now, **{**defaults, **settings})

    def fill(self, store: SqlStore) -> None:
        self._pragma(store, f"max_page_count = {self._pragma(store, 'page_count')}")

    def empty(self, store: SqlStore) -> None:
        self._pragma(store, "max_page_count = 1000000")

    def _pragma(self, store: SqlStore, pragma: str) -> Any:
        # A limit of the writer's own connection, which does nothing while this runs.
        connection: Any = store._commit.connection.connection.dbapi_connection
        return connection.execute(f"PRAGMA {pragma}").fetchone()[0]


class PostgresPlace:
    """A database of a PostgreSQL server."""

    def __init__(self, server: PostgresServer, name: str = "imd") -> None:
        self.server = server
        self.name = name
        self._was_full = False

    def open(self, time: Time, **settings: Any) -> SqlStore:
        defaults = {"gap": 0.0, "max_pending": 1000, "readers": 2, "max_body": 1024 * 1024}
        url = address(self.server.url(self.name), "")
        database = PostgresqlDatabase(url, 2, settings.pop("timeout", 5.0))
        return SqlStore(reactor, database, time.now, **{**defaults, **settings})

    def fill(self, store: SqlStore) -> None:
        self._set_read_only(store, "on")

    def empty(self, store: SqlStore) -> None:
        self._set_read_only(store, "off")

    def clean(self) -> None:
        """Leave it as the migrations have made it."""
        if self._was_full:
            self.server.ask(f"ALTER DATABASE {self.name} RESET default_transaction_read_only")
        statements = [f"DELETE FROM {table}" for table in metadata.tables]
        statements += [f"INSERT INTO x_group (group_id, group_type) VALUES ('{SYSTEM_GROUP}', 3)"]
        self.server.ask("; ".join(statements), self.name)

    def _set_read_only(self, store: SqlStore, state: str) -> None:
        self._was_full = True
        # Of connections to come, and of the writer's own, which does nothing while this runs.
        self.server.ask(f"ALTER DATABASE {self.name} SET default_transaction_read_only = {state}")
        connection: Any = store._commit.connection.connection.dbapi_connection
        connection.cursor().execute(f"SET SESSION default_transaction_read_only = {state}")
        connection.commit()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL, whose database ``imd`` has been upgraded."""
    with PostgresServer() as server:
        server.ask("CREATE DATABASE imd")
        upgrade(address(server.url("imd"), ""))
        yield server


def _sqlite(request: pytest.FixtureRequest) -> SqlitePlace:
    folder: Path = request.getfixturevalue("tmp_path")
    shutil.copytree(request.getfixturevalue("started"), folder, dirs_exist_ok=True)
    return SqlitePlace(folder)


def _postgresql(request: pytest.FixtureRequest) -> PostgresPlace:
    place = PostgresPlace(request.getfixturevalue("postgres"))
    request.addfinalizer(place.clean)
    return place


PLACES: dict[str, Callable[[pytest.FixtureRequest], Place]] = {"postgresql": _postgresql, "sqlite": _sqlite}


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a store was once, copied for each test to save it the migrations."""
    folder = tmp_path_factory.mktemp("started")
    store = SqlitePlace(folder).open(Time())
    store._commit.close()
    store._database.stop()
    return folder


@pytest.fixture(params=sorted(PLACES))
def place(request: pytest.FixtureRequest) -> Place:
    """Where a store keeps its data, one for each implementation."""
    return PLACES[request.param](request)


@pytest.fixture
def subject(place: Place) -> Iterator[Subject]:
    """An open store, one for each implementation."""
    subject = Subject(place)
    subject.open()
    yield subject
    pytest_twisted.blockon(Deferred.fromCoroutine(subject.close()))


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis for tests that leave it running."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(shared_redis: RedisServer) -> Iterator[RedisServer]:
    """A Redis without anything in it."""
    shared_redis.ask("FLUSHALL")
    yield shared_redis
    shared_redis.resume()


NewNode = Callable[..., Node]


@pytest.fixture
def new_node(redis: RedisServer) -> Iterator[NewNode]:
    """Make nodes of this Redis, not started; they are stopped after the test."""
    made: list[Node] = []

    def new_node(name: str = "imd1", *, url: str = redis.url, **settings: Any) -> Node:
        made.append(Node(url, name, **settings))
        return made[-1]

    yield new_node
    for node in made:
        pytest_twisted.blockon(Deferred.fromCoroutine(node.stop()))


@pytest.fixture(params=["memory", "redis"])
def presence(request: pytest.FixtureRequest) -> Iterator[IPresence]:
    """Presence without anybody in it, one for each implementation; ``imd1`` is this node, ``imd2`` another."""
    if request.param == "memory":
        yield MemoryPresence()
        return
    nodes = TwoNodes(request.getfixturevalue("redis").url)
    pytest_twisted.blockon(Deferred.fromCoroutine(nodes.start()))
    yield nodes
    pytest_twisted.blockon(Deferred.fromCoroutine(nodes.stop()))


@pytest.fixture(params=sorted(SOURCES))
def tokens(request: pytest.FixtureRequest) -> Iterator[Tokens]:
    """A login system and tokens of it, one for each implementation."""
    tokens = SOURCES[request.param]()
    yield tokens
    pytest_twisted.blockon(Deferred.fromCoroutine(tokens.stop()))


@pytest.fixture(params=sorted(REMOTE))
def remote(request: pytest.FixtureRequest) -> Iterator[RemoteTokens]:
    """A login system that is asked over HTTP, one for each implementation."""
    tokens = REMOTE[request.param]()
    yield tokens
    pytest_twisted.blockon(Deferred.fromCoroutine(tokens.stop()))
