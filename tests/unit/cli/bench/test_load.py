"""The load's loop: what is due is done, and waiting ends."""

import socket
from functools import partial
from itertools import count
from time import monotonic
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from imd.cli.bench import load
from imd.cli.bench.load import Connection, Loop, Node, Target


class Opened(socket.socket):
    """Is connected to nothing; it only notes where it was to be."""

    addresses: list[tuple[str, int]]

    def connect(self, address: Any) -> None:
        self.addresses.append(address)

    def send(self, packets: Any, *_: object) -> int:
        return len(packets)


class NodeTests(SynchronousTestCase):
    def test_users_are_spread_over_the_nodes_by_their_uids(self) -> None:
        target = Target("127.0.0.1", 1, 0, b"s" * 32, 1, 1, (Node("127.0.0.1", 2, 0),))
        Opened.addresses = []
        with Loop(target) as loop:
            self.patch(load.socket, "socket", Opened)
            for uid in (100, 101, 102, 105):
                Connection(loop, uid)
        assert [port for _, port in Opened.addresses] == [1, 2, 1, 2]


class LoopTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.loop = Loop(Target("127.0.0.1", 1, 0, b"", 1, 1))
        self.addCleanup(self.loop.close)
        self.done: list[str] = []
        self.looks = count()

    def test_a_turn_makes_the_calls_that_are_due_in_their_order(self) -> None:
        now = monotonic()
        for due, what in ((now - 1, "second"), (now - 2, "first"), (now - 1, "third"), (now + 3600, "never")):
            self.loop.at(due, partial(self.done.append, what))
        self.loop.turn(0.0)
        assert self.done == ["first", "second", "third"]

    def test_a_call_is_made_once(self) -> None:
        self.loop.at(monotonic() - 1, partial(self.done.append, "once"))
        self.loop.turn(0.0)
        self.loop.turn(0.0)
        assert self.done == ["once"]

    def test_waiting_ends_with_what_is_settled(self) -> None:
        numbers = count()
        self.loop.at(monotonic(), partial(self.done.append, "settled"))
        self.loop.wait_while_rising(lambda: next(numbers), lambda: bool(self.done), 3600.0)
        assert self.done == ["settled"]

    def test_waiting_goes_on_while_the_number_rises(self) -> None:
        numbers = count()
        self.loop.wait_while_rising(lambda: next(numbers), lambda: next(self.looks) == 5, 0.12)
        assert next(self.looks) == 6

    def test_waiting_ends_where_nothing_rises(self) -> None:
        self.loop.wait_while_rising(lambda: 7, lambda: False, 0.0)
