"""Stopping: SIGTERM takes nobody in, tells the clients, finishes what was begun, and leaves with 0."""

import socket
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import DeferredList

from imd.wire.commands import Command

from .conftest import LogIn, NewUid, StartDaemon
from .daemon import STOPS_WITHIN, Daemon
from .device import Device, message, reactor
from .peer import Peer

RECEIVE_BUFFER = 64 * 1024


@ensureDeferred
async def test_clients_are_told_to_come_back_at_different_times(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    daemon = start_daemon()
    devices = [await log_in(daemon, new_uid()) for _ in range(10)]
    daemon.terminate()
    times = set()
    for device in devices:
        times.add((await device.told(Command.CLOSE_CHANNEL)).reconnect_after_ms)
        await device.end()
    assert len(times) > 1
    assert all(0 <= each <= 2000 for each in times)
    assert daemon.wait() == 0


@ensureDeferred
async def test_the_service_manager_is_told(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    daemon.terminate()
    daemon.await_notice("STOPPING=1", STOPS_WITHIN)
    assert daemon.wait() == 0
    assert daemon.notices == ["READY=1", "STOPPING=1"]


@ensureDeferred
async def test_what_was_begun_is_committed_and_acked(start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid) -> None:
    daemon = start_daemon()
    alice, uid = await log_in(daemon, new_uid()), new_uid()
    burst = [message(f"{n}", to=uid) for n in range(2000)]
    asked = [alice.connection.request(Command.IM_SEND_MSG, each) for each in burst]
    first = await asked[0]
    daemon.terminate()
    answers = await DeferredList(asked[1:], consumeErrors=True)
    acked = {ack.msg_id: ack.seq_id for ack in [first, *(ack for is_ok, ack in answers if is_ok)]}
    assert daemon.wait() == 0
    daemon.start()
    alice = await log_in(daemon, alice.uid)
    stored = {each.msg_id: each.seq_id for each in await alice.history(first.group_id)}
    assert stored == acked, "what was stored was ACKed, and what was ACKed was stored"


def deaf_peer(daemon: Daemon, uid: int) -> Peer:
    """Return a session that reads nothing of the megabytes that wait for it."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    narrow.connect(("127.0.0.1", daemon.port))
    peer = Peer(daemon, narrow)
    peer.login(uid)
    return peer


async def fill(alice: Device, uid: int) -> None:
    """Send more than the sockets between hold."""
    send_buffer = int(Path("/proc/sys/net/ipv4/tcp_wmem").read_text().split()[2])
    text = "x" * 64 * 1024
    for _ in range((send_buffer + 4 * RECEIVE_BUFFER) // len(text) + 8):
        await alice.say(text, to=uid)


@ensureDeferred
async def test_while_it_drains_nobody_new_is_taken_in(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    daemon = start_daemon(IMD_GATEWAY_MAX_UNSENT=64 * 1024 * 1024, IMD_DRAIN_SECONDS=60)
    uid = new_uid()
    with deaf_peer(daemon, uid) as deaf:
        alice = await log_in(daemon, new_uid())
        await fill(alice, uid)
        daemon.terminate()
        await alice.told(Command.CLOSE_CHANNEL)
        await alice.end()
        assert daemon.is_running
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", daemon.port), 5)
        deaf.await_close()  # it reads at last, which lets the daemon end
    assert daemon.wait() == 0


@ensureDeferred
async def test_who_never_reads_holds_up_the_end_no_longer_than_allowed(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    daemon = start_daemon(IMD_GATEWAY_MAX_UNSENT=64 * 1024 * 1024, IMD_DRAIN_SECONDS=0.5)
    uid = new_uid()
    with deaf_peer(daemon, uid):
        await fill(await log_in(daemon, new_uid()), uid)
        begun = reactor.seconds()
        daemon.terminate()
        assert daemon.wait() == 0
        assert reactor.seconds() - begun > 0.4


def test_a_second_sigterm_changes_nothing(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    daemon.terminate()
    daemon.terminate()
    assert daemon.wait() == 0


def test_the_lock_is_free_after_the_end_and_after_a_crash(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    daemon.terminate()
    assert daemon.wait() == 0
    assert (daemon.data / "imd.lock").read_text() == ""
    daemon.start().kill()
    daemon.start()
    assert int((daemon.data / "imd.lock").read_text()) == daemon.pid
