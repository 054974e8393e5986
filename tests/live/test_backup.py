"""Other processes that read the database of a running daemon, as a backup does."""

import sqlite3
from contextlib import closing
from pathlib import Path

from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from .conftest import LogIn, NewUid, StartDaemon
from .daemon import Daemon
from .device import reactor

SECONDS = 1.5
"""Time enough for a look at the log, which the store takes each second."""

IN_USE = 128
"""The byte of the index that everybody who uses it has locked."""


def is_in_use(daemon: Daemon) -> bool:
    """Whether the daemon holds the lock that keeps others from resetting the log's index (SQLite's os_unix.c)."""
    index = (daemon.data / "imd.sqlite-shm").stat().st_ino
    locks = [line.split()[4:8] for line in Path("/proc/locks").read_text().splitlines()]
    return any(
        pid == str(daemon.pid) and file.endswith(f":{index}") and first == str(IN_USE) for pid, file, first, _ in locks
    )


@ensureDeferred
async def test_who_reads_the_database_meanwhile_sees_what_was_acked_and_harms_nothing(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    daemon = start_daemon()
    alice, uid = await log_in(daemon, new_uid()), new_uid()
    acked = [await alice.say("first", to=uid)]
    until = reactor.seconds() + SECONDS

    def read_again_and_again() -> None:
        while reactor.seconds() < until:
            before = len(acked)
            with closing(sqlite3.connect(daemon.data / "imd.sqlite")) as reader:
                [(count,)] = reader.execute("SELECT count(*) FROM x_message")
            assert count >= before

    reading = deferToThread(read_again_and_again)
    while reactor.seconds() < until:
        acked.append(await alice.say(f"{len(acked)}", to=uid))
    await reading
    assert is_in_use(daemon)
    daemon.kill()
    daemon.start()
    alice = await log_in(daemon, alice.uid)
    stored = await alice.history(acked[0].group_id)
    assert [each.msg_id for each in stored] == [ack.msg_id for ack in acked]
