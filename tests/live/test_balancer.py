"""Behind a balancer that says by the PROXY protocol whose connection it passes on."""

import socket
import struct
from collections.abc import Callable

import pytest

from imd.wire.commands import Command
from imd.wire.packet import encode
from imd.wire.results import Result

from .conftest import NewUid, StartDaemon
from .daemon import Daemon
from .device import message
from .peer import WITHIN, Peer

ENDPOINT = "haproxy:tcp:{port}:interface=127.0.0.1"


def version_1(host: str) -> bytes:
    return f"PROXY TCP4 {host} 192.0.2.250 50000 7650\r\n".encode()


def version_2(host: str) -> bytes:
    return health_check(0x21, socket.inet_aton(host) + socket.inet_aton("192.0.2.250") + struct.pack("!HH", 1, 2))


def health_check(command: int = 0x20, addresses: bytes = b"") -> bytes:
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", command, 0x11 if addresses else 0, len(addresses)) + addresses


def pass_on(daemon: Daemon, header: bytes) -> Peer:
    """Connect as a balancer does for a client."""
    balancer = socket.create_connection(("127.0.0.1", daemon.port), WITHIN)
    balancer.sendall(header)
    return Peer(daemon, balancer)


@pytest.mark.parametrize("header", [version_1, version_2])
def test_clients_of_a_balancer_chat(start_daemon: StartDaemon, new_uid: NewUid, header: Callable[[str], bytes]) -> None:
    daemon = start_daemon(endpoint=ENDPOINT)
    uid = new_uid()
    with pass_on(daemon, header("198.51.100.7")) as alice, pass_on(daemon, header("198.51.100.8")) as bob:
        alice.login(new_uid())
        bob.login(uid)
        for text in ("hello", "x" * 64 * 1024):
            assert alice.result(Command.IM_SEND_MSG, message(text, to=uid)) == Result.OK
            assert bob.hear().msg_body == text


@pytest.mark.parametrize("header", [version_1, version_2])
def test_limits_and_the_log_see_the_clients_address(
    start_daemon: StartDaemon, new_uid: NewUid, header: Callable[[str], bytes]
) -> None:
    daemon = start_daemon(endpoint=ENDPOINT, IMD_GATEWAY_CONNECTIONS_PER_ADDRESS=1)
    with (
        pass_on(daemon, header("198.51.100.7")) as first,
        pass_on(daemon, header("198.51.100.8")) as other,
        pass_on(daemon, health_check()) as check,
        pass_on(daemon, health_check()) as another_check,
    ):
        for peer in (check, another_check):
            assert peer.result(Command.HEARTBEAT) == Result.NOT_LOGGED_IN
        for peer in (first, other):
            peer.login(new_uid())
        with pass_on(daemon, header("198.51.100.7")) as second:
            assert second.await_close() == b""
        assert "refused a connection of 198.51.100.7: it has 1 connections already" in daemon.log
        for peer in (first, other):
            assert peer.result(Command.HEARTBEAT) == Result.OK


def test_who_comes_without_a_header_is_cut_and_harms_nobody(start_daemon: StartDaemon, new_uid: NewUid) -> None:
    daemon = start_daemon(endpoint=ENDPOINT)
    with pass_on(daemon, version_2("198.51.100.7")) as user, Peer(daemon) as direct:
        user.login(new_uid())
        direct.socket.sendall(encode(Command.HEARTBEAT, 1))
        assert direct.await_close() == b""
        assert "dropped the connection of balancer 127.0.0.1: no PROXY protocol header" in daemon.log
        assert user.result(Command.HEARTBEAT) == Result.OK


def test_a_header_is_not_believed_where_no_balancer_is(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    with pass_on(daemon, version_1("198.51.100.7")) as client:
        assert client.await_close() == b""
