"""What all tests stand on: the package they import is the one of this checkout."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.contract.rabbit_server import RabbitServer, require_rabbitmq
from tests.contract.webhook_server import WebhookServer

REINSTALL = "rm -rf build && .venv/bin/pip install '.[test]'"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Stop where the installed package is not what this checkout holds: its tests would say nothing about it."""
    checkout = session.config.rootpath / "imd"
    spec = find_spec("imd")
    installed = Path(spec.origin).parent if spec is not None and spec.origin is not None else None
    if installed is None or (installed.resolve() != checkout.resolve() and sources(installed) != sources(checkout)):
        pytest.exit(f"the installed imd is not the one of this checkout; run: {REINSTALL}", returncode=4)


def sources(package: Path) -> dict[str, bytes]:
    """Return the Python files of a package."""
    return {str(file.relative_to(package)): file.read_bytes() for file in package.rglob("*.py")}


@pytest.fixture(scope="session")
def rabbit() -> Iterator[RabbitServer]:
    """A RabbitMQ for tests that leave it running."""
    require_rabbitmq()
    with RabbitServer() as server:
        yield server


@pytest.fixture
def webhook() -> Iterator[WebhookServer]:
    """A server of a business."""
    with WebhookServer() as server:
        yield server
