"""A TLS endpoint, with a certificate made for the test."""

import socket
import ssl
from pathlib import Path

import pytest

from imd.wire.commands import Command
from imd.wire.packet import encode
from tests.certificates import make_certificate

from .conftest import NewUid, StartDaemon
from .daemon import Daemon
from .device import message
from .peer import WITHIN, Peer


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A folder with key.pem and cert.pem, for 127.0.0.1."""
    folder = tmp_path / "tls"
    folder.mkdir()
    make_certificate(folder, "127.0.0.1")
    return folder


def listening(folder: Path) -> str:
    """Return the endpoint string, in which the port is still to be filled in."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    return f"ssl:{{port}}:privateKey={key}:certKey={cert}:interface=127.0.0.1"


def connect(daemon: Daemon, folder: Path) -> Peer:
    """Connect as a client that verifies the certificate."""
    context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    plain = socket.create_connection(("127.0.0.1", daemon.port), WITHIN)
    return Peer(daemon, context.wrap_socket(plain, server_hostname="127.0.0.1"))


def test_chat_over_tls(start_daemon: StartDaemon, certificate: Path, new_uid: NewUid) -> None:
    daemon = start_daemon(endpoint=listening(certificate))
    uid = new_uid()
    with connect(daemon, certificate) as alice, connect(daemon, certificate) as bob:
        alice.login(new_uid())
        bob.login(uid)
        for n in range(20):
            text = f"{n}" * 32 * 1024
            assert alice.ask(Command.IM_SEND_MSG, message(text, to=uid)).result == 0
            assert bob.hear().msg_body == text


def test_many_small_messages_over_tls_keep_their_order(
    start_daemon: StartDaemon, certificate: Path, new_uid: NewUid
) -> None:
    daemon = start_daemon(endpoint=listening(certificate))
    uid = new_uid()
    with connect(daemon, certificate) as alice, connect(daemon, certificate) as bob:
        alice.login(new_uid())
        bob.login(uid)
        said = [message(f"{n}", to=uid) for n in range(500)]
        for each in said:
            alice.send(Command.IM_SEND_MSG, each.SerializeToString())
        assert [bob.hear().msg_id for _ in said] == [each.msg_id for each in said]


def test_plain_bytes_on_a_tls_port_are_cut_and_harm_nobody(
    start_daemon: StartDaemon, certificate: Path, new_uid: NewUid
) -> None:
    daemon = start_daemon(endpoint=listening(certificate), IMD_GATEWAY_LOGIN_SECONDS=0.5)
    with connect(daemon, certificate) as user, Peer(daemon) as plain, Peer(daemon) as silent:
        user.login(new_uid())
        plain.socket.sendall(encode(Command.HEARTBEAT, 1))
        plain.await_close()
        assert silent.await_close() == b""
        assert user.ask(Command.HEARTBEAT).result == 0
