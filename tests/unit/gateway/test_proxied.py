"""Connections through a balancer are the clients' own."""

from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from imd.gateway.proxied import ProxiedGateway
from imd.wire.bodies import Heartbeat
from imd.wire.commands import Command
from imd.wire.packet import encode
from imd.wire.results import Result

from .node import Client, Node

NOBODY = b"PROXY UNKNOWN\r\n"
HEARTBEAT = encode(Command.HEARTBEAT, 1, Heartbeat().SerializeToString())


def header(host: str) -> bytes:
    return f"PROXY TCP4 {host} 192.0.2.250 50000 7650\r\n".encode()


def pass_on(node: Node, host: str) -> Client:
    client = node.dial_through_balancer()
    client.write(header(host))
    return client


class PassedOn(SynchronousTestCase):
    def test_the_factory_is_a_protocol_factory(self) -> None:
        verifyObject(IProtocolFactory, ProxiedGateway(Node().gateway))

    def test_after_the_header_it_is_the_clients_connection(self) -> None:
        node = Node()
        client = pass_on(node, "198.51.100.7").login(1)
        node.push(1, 1)
        assert len(client.received()) == 1
        assert client.connection.host == "198.51.100.7"

    def test_what_comes_with_the_header_is_read_too(self) -> None:
        client = Node().dial_through_balancer()
        client.write(header("198.51.100.7") + HEARTBEAT)
        assert client.result() == Result.NOT_LOGGED_IN

    def test_a_header_may_come_in_parts(self) -> None:
        client = Node().dial_through_balancer()
        for byte in header("198.51.100.7") + HEARTBEAT:
            client.write(bytes([byte]))
        assert client.result() == Result.NOT_LOGGED_IN

    def test_only_the_first_header_is_one(self) -> None:
        client = pass_on(Node(), "198.51.100.7")
        client.write(header("198.51.100.8"))
        assert client.is_aborted

    def test_a_client_without_a_balancer_cannot_say_who_it_is(self) -> None:
        client = Node().connect("198.51.100.9")
        client.write(header("198.51.100.7"))
        assert client.is_aborted
        assert client.connection.host == "198.51.100.9"

    def test_what_is_no_header_closes_is_counted_and_told(self) -> None:
        node = Node()
        client = node.dial_through_balancer()
        with capturedLogs() as events:
            client.write(HEARTBEAT)
            client.write(header("198.51.100.7") + HEARTBEAT)
        assert client.is_aborted
        assert client.received() == []
        assert node.gateway.counters.malformed == 1
        (event,) = [event for event in events if event["log_level"] is LogLevel.warn]
        assert event["host"] == "balancer 192.0.2.250"

    def test_the_header_has_to_come_by_the_login_deadline(self) -> None:
        node = Node()
        client = node.dial_through_balancer()
        client.write(b"PROXY ")
        node.pass_time(12)
        assert client.is_aborted


class Limits(SynchronousTestCase):
    def test_it_is_the_clients_address_that_has_so_many_connections(self) -> None:
        node = Node(connections_per_address=1)
        first = pass_on(node, "198.51.100.7")
        assert not pass_on(node, "198.51.100.8").is_closed
        with capturedLogs() as events:
            assert pass_on(node, "198.51.100.7").is_aborted
        assert node.gateway.counters.refused == 1
        (event,) = [event for event in events if event["log_level"] is LogLevel.warn]
        assert (event["host"], event["why"]) == ("198.51.100.7", "it has 1 connections already")
        first.leave()
        assert not pass_on(node, "198.51.100.7").is_closed

    def test_those_who_come_directly_count_with_those_of_a_balancer(self) -> None:
        node = Node(connections_per_address=1)
        node.connect("198.51.100.7")
        assert pass_on(node, "198.51.100.7").is_aborted

    def test_what_follows_a_header_that_is_refused_is_not_looked_at(self) -> None:
        node = Node(connections_per_address=1)
        pass_on(node, "198.51.100.7")
        refused = node.dial_through_balancer()
        refused.write(header("198.51.100.7") + HEARTBEAT)
        refused.write(HEARTBEAT)
        assert refused.received() == []

    def test_a_client_on_the_balancers_loopback_is_exempt(self) -> None:
        node = Node(connections_per_address=1)
        for _ in range(3):
            assert not pass_on(node, "127.0.0.1").is_closed

    def test_the_balancers_own_count_against_no_client(self) -> None:
        node = Node(connections_per_address=1)
        for _ in range(3):
            check = node.dial_through_balancer()
            assert not check.is_refused
            check.write(NOBODY + HEARTBEAT)
            assert check.result() == Result.NOT_LOGGED_IN
        assert not node.connect("192.0.2.250").is_refused

    def test_those_without_a_header_yet_count_in_the_limit_of_all(self) -> None:
        node = Node(max_connections=1)
        waiting = node.dial_through_balancer()
        assert node.dial_through_balancer().is_refused
        assert node.connect().is_refused
        waiting.leave()
        assert not node.connect().is_refused
