"""The samples and the systemd units say what the code does."""

import re
import tomllib
from pathlib import Path

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from imd.config import Config, load
from imd.wire.commands import Command
from imd.wire.packet import encode, encode_error
from imd.wire.results import Result

from .paths import new_path

CONF = Path(__file__).parents[2] / "conf"


def service(unit: str) -> dict[str, list[str]]:
    """Return what a unit's [Service] says, each key with all its values."""
    text = (CONF / unit).read_text().partition("[Service]\n")[2].partition("\n[")[0]
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            key, _, value = line.partition("=")
            values.setdefault(key, []).append(value)
    return values


class SampleTests(SynchronousTestCase):
    def test_every_value_of_the_sample_is_the_default(self) -> None:
        assert load(CONF / "imd.toml", {}, {}) == Config()

    def test_the_sample_names_every_key(self) -> None:
        sample = tomllib.loads((CONF / "imd.toml").read_text())
        defaults = msgspec.to_builtins(Config())
        assert {section: list(keys) for section, keys in sample.items()} == {
            section: list(keys) for section, keys in defaults.items()
        }

    def test_what_is_commented_out_can_be_used_as_it_stands(self) -> None:
        lines = (CONF / "imd.toml").read_text().splitlines()
        samples = [line[2:] for line in lines if re.match(r"# (\[upstream\.destinations\.\w+\]$|\w+ = )", line)]
        names = re.findall(r"\[upstream\.destinations\.(\w+)\]", "\n".join(samples))
        assert names == ["orders", "clicks", "tickets"]
        config = Path(new_path(self))
        config.write_text("\n".join(samples))
        destinations = load(config, {}, {}).upstream.destinations
        assert list(destinations) == names
        for destination in destinations.values():
            for key in msgspec.structs.fields(destination):
                if key.default is not msgspec.NODEFAULT and key.name != "password_file":
                    assert getattr(destination, key.name) == key.default


class UnitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = service("imd.service")

    def test_the_unit_starts_the_daemon_from_the_configuration(self) -> None:
        (started,) = self.service["ExecStart"]
        assert started.endswith("twistd -n --pidfile= imd --config /etc/imd/imd.toml")
        assert self.service["Type"] == ["notify"]

    def test_the_unit_keeps_the_data_in_its_state_directory(self) -> None:
        assert self.service["Environment"] == ["IMD_DATA=%S/imd"]
        assert self.service["StateDirectory"] == ["imd"]

    def test_a_wrong_configuration_is_not_tried_again(self) -> None:
        assert self.service["RestartPreventExitStatus"] == ["78"]

    def test_the_unit_waits_longer_than_the_daemon_drains(self) -> None:
        assert float(self.service["TimeoutStopSec"][0]) > Config().server.drain_seconds


class NodesUnitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.one, self.several = service("imd.service"), service("imd@.service")

    def test_a_node_of_several_differs_in_its_own_settings_and_nothing_else(self) -> None:
        assert {key for key in self.one | self.several if self.one.get(key) != self.several.get(key)} == {
            "Environment",
            "EnvironmentFile",
            "LoadCredential",
            "StateDirectory",
            "WorkingDirectory",
        }

    def test_a_node_is_called_as_its_unit_and_has_a_folder_and_a_file_of_its_own(self) -> None:
        assert self.several["Environment"] == [
            "IMD_NODE=%i IMD_DATA=%S/imd-%i IMD_SSO_SECRET_FILE=%d/token.secret",
        ]
        assert self.several["StateDirectory"] == ["imd-%i"]
        assert self.several["EnvironmentFile"] == ["/etc/imd/cluster.env", "/etc/imd/%i.env"]
        assert self.several["LoadCredential"] == ["token.secret:/etc/imd/token.secret"]

    def test_its_variables_are_known(self) -> None:
        names = re.findall(r"(IMD_\w+)=", (CONF / "imd@.service").read_text())
        values = dict.fromkeys(names, "") | {"IMD_NODE": "gate1", "IMD_DATA": "data", "IMD_LISTEN": "tcp:1"}
        assert {"IMD_STORAGE_URL", "IMD_PRESENCE_URL"} < set(names)
        values["IMD_PRESENCE_URL"] = "memory:"
        assert load(None, {}, values).server.node == "gate1"


class BalancerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sample = (CONF / "haproxy.cfg").read_text()

    def test_the_health_check_is_a_heartbeat_and_its_answer(self) -> None:
        answer = encode_error(Command.HEARTBEAT, 1, Result.NOT_LOGGED_IN, "")
        (asked,) = re.findall(r"^ *tcp-check send-binary (\w+)$", self.sample, re.MULTILINE)
        (expected,) = re.findall(r"^ *tcp-check expect binary (\w+)$", self.sample, re.MULTILINE)
        assert bytes.fromhex(asked) == encode(Command.HEARTBEAT, 1)
        assert answer.startswith(bytes.fromhex(expected))

    def test_every_server_is_told_the_clients_address(self) -> None:
        (defaults,) = re.findall(r"^ *default-server (.*)$", self.sample, re.MULTILINE)
        assert "send-proxy-v2" in defaults.split()

    def test_the_balancer_waits_longer_for_a_silent_client_than_the_node(self) -> None:
        waits = dict(re.findall(r"^ *timeout (client|server) (\d+)s$", self.sample, re.MULTILINE))
        assert set(waits) == {"client", "server"}
        assert all(float(wait) > Config().gateway.idle_seconds for wait in waits.values())
