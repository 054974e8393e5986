"""What the configuration says of destinations, and what is wrong with it in one sentence."""

from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from imd.config import load
from imd.errors import ConfigError
from imd.ports.upstream import Bound, IUpstreamQueue
from imd.queues.settings import attempts_of, bounds_of, queues_of

from ..paths import new_path

SECRET = "5f1d0a7c93be4286d1e05b3c7a9f2468"


class SettingsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(new_path(self))
        self.folder.mkdir()

    def file(self, text: str, mode: int = 0o600) -> str:
        file = self.folder / "file"
        file.write_text(text)
        file.chmod(mode)
        return str(file)

    def load(self, toml: str) -> Any:
        config = self.folder / "imd.toml"
        config.write_text(toml)
        return load(config, {}, {}).upstream

    def queues(self, toml: str) -> Any:
        return queues_of(MemoryReactorClock(), self.load(toml), lambda: 0.0)

    def wrong(self, toml: str) -> str:
        """Return what is wrong with it."""
        with self.assertRaises(ConfigError) as caught:
            self.queues(toml)
        return str(caught.exception)


class Good(SettingsTestCase):
    def test_each_kind_of_destination_is_told_by_its_url(self) -> None:
        secret = self.file(f"{SECRET}\n")
        queues = self.queues(f"""
            [upstream.destinations.orders]
            url = "https://shop.example/imd"
            secret_file = "{secret}"
            parallel = 3
            [upstream.destinations.clicks]
            url = "redis://127.0.0.1/1"
            stream = "clicks"
        """)
        assert list(queues) == ["orders", "clicks"]
        assert (queues["orders"].width, queues["orders"].batch) == (3, 1)
        for queue in queues.values():
            assert IUpstreamQueue.providedBy(queue)

    def test_bounds_and_attempts_are_those_that_are_named_or_the_defaults(self) -> None:
        upstream = self.load("""
            [upstream.destinations.a]
            url = "http://a/"
            secret_file = "s"
            attempts = 2
            max_rows = 7
            max_mib = 3
            [upstream.destinations.b]
            url = "amqp://b"
            queue = "q"
        """)
        assert bounds_of(upstream) == {"a": Bound(7, 3 * 2**20), "b": Bound(1_000_000, 2**30)}
        assert (attempts_of(upstream, "a"), attempts_of(upstream, "b")) == (2, 1)


class Wrong(SettingsTestCase):
    def test_a_key_of_another_kind_or_of_none(self) -> None:
        for key in ("stream", "kind", "attempt"):
            reason = self.wrong(f'[upstream.destinations.a]\nurl = "http://a/"\nsecret_file = "s"\n{key} = "webhook"')
            assert "destinations.a" in reason

    def test_a_key_that_is_missing(self) -> None:
        assert "secret_file" in self.wrong('[upstream.destinations.a]\nurl = "http://a/"')
        assert "stream" in self.wrong('[upstream.destinations.a]\nurl = "redis://a"')
        assert "queue" in self.wrong('[upstream.destinations.a]\nurl = "amqp://a"')
        assert "url" in self.wrong("[upstream.destinations.a]\nqueue = 'q'")

    def test_a_value_out_of_its_range(self) -> None:
        assert "max_rows" in self.wrong('[upstream.destinations.a]\nurl = "redis://a"\nstream = "s"\nmax_rows = 0')

    def test_a_name_that_is_none(self) -> None:
        self.wrong('[upstream.destinations."a b"]\nurl = "redis://a"\nstream = "s"')
        self.wrong(f'[upstream.destinations.{"a" * 65}]\nurl = "redis://a"\nstream = "s"')

    def test_what_is_no_table(self) -> None:
        self.wrong("[upstream]\ndestinations = 1")
        self.wrong("[upstream.destinations]\na = 'redis://a'")

    def test_an_address_of_no_kind(self) -> None:
        assert "amqps://" in self.wrong('[upstream.destinations.a]\nurl = "kafka://hunter2@a"')

    def test_no_password_of_an_address_is_repeated(self) -> None:
        for url in (
            "kafka://u:hunter2@a",
            "http://u:hunter2@a/",
            "redis://u:hunter2@a:port",
            "amqp://u:hunter2@a:port",
            "http://hunter2\\u0000",
            "amqp://u:hunter2@a?heartbeat=x",
        ):
            for rest in ('secret_file = "s"', 'stream = "s"', 'queue = "q"', ""):
                reason = self.wrong(f'[upstream.destinations.a]\nurl = "{url}"\n{rest}')
                assert "hunter2" not in reason, reason

    def test_a_secret_that_is_missing_short_or_open_to_others(self) -> None:
        table = '[upstream.destinations.a]\nurl = "http://a/"\nsecret_file = "{}"'
        assert "nowhere" in self.wrong(table.format("nowhere"))
        assert "32" in self.wrong(table.format(self.file("short")))
        assert "chmod" in self.wrong(table.format(self.file(SECRET, 0o644)))

    def test_a_password_that_is_given_twice(self) -> None:
        file = self.file("hunter2")
        for url, rest in (("redis://:x@a", 'stream = "s"'), ("amqp://u:x@a", 'queue = "q"')):
            table = f'[upstream.destinations.a]\nurl = "{url}"\npassword_file = "{file}"\n{rest}'
            assert "twice" in self.wrong(table)

    def test_destinations_are_no_variable(self) -> None:
        with self.assertRaises(ConfigError):
            load(None, {}, {"IMD_UPSTREAM_DESTINATIONS": "x"})
