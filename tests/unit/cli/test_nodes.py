"""`imctl nodes`: what it makes of what Redis holds, and what it says where there is nothing to ask."""

from typing import Any

from click.testing import CliRunner
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from imd.cli.main import main
from imd.cli.nodes import Node, look
from imd.presence.about import About, encode_about

LEASE = 15.0


class Redis:
    """Answers from what it holds, at second 1,000."""

    def __init__(self, **leases: int) -> None:
        self.leases = leases
        self.users: dict[str, int] = {}
        self.about: dict[str, bytes] = {}

    def ask(self, command: str, key: str = "") -> "Deferred[Any]":
        name = key.removeprefix("imd:node:").removeprefix("imd:about:")
        if command == "HGETALL" and key == "imd:nodes":
            pairs = [(f"{node}:7f".encode(), b"3 %d" % ends) for node, ends in self.leases.items()]
            return succeed([part for pair in pairs for part in pair])
        answers: dict[str, Any] = {
            "TIME": [b"1000", b"500000"],
            "SCARD": self.users.get(name, 0),
            "GET": self.about.get(name),
        }
        return succeed(answers[command])


class LookTests(SynchronousTestCase):
    def look(self, redis: Redis) -> list[Node]:
        found: list[Node] = self.successResultOf(Deferred.fromCoroutine(look(redis.ask, LEASE)))
        return found

    def test_a_node_is_told_with_its_users_sessions_version_and_lease(self) -> None:
        redis = Redis(gate1=1_012_500)
        redis.users["gate1:7f"], redis.about["gate1:7f"] = 12, encode_about(About("1.2.3", 15))
        (node,) = self.look(redis)
        assert node == Node("gate1", "7f", 12, 15, "1.2.3", lag=3.0, lease_left=12.0)
        assert node.state == "runs"

    def test_nodes_are_in_the_order_of_their_names(self) -> None:
        assert [node.node for node in self.look(Redis(b=1_001_000, c=1_001_000, a=1_001_000))] == ["a", "b", "c"]

    def test_a_node_whose_lease_has_ended_is_dead(self) -> None:
        (node,) = self.look(Redis(gate1=998_500))
        assert (node.state, node.lag, node.lease_left) == ("dead", 17.0, -2.0)

    def test_a_node_that_has_left_has_no_lease(self) -> None:
        (node,) = self.look(Redis(gate1=0))
        assert (node.state, node.lag, node.lease_left) == ("has left", None, None)

    def test_a_node_that_tells_nothing_of_itself_is_listed_without(self) -> None:
        (node,) = self.look(Redis(gate1=1_001_000))
        assert (node.version, node.sessions) == ("", None)

    def test_what_another_version_tells_beside_is_skipped(self) -> None:
        for told, version in ((b'{"version": "9", "colour": "red"}', "9"), (b"9", ""), (b"\xff", "")):
            redis = Redis(gate1=1_001_000)
            redis.about["gate1:7f"] = told
            (node,) = self.look(redis)
            assert (node.version, node.sessions) == (version, None)

    def test_where_no_node_was_there_are_none(self) -> None:
        assert self.look(Redis()) == []


class NodesTests(SynchronousTestCase):
    def test_one_node_alone_has_nothing_to_list(self) -> None:
        result = CliRunner().invoke(main, ["nodes"])
        assert (result.exit_code, result.stdout) == (78, "")
        assert "There is one node only: [presence] url is memory:" in result.stderr

    def test_a_bad_address_ends_with_78(self) -> None:
        result = CliRunner().invoke(main, ["nodes"], env={"IMD_PRESENCE_URL": "redis://host/x"})
        assert result.exit_code == 78
        assert "the address of Redis ends in what is no number of a database" in result.stderr
