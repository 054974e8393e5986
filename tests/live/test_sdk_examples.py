"""The README's examples of the SDK, as they stand there."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import NewUid
from .daemon import Daemon, clean_environment

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text().split("\n## Client SDK\n")[1].split("\n## ")[0]
ECHO, BRIDGE, ASYNCIO = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
WITHIN = 60.0


def command(folder: Path, program: str, daemon: Daemon, uid: int, *arguments: object) -> list[str]:
    """Return what runs an example as a user."""
    folder.mkdir(exist_ok=True)
    (folder / "program.py").write_text(program)
    server = f"tcp:127.0.0.1:{daemon.port}"
    return [sys.executable, "program.py", server, str(uid), daemon.token(uid), *map(str, arguments)]


def run(folder: Path, program: str, daemon: Daemon, uid: int, *arguments: object, typed: str = "") -> str:
    ended = subprocess.run(
        command(folder, program, daemon, uid, *arguments),
        cwd=folder,
        env=clean_environment() | {"PYTHONPATH": str(ROOT)},
        input=typed,
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    return ended.stdout


@pytest.fixture
def bot(daemon: Daemon, new_uid: NewUid, tmp_path: Path) -> Iterator[int]:
    """The uid of an echo bot that runs."""
    uid = new_uid()
    with subprocess.Popen(
        command(tmp_path / "bot", ECHO, daemon, uid),
        cwd=tmp_path / "bot",
        env=clean_environment() | {"PYTHONPATH": str(ROOT)},
    ) as process:
        yield uid
        process.terminate()
        assert process.wait(WITHIN) == 0


def test_the_echo_bot_has_fifteen_lines_that_do_something() -> None:
    lines = [line for line in ECHO.splitlines() if line.strip()]
    assert len(lines) <= 15


def test_the_asyncio_program_hears_the_echo_bot(daemon: Daemon, bot: int, new_uid: NewUid, tmp_path: Path) -> None:
    assert run(tmp_path / "asyncio", ASYNCIO, daemon, new_uid(), bot) == "echo: hello\n"


def test_the_bridge_sends_every_line_and_ends(daemon: Daemon, new_uid: NewUid, tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(1, 31)]
    shown = run(tmp_path / "bridge", BRIDGE, daemon, new_uid(), new_uid(), typed="".join(f"{line}\n" for line in lines))
    assert shown.splitlines() == [f"{number} {line}" for number, line in enumerate(lines, 1)]
