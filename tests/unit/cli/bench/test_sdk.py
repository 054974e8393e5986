"""The bench of the SDK notices what it has to."""

from array import array
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from imd.cli.bench.asked import limits_of
from imd.cli.bench.load import Target
from imd.cli.bench.outcome import Outcome
from imd.cli.bench.sdk import Sdk, _Talker
from imd.cli.bench.server import Usage


class TalkerTests(SynchronousTestCase):
    def setUp(self) -> None:
        target = Target("127.0.0.1", 7650, 1, b"x" * 32, 1, 1)
        self.latencies: Any = array("d")
        self.talker = _Talker(target, 1, Path(), self.latencies)

    def hear(self, seq_id: int, number: int) -> list[str]:
        message: Any = SimpleNamespace(group_id="g", seq_id=seq_id, msg_type=1, msg_body=f"{number} 0.0 x")
        self.talker._hear(message)
        return self.talker.breaches

    def test_what_comes_in_order_is_no_breach(self) -> None:
        assert self.hear(2, 1) == []
        assert self.hear(5, 2) == []
        assert len(self.latencies) == 2

    def test_what_is_lost_shown_again_or_late_is_one(self) -> None:
        self.hear(2, 1)
        assert self.hear(4, 3) == ["1 was shown 3 after 1 in g"]
        assert self.hear(4, 4)[1:] == ["1 was shown seq 4 of g late or again"]

    def test_a_message_that_is_not_sent_is_one(self) -> None:
        failed: Any = SimpleNamespace(status=-2, result=13)
        self.talker._status(failed)
        assert self.talker.breaches == ["1 could not send a message: result 13"]


class LimitTests(SynchronousTestCase):
    def test_five_thousand_messages_a_second_are_asked_of_one_core(self) -> None:
        outcome = Outcome(Sdk().label, "message", 10_000, Usage(2.0, 1.0, 1.9), 0)
        [limit] = limits_of(outcome)
        assert limit.met(outcome)
        assert not limit.met(Outcome(Sdk().label, "message", 10_000, Usage(2.0, 1.0, 2.1), 0))
