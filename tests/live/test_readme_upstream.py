"""The README's business and its client run as they stand there, but for their ports."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred

from imd.cli.bench.daemon import free_port

from .conftest import StartDaemon
from .daemon import clean_environment
from .device import until

README = Path(__file__).resolve().parents[2] / "README.md"
SECTION = README.read_text().partition("\n## What clients report (upstream)\n")[2].partition("\n## ")[0]
WITHIN = 30.0


class Example:
    """The files of the README's section in a folder, with other ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.shop, self.order = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
        (secret,) = re.findall(r"^\(umask .*$", SECTION, re.MULTILINE)
        subprocess.run(["sh", "-c", secret], cwd=folder, check=True)
        (config,) = re.findall(r"<<'END'\n(.*?)END\n", SECTION, re.DOTALL)
        self.config = config.replace("8080", str(self.port)).replace("orders.secret", str(folder / "orders.secret"))
        self._running: list[subprocess.Popen[bytes]] = []

    def start_shop(self) -> None:
        (self.folder / "shop.py").write_text(self.shop.replace("8080", str(self.port)))
        with (self.folder / "shop.log").open("ab") as log:
            self._running.append(
                subprocess.Popen([sys.executable, "shop.py"], cwd=self.folder, stdout=log, stderr=subprocess.DEVNULL)
            )

    def stop_shop(self) -> None:
        for shop in self._running:
            shop.kill()
            shop.wait()
        self._running.clear()

    def place_order(self, port: int, token: str) -> str:
        (self.folder / "order.py").write_text(self.order.replace("7650", str(port)))
        done = subprocess.run(
            [sys.executable, "order.py", token],
            cwd=self.folder,
            env=clean_environment() | {"PYTHONPATH": str(README.parent)},
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def orders(self) -> list[str]:
        return (self.folder / "shop.log").read_text().splitlines()


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Example]:
    example = Example(tmp_path)
    yield example
    example.stop_shop()


@ensureDeferred
async def test_an_order_reaches_the_shop_also_when_that_was_away(start_daemon: StartDaemon, example: Example) -> None:
    daemon = start_daemon(config=example.config)
    example.start_shop()
    expected = 'uid 7 orders {"item": 17}'
    assert example.place_order(daemon.port, daemon.token(7)) == "ordered\n"
    await until(lambda: example.orders() == [expected])
    example.stop_shop()
    assert example.place_order(daemon.port, daemon.token(7)) == "ordered\n"
    example.start_shop()
    await until(lambda: example.orders() == [expected] * 2)
