"""Starting: a bad configuration is told in one sentence, and what is in use stays untouched."""

import re
import socket
import stat
from pathlib import Path

import pytest

from .conftest import StartDaemon
from .daemon import Daemon, free_port, run

CONF = Path(__file__).parents[2] / "conf"
BAD_CONFIGURATION = 78
IN_USE = 1
SECRET = "3f9c0d1e7a5b4c2d8e6f9a0b1c3d5e7f"


def complaint(output: str) -> str:
    """Return the one sentence that the daemon leaves with."""
    assert "Traceback" not in output
    [sentence] = re.findall(r"imd: (.+)", output)
    return str(sentence)


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("[server]\ndta = 'x'", r"\[server\] dta is unknown: did you mean data\?"),
        ("[server]\nnode = 5", r"node is 5, where a name"),
        ("[server]\nlisten = ['nonsense:1']", r"'nonsense:1' in listen is no Twisted endpoint"),
        ("[server]\nlisten = ['ssl:1:privateKey=/nowhere.pem']", r"in listen is no Twisted endpoint .*nowhere"),
        ("[server]\nlisten = ['haproxy:ssl:1:privateKey=key.pem']", r"a balancer sends its header before TLS"),
        ("[http]\nlisten = ['tcp:7680']", r"'tcp:7680' in \[http\] doesn't say who may reach it: add :interface="),
        ("[http]\noperations_listen = ['haproxy:tcp:7681']", r"the API takes no PROXY protocol"),
        ("[gateway]\nmax_body = '1 MiB'", r"max_body is '1 MiB', where a whole number"),
        ("[storage]\nurl = 'mysql://u:hunter2@h/d'", r"url is a mysql address, where sqlite"),
        ("[sso]\nsecret_file = '/nowhere'", r"The token secret /nowhere can't be opened"),
        ("[sso]\npublic_key_file = '/nowhere'", r"public_key_file /nowhere can't be read"),
        ("[sso]\nurl = 'http://u:hunter2@h/'", r"url is a http address, where https"),
        ("[sso]\nurl = 'https://h/'\nissuer = 'me'", r"issuer is set, but means nothing where url says"),
        ("[server", r"is not TOML"),
    ],
)
def test_a_bad_file_is_told_in_one_sentence(tmp_path: Path, toml: str, told: str) -> None:
    file = tmp_path / "imd.toml"
    file.write_text(toml)
    left = run("--config", str(file), "--data", str(tmp_path / "data"))
    assert left.returncode == BAD_CONFIGURATION, left
    sentence = complaint(left.stdout + left.stderr)
    assert re.search(told, sentence), sentence
    assert "hunter2" not in sentence


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("IMD_DTA", "x", r"IMD_DTA is unknown: did you mean IMD_DATA\?"),
        ("IMD_DATA", "/dev/null", r"The data folder /dev/null can't be made"),
        ("IMD_DATA", "/proc", r"The data folder /proc can't be written"),
    ],
)
def test_a_bad_variable_is_told_in_one_sentence(variable: str, value: str, told: str) -> None:
    left = run(variables={variable: value})
    assert left.returncode == BAD_CONFIGURATION, left
    assert re.search(told, complaint(left.stdout + left.stderr)), left


def test_a_file_that_cannot_be_read_is_told_in_one_sentence(tmp_path: Path) -> None:
    for file in (tmp_path, tmp_path / "missing.toml"):
        left = run("--config", str(file))
        assert left.returncode == BAD_CONFIGURATION
        assert f"{file} can't be read" in complaint(left.stdout + left.stderr)


@pytest.mark.parametrize(
    ("secret", "mode", "told"),
    [
        (SECRET, 0o644, "is open to other users: run `chmod 600"),
        (SECRET[:31], 0o600, "has 31 bytes, where 32 to 4096 were expected"),
        ("change-me-" * 4, 0o600, "could be guessed"),
    ],
)
def test_a_secret_that_does_not_protect_is_refused(tmp_path: Path, secret: str, mode: int, told: str) -> None:
    file = tmp_path / "secret"
    file.write_text(secret)
    file.chmod(mode)
    left = run("--data", str(tmp_path / "data"), variables={"IMD_SSO_SECRET_FILE": str(file)})
    assert left.returncode == BAD_CONFIGURATION
    sentence = complaint(left.stdout + left.stderr)
    assert told in sentence
    assert secret not in sentence


def test_check_finds_what_is_bad(tmp_path: Path) -> None:
    data = tmp_path / "data"
    left = run("--check", "--data", str(data), variables={"IMD_SSO_SECRET_FILE": "/nowhere"})
    assert left.returncode == BAD_CONFIGURATION
    assert "/nowhere" in complaint(left.stdout + left.stderr)
    assert not data.exists()


def test_check_finds_the_sample_good_and_makes_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    left = run("--config", str(CONF / "imd.toml"), "--data", str(data), "--check")
    assert (left.returncode, left.stdout, left.stderr) == (0, "The configuration is good.\n", "")
    assert not data.exists()


def test_an_unknown_option_is_a_usage_error() -> None:
    left = run("--nonsense")
    assert left.returncode == 1
    assert "Traceback" not in left.stdout + left.stderr


def test_a_port_in_use_is_told_in_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        endpoint = f"tcp:{other.getsockname()[1]}:interface=127.0.0.1"
        left = run("--data", str(tmp_path), "--listen", f"tcp:{free_port()}:interface=127.0.0.1", "--listen", endpoint)
    assert left.returncode == IN_USE
    assert f"can't listen on {endpoint}" in complaint(left.stdout + left.stderr)


def test_a_second_daemon_on_the_same_data_leaves_the_first_alone(start_daemon: StartDaemon) -> None:
    first = start_daemon()
    left = run("--data", str(first.data), "--listen", f"tcp:{free_port()}:interface=127.0.0.1")
    assert left.returncode == IN_USE
    assert f"another imd (pid {first.pid}) already runs on the data in {first.data}" in complaint(
        left.stdout + left.stderr
    )
    socket.create_connection(("127.0.0.1", first.port), 5).close()


def test_the_option_wins_over_the_variable_which_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "imd.toml"
    file.write_text(f"[server]\ndata = '{tmp_path}/file'\nlisten = ['nonsense']\n")
    good = f"tcp:{free_port()}:interface=127.0.0.1"
    for arguments, variables, code in [
        ((), {}, BAD_CONFIGURATION),
        ((), {"IMD_LISTEN": good}, 0),
        (("--listen", "nonsense"), {"IMD_LISTEN": good}, BAD_CONFIGURATION),
        (("--listen", good), {"IMD_LISTEN": "nonsense"}, 0),
    ]:
        assert run("--config", str(file), "--check", *arguments, variables=variables).returncode == code


def test_the_data_folder_and_the_secret_are_for_their_owner_only(daemon: Daemon) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [daemon.data, *daemon.data.iterdir()]}
    assert modes["data"] == 0o700
    assert modes["token.secret"] == 0o600
    assert int((daemon.data / "imd.lock").read_text()) == daemon.pid


def test_it_tells_where_it_listens_and_what_to_try(daemon: Daemon) -> None:
    assert f"listening on tcp:{daemon.port}:interface=127.0.0.1" in daemon.log
    assert f"imctl chat 1 --to 2 --data {daemon.data}" in daemon.log


def test_it_listens_on_every_endpoint(start_daemon: StartDaemon, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    daemon = start_daemon(IMD_LISTEN=f"tcp:{free_port()}", endpoint=f"unix:{path}")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    assert daemon.is_running
