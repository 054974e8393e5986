"""Daemons and users for the live tests."""

import itertools
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_twisted

from .api import ApiDaemon
from .bystanders import Bystanders
from .cluster import Cluster
from .daemon import Daemon
from .device import ANDROID, LINUX, MAC, Device
from .peer import Peer
from .scene import Scene
from .users import Three, User

_uids = itertools.count(1001)

StartDaemon = Callable[..., Daemon]
LogIn = Callable[..., Awaitable[Device]]
LogInThree = Callable[[Daemon], Awaitable[Three]]
LogInBoth = Callable[[], Awaitable[User]]
NewUid = Callable[[], int]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with the default configuration, shared by a file's tests."""
    daemon = Daemon(tmp_path_factory.mktemp("daemon"))
    try:
        yield daemon.start()
    finally:
        daemon.close()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon for small groups and short absences, shared by all files that ask for it."""
    settings = {
        "IMD_GROUPS_MAX_MEMBERS": "6",
        "IMD_GROUPS_RECEIPT_MEMBERS": "5",
        "IMD_PRESENCE_GRACE_SECONDS": "1",
    }
    daemon = Daemon(tmp_path_factory.mktemp("shared"), settings)
    try:
        yield daemon.start()
    finally:
        daemon.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiDaemon]:
    """A daemon with the HTTP API, shared by a file's tests."""
    served = ApiDaemon(tmp_path_factory.mktemp("served"))
    try:
        yield served.start()
    finally:
        served.close()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Two nodes with the module's SETTINGS, shared by its tests."""
    with Cluster(tmp_path_factory.mktemp("cluster"), getattr(request.module, "SETTINGS", {})) as cluster:
        yield cluster


@pytest_twisted.async_fixture
async def cluster(servers: Cluster) -> Cluster:
    """Those two, once they reach each other."""
    return await servers.joined()


@pytest.fixture
def log_in_both(cluster: Cluster, log_in: LogIn, new_uid: NewUid) -> LogInBoth:
    """Logs a user in: with the phone on the first node, at the desk on the second one."""

    async def log_in_both() -> User:
        uid = new_uid()
        return User(await log_in(cluster.one, uid, ANDROID), await log_in(cluster.two, uid, MAC))

    return log_in_both


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[StartDaemon]:
    """Starts a daemon of the test's own; keyword arguments as Daemon's, variables as theirs."""
    daemons: list[Daemon] = []

    def start(*, endpoint: str = "", config: str = "", under: tuple[str, ...] = (), **variables: object) -> Daemon:
        settings = {name: str(value) for name, value in variables.items()}
        folder = tmp_path / f"daemon{len(daemons)}"
        daemons.append(Daemon(folder, settings, endpoint=endpoint, config=config, under=under))
        return daemons[-1].start()

    yield start
    for daemon in daemons:
        daemon.close()


@pytest.fixture
def new_uid() -> NewUid:
    """Gives uids that no other test has."""
    return lambda: next(_uids)


@pytest.fixture
def log_in() -> Iterator[LogIn]:
    """Logs devices in, and drops their connections after the test."""
    devices: list[Device] = []

    async def log_in(daemon: Daemon, uid: int, client_type: int = LINUX, *, token: str = "") -> Device:
        device = Device(uid, client_type)
        devices.append(device)
        await device.login(daemon, token)
        return device

    yield log_in
    for device in devices:
        if not device.closed.called:
            device.connection.drop("the test is over")


@pytest.fixture
def log_in_three(log_in: LogIn, new_uid: NewUid) -> LogInThree:
    """Logs three users in, on two devices each."""

    async def log_in_user(daemon: Daemon) -> User:
        uid = new_uid()
        return User(await log_in(daemon, uid, ANDROID), await log_in(daemon, uid, MAC))

    async def log_in_three(daemon: Daemon) -> Three:
        return await log_in_user(daemon), await log_in_user(daemon), await log_in_user(daemon)

    return log_in_three


@pytest.fixture(scope="module")
def bystanders(daemon: Daemon) -> Iterator[Bystanders]:
    """Uids 11 and 12, who chat with each other."""
    bystanders = Bystanders(daemon, 11, 12)
    yield bystanders
    bystanders.close()


@pytest.fixture
def nobody_else_is_harmed(bystanders: Bystanders, daemon: Daemon) -> Iterator[None]:
    """The bystanders chat before a test and after it, and nothing failed meanwhile."""
    bystanders.chat()
    yield
    bystanders.chat()
    assert "Traceback" not in daemon.log


@pytest.fixture
def stranger(daemon: Daemon) -> Iterator[Peer]:
    """A connection that has not logged in."""
    with Peer(daemon) as peer:
        yield peer


@pytest.fixture
def user(stranger: Peer, new_uid: NewUid) -> Peer:
    """A connection that has."""
    stranger.login(new_uid())
    return stranger


@pytest.fixture(scope="module")
def scene(daemon: Daemon) -> Iterator[Scene]:
    """Uids 101 the owner, 102 muted, 103 who has left, 104 the stranger."""
    uids = iter(range(101, 105))
    scene = Scene(daemon, lambda: next(uids))
    yield scene
    scene.close()


@pytest.fixture
def nothing_changes(scene: Scene) -> Iterator[None]:
    """What the four of the scene see is the same before a test and after it."""
    before = scene.view()
    yield
    assert scene.view() == before
