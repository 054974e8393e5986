"""The ACK follows the disk: a killed process proves no fsync, so the system calls are watched."""

import os
import re
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from imd.wire.commands import Command
from imd.wire.packet import ACK, encode

from .conftest import NewUid, StartDaemon
from .device import message, new_id
from .peer import Peer

SYNCS = ("fdatasync", "fsync")
CALLS = ",".join((*SYNCS, "pwrite64", "sendto"))
MESSAGES = 20
_LINE = re.compile(r"(?P<thread>\d+) +(?P<call>\w+)\((?P<rest>.*)")
_RESUMED = re.compile(r"(?P<thread>\d+) +<\.\.\. (?P<call>\w+) resumed>(?P<rest>.*)")


class Call(NamedTuple):
    """One system call: the lines of the trace at which it began and returned."""

    name: str
    begun: int
    returned: int
    text: str


def calls_of(trace: str) -> list[Call]:
    """Parse what `strace -f` has written; a call that another thread interrupted is put together again."""
    calls: list[Call] = []
    unfinished: dict[tuple[str, str], tuple[int, str]] = {}
    for number, line in enumerate(trace.splitlines()):
        if begun := _LINE.match(line):
            key = (begun["thread"], begun["call"])
            if line.endswith("<unfinished ...>"):
                unfinished[key] = (number, begun["rest"])
            else:
                calls.append(Call(begun["call"], number, number, begun["rest"]))
        elif resumed := _RESUMED.match(line):
            at, rest = unfinished.pop((resumed["thread"], resumed["call"]))
            calls.append(Call(resumed["call"], at, number, rest + resumed["rest"]))
    return calls


def in_hex(data: bytes) -> str:
    """Return how `strace -xx` writes ``data``."""
    return "".join(f"\\x{byte:02x}" for byte in data)


@pytest.fixture
def strace() -> str:
    """The path of strace; without it the promise stays untested, which CI doesn't let pass."""
    path = shutil.which("strace")
    if path is None:
        reason = "NOT TESTED that a message is on disk before its ACK leaves: install strace"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def test_the_log_is_on_disk_before_the_ack_is_sent(
    start_daemon: StartDaemon, new_uid: NewUid, tmp_path: Path, strace: str
) -> None:
    trace_file = tmp_path / "trace"
    # -D: the daemon is our child and strace its grandchild, so that our signals reach the daemon.
    options = f"-D -f -y -xx -s 5000 -e trace={CALLS} -e signal=none -o {trace_file}"
    daemon = start_daemon(under=(strace, *options.split()))
    msg_ids = [new_id() for _ in range(MESSAGES)]
    with Peer(daemon) as sender:
        sender.login(new_uid())
        to = new_uid()
        for msg_id in msg_ids[: MESSAGES // 2]:  # each alone, so that each has a commit of its own
            assert sender.ask(Command.IM_SEND_MSG, message("durable?", to=to, msg_id=msg_id)).result == 0
        trace_ids = [
            sender.send(Command.IM_SEND_MSG, message("durable?", to=to, msg_id=msg_id).SerializeToString())
            for msg_id in msg_ids[MESSAGES // 2 :]
        ]
        for trace_id in trace_ids:
            assert sender.answer(trace_id).result == 0
    daemon.terminate()
    assert daemon.wait() == 0

    calls = calls_of(whole(trace_file, daemon.pid))
    header = in_hex(encode(Command.IM_SEND_MSG, 0, b"", ACK)[:6])
    for msg_id in msg_ids:
        wanted = in_hex(msg_id.encode())
        [ack] = [call for call in calls if call.name == "sendto" and header in call.text and wanted in call.text]
        logged = [call for call in calls if call.name == "pwrite64" and is_wal(call) and wanted in call.text]
        assert logged, "the message was never written to the log"
        # The first commit that holds it: its log written, then synced, then the ACK begun.
        written = logged[0].returned
        synced = [call for call in calls if call.name in SYNCS and is_wal(call) and call.begun > written]
        assert synced
        assert synced[0].text.endswith("= 0")
        assert synced[0].returned < ack.begun, "the ACK left before the log was on disk"


def is_wal(call: Call) -> bool:
    """Whether the call is about SQLite's write-ahead log."""
    return in_hex(b"imd.sqlite-wal") in call.text


def whole(trace_file: Path, pid: int) -> str:
    """Return the trace, once strace has written the end of it."""
    deadline = time.monotonic() + 10
    while True:
        trace = trace_file.read_text()
        if re.search(rf"^{pid} +\+\+\+ exited", trace, re.MULTILINE):
            return trace
        assert time.monotonic() < deadline, "strace has not finished"
        time.sleep(0.01)
