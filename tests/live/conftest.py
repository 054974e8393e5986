"""Daemons and users for the live tests."""

import itertools
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from .daemon import Daemon
from .device import LINUX, Device

_uids = itertools.count(1001)

StartDaemon = Callable[..., Daemon]
LogIn = Callable[..., Awaitable[Device]]
NewUid = Callable[[], int]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with the default configuration, shared by a file's tests."""
    daemon = Daemon(tmp_path_factory.mktemp("daemon"))
    try:
        yield daemon.start()
    finally:
        daemon.close()


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[StartDaemon]:
    """Starts a daemon of the test's own; keyword arguments as Daemon's, variables as theirs."""
    daemons: list[Daemon] = []

    def start(*, endpoint: str = "", under: tuple[str, ...] = (), **variables: object) -> Daemon:
        settings = {name: str(value) for name, value in variables.items()}
        daemons.append(Daemon(tmp_path / f"daemon{len(daemons)}", settings, endpoint=endpoint, under=under))
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
