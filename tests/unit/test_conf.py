"""The sample configuration and the systemd unit say what the code does."""

import configparser
import tomllib
from pathlib import Path

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from imd.config import Config, load

CONF = Path(__file__).parents[2] / "conf"


class SampleTests(SynchronousTestCase):
    def test_every_value_of_the_sample_is_the_default(self) -> None:
        assert load(CONF / "imd.toml", {}, {}) == Config()

    def test_the_sample_names_every_key(self) -> None:
        sample = tomllib.loads((CONF / "imd.toml").read_text())
        defaults = msgspec.to_builtins(Config())
        assert {section: list(keys) for section, keys in sample.items()} == {
            section: list(keys) for section, keys in defaults.items()
        }


class UnitTests(SynchronousTestCase):
    def setUp(self) -> None:
        parser = configparser.RawConfigParser(strict=False)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read(CONF / "imd.service")
        self.service = dict(parser["Service"])

    def test_the_unit_starts_the_daemon_from_the_configuration(self) -> None:
        assert self.service["ExecStart"].endswith("twistd -n --pidfile= imd --config /etc/imd/imd.toml")
        assert self.service["Type"] == "notify"

    def test_the_unit_keeps_the_data_in_its_state_directory(self) -> None:
        assert self.service["Environment"] == "IMD_DATA=%S/imd"
        assert self.service["StateDirectory"] == "imd"

    def test_a_wrong_configuration_is_not_tried_again(self) -> None:
        assert self.service["RestartPreventExitStatus"] == "78"

    def test_the_unit_waits_longer_than_the_daemon_drains(self) -> None:
        assert float(self.service["TimeoutStopSec"]) > Config().server.drain_seconds
