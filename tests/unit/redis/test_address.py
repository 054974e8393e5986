"""Addresses of Redis."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imd.errors import ConfigError
from imd.redis.address import RedisAddress, parse


def address(**fields: object) -> RedisAddress:
    """Return redis://h:6379/0 but for the fields named."""
    usual = {"host": "h", "port": 6379, "path": "", "is_tls": False, "database": 0, "username": "", "password": ""}
    return RedisAddress(**{**usual, **fields})  # type: ignore[arg-type]


class ParseTests(SynchronousTestCase):
    def test_what_each_part_of_an_address_means(self) -> None:
        for url, expected in {
            "redis://h": address(),
            "redis://h/": address(),
            "redis://h:7000": address(port=7000),
            "redis://h/3": address(database=3),
            "rediss://h": address(is_tls=True),
            "redis://:secret@h": address(password="secret"),
            "redis://me:secret@h:1/2": address(port=1, database=2, username="me", password="secret"),
            "redis://me:s%40%3A%2F@h": address(username="me", password="s@:/"),
            "redis://[::1]:7000": address(host="::1", port=7000),
            "unix:///run/redis.sock": address(host="", port=0, path="/run/redis.sock"),
            "unix:///run/redis.sock?db=2": address(host="", port=0, path="/run/redis.sock", database=2),
            "unix://:secret@/run/r": address(host="", port=0, path="/run/r", password="secret"),
        }.items():
            self.assertEqual(parse(url), expected, url)

    def test_the_password_may_come_from_elsewhere(self) -> None:
        self.assertEqual(parse("redis://me@h", "secret"), address(username="me", password="secret"))

    def test_an_address_that_can_t_be_is_refused_without_repeating_it(self) -> None:
        for url in (
            "",
            "h:6379",
            "http://:hunter2@h",
            "hunter2",
            "redis://",
            "redis://:hunter2@",
            "redis://:hunter2@h:port",
            "redis://:hunter2@h:70000",
            "redis://:hunter2@[::1",
            "redis://:hunter2@h/x",
            "redis://:hunter2@h/-1",
            "redis://:hunter2@h/1/2",
            "redis://:hunter2@h?db=1",
            "unix://:hunter2@relative",
            "unix:///run/redis.sock?database=1",
            "unix:///run/redis.sock?db=x",
        ):
            error = self.assertRaises(ConfigError, parse, url)
            self.assertIn("expected", str(error))
            self.assertNotIn("hunter2@", str(error))

    def test_a_password_in_two_places_is_refused(self) -> None:
        error = self.assertRaises(ConfigError, parse, "redis://:hunter2@h", "hunter3")
        self.assertNotIn("hunter", str(error))

    def test_neither_text_nor_repr_holds_the_password(self) -> None:
        for url, text in {
            "redis://me:hunter2@h:7000/2": "redis://h:7000/2",
            "rediss://:hunter2@[::1]": "rediss://[::1]:6379/0",
            "unix://:hunter2@/run/r?db=1": "unix:///run/r?db=1",
        }.items():
            found = parse(url)
            self.assertEqual(str(found), text)
            self.assertNotIn("hunter2", repr(found))


class EndpointTests(SynchronousTestCase):
    def test_authorities_without_a_certificate_are_refused(self) -> None:
        for pem in (b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
            error = self.assertRaises(ConfigError, address(is_tls=True).endpoint, Clock(), 1.0, pem)
            self.assertIn("expected PEM", str(error))
