"""The outbox: one write a connection and turn."""

from twisted.trial.unittest import SynchronousTestCase

from imd.gateway.outbox import Outbox


class Pen:
    def __init__(self, outbox: Outbox) -> None:
        self.writes = 0
        self._outbox = outbox

    def flush(self) -> None:
        assert not self._outbox.is_held
        self.writes += 1


class Outboxes(SynchronousTestCase):
    def setUp(self) -> None:
        self.outbox = Outbox()

    def test_it_is_held_between_hold_and_flush(self) -> None:
        assert not self.outbox.is_held
        self.outbox.hold()
        assert self.outbox.is_held
        self.outbox.flush()
        assert not self.outbox.is_held

    def test_a_flush_writes_each_once(self) -> None:
        pens = [Pen(self.outbox), Pen(self.outbox)]
        self.outbox.hold()
        for pen in pens:
            self.outbox.add(pen)
        self.outbox.flush()
        self.outbox.flush()
        assert [pen.writes for pen in pens] == [1, 1]

    def test_what_a_flush_brings_about_is_written_by_the_next_one(self) -> None:
        late = Pen(self.outbox)
        early = Pen(self.outbox)
        early.flush = lambda: self.outbox.add(late)  # type: ignore[method-assign]
        self.outbox.hold()
        self.outbox.add(early)
        self.outbox.flush()
        assert late.writes == 0
        self.outbox.flush()
        assert late.writes == 1
