"""Who may connect, and what is left of who has gone."""

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from imd.ports.presence import Location
from imd.wire.results import KickReason, Result

from .node import Client, Node


class Connecting(SynchronousTestCase):
    def test_the_gateway_is_a_protocol_factory(self) -> None:
        verifyObject(IProtocolFactory, Node().gateway)

    def test_an_address_has_so_many_connections_and_no_more(self) -> None:
        node = Node(connections_per_address=2)
        first = node.connect("192.0.2.1")
        node.connect("192.0.2.1")
        with capturedLogs() as events:
            assert node.connect("192.0.2.1").is_refused
        assert not node.connect("192.0.2.2").is_refused
        assert node.gateway.counters.refused == 1
        (event,) = [event for event in events if event["log_level"] is LogLevel.warn]
        assert (event["host"], event["why"]) == ("192.0.2.1", "it has 2 connections already")
        first.leave()
        assert not node.connect("192.0.2.1").is_refused

    def test_an_address_whose_only_connection_is_gone_is_forgotten(self) -> None:
        node = Node(connections_per_address=1)
        for _ in range(3):
            client = node.connect("192.0.2.1")
            assert not client.is_refused
            client.leave()

    def test_loopback_is_exempt(self) -> None:
        node = Node(connections_per_address=1)
        for host in ("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"):
            assert not node.connect(host).is_refused
            assert not node.connect(host).is_refused, host

    def test_a_unix_socket_is_exempt(self) -> None:
        node = Node(connections_per_address=1)
        for _ in range(3):
            assert not Client(node, StringTransport(), UNIXAddress(b"")).is_refused

    def test_loopback_is_not_exempt_from_the_limit_of_all(self) -> None:
        node = Node(max_connections=2)
        first = node.connect()
        node.connect()
        assert node.connect().is_refused
        first.leave()
        assert not node.connect().is_refused


class Leaving(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = Node()

    def test_a_session_that_leaves_is_told_of_once(self) -> None:
        client = self.node.connect().login(1)
        client.leave()
        assert self.node.closed == [client.session]
        assert client.session.uid == 1
        assert self.node.sessions.online() == []

    def test_a_connection_that_never_logged_in_is_not_told_of(self) -> None:
        self.node.connect().leave()
        assert self.node.closed == []
        assert self.node.gateway.connections() == []

    def test_a_kicked_session_is_told_of_too(self) -> None:
        client = self.node.connect().login(1)
        self.node.sessions.kick(Location("here", client.session.session_id), KickReason.ADMIN, "")
        client.leave()
        assert self.node.closed == [client.session]

    def test_one_that_leaves_harms_nobody_else(self) -> None:
        leaving, staying = self.node.connect().login(1, 11), self.node.connect().login(1, 20)
        leaving.leave()
        self.node.push(1, 1)
        assert len(staying.received()) == 1
        assert staying.heartbeat().result == Result.OK

    def test_a_connection_that_is_gone_expires_no_more(self) -> None:
        client = self.node.connect()
        client.leave()
        self.node.pass_time(20)
        assert not client.is_closed
