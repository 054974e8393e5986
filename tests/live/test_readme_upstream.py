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
from .daemon import Daemon, clean_environment
from .test_imctl import IMCTL

README = Path(__file__).resolve().parents[2] / "README.md"
SECTION = README.read_text().partition("\n## What clients report (upstream)\n")[2].partition("\n## ")[0]
WITHIN = 30.0


class Example:
    """The files of the README's section in a folder, with other ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.shop, self.order = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
        (secret,) = re.findall(r"^\(umask .*openssl.*$", SECTION, re.MULTILINE)
        subprocess.run(["sh", "-c", secret], cwd=folder, check=True)
        self.api_port = free_port()
        (config,) = re.findall(r"<<'END'\n(.*?)END\n", SECTION, re.DOTALL)
        self.config = self._here(config).replace("orders.secret", str(folder / "orders.secret"))
        self._running: list[subprocess.Popen[bytes]] = []
        self._orders: list[subprocess.Popen[str]] = []

    def make_key(self, daemon: Daemon) -> None:
        made = subprocess.run(
            [*IMCTL, "apikey", "create", "shop", "--scope", "notices", "--data", str(daemon.data)],
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        (self.folder / "shop.key").write_text(made.stdout)

    def start_shop(self) -> None:
        (self.folder / "shop.py").write_text(self._here(self.shop))
        with (self.folder / "shop.log").open("ab") as log:
            self._running.append(
                subprocess.Popen([sys.executable, "shop.py"], cwd=self.folder, stdout=log, stderr=subprocess.DEVNULL)
            )

    def stop_shop(self) -> None:
        for shop in self._running:
            shop.kill()
            shop.wait()
        self._running.clear()

    def place_order(self, daemon: Daemon) -> "subprocess.Popen[str]":
        """Start the client, and return it once the order is placed."""
        (self.folder / "order.py").write_text(self.order.replace("7650", str(daemon.port)))
        order = subprocess.Popen(
            [sys.executable, "order.py", daemon.token(7)],
            cwd=self.folder,
            env=clean_environment() | {"PYTHONPATH": str(README.parent)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._orders.append(order)
        assert order.stdout is not None
        assert order.stdout.readline() == "ordered\n"
        return order

    def close(self) -> None:
        self.stop_shop()
        for order in self._orders:
            order.kill()
            order.communicate()

    def _here(self, text: str) -> str:
        return text.replace("8080", str(self.port)).replace("7680", str(self.api_port))

    def orders(self) -> list[str]:
        return (self.folder / "shop.log").read_text().splitlines()


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Example]:
    example = Example(tmp_path)
    yield example
    example.close()


@ensureDeferred
async def test_an_order_is_answered_with_a_notice_also_when_the_shop_was_away(
    start_daemon: StartDaemon, example: Example
) -> None:
    daemon = start_daemon(config=example.config)
    example.make_key(daemon)
    example.start_shop()
    sold = 'sold: {"item": 17}\n'
    assert example.place_order(daemon).communicate(timeout=WITHIN)[0] == sold
    example.stop_shop()
    order = example.place_order(daemon)
    example.start_shop()
    assert order.communicate(timeout=WITHIN)[0] == sold
    assert example.orders() == ['uid 7 orders {"item": 17}'] * 2
