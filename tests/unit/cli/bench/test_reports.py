"""The account of reports: what is lost, doubled or out of order is told."""

from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from imd.cli.bench.asked import business_table, limits_of
from imd.cli.bench.business import Stream
from imd.cli.bench.outcome import Outcome
from imd.cli.bench.reports import Reporter, Reports, _breaches
from imd.cli.bench.server import Usage


class Sent:
    """A reporter that has sent these."""

    def __init__(self, uid: int, *ids: str, acks: int | None = None) -> None:
        self.uid = uid
        self.ids = list(ids)
        self.acks = len(ids) if acks is None else acks


class Arrived(list[tuple[int, str]]):
    """A stream with these entries."""

    def take(self) -> "Arrived":
        return self


def breaches(*sent: Any, arrived: list[tuple[int, str]] | None = None) -> list[str]:
    stream = None if arrived is None else cast(Stream, Arrived(arrived))
    return list(_breaches(cast(list[Reporter], list(sent)), stream))


class Breaches(SynchronousTestCase):
    def test_all_that_was_sent_and_acked_is_none(self) -> None:
        assert breaches(Sent(1, "a", "b"), Sent(2)) == []
        assert breaches(Sent(1, "a", "b"), Sent(2, "a"), arrived=[(1, "a"), (2, "a"), (1, "b")]) == []

    def test_a_missing_ack_is_one(self) -> None:
        (breach,) = breaches(Sent(1, "a", "b", acks=1))
        assert "without an ACK" in breach

    def test_so_is_what_is_lost_doubled_or_out_of_order(self) -> None:
        for arrived in (["a"], ["a", "b", "b"], ["b", "a"], ["a", "c"]):
            (breach,) = breaches(Sent(1, "a", "b"), arrived=[(1, each) for each in arrived])
            assert "uid 1" in breach


class Limits(SynchronousTestCase):
    def test_what_is_asked_is_found_by_what_was_done(self) -> None:
        for work, limits in business_table(3.0).items():
            assert limits_of(Outcome(work.label, "report", 1, Usage(1, 1, 1), 1)) == limits

    def test_other_parameters_have_none(self) -> None:
        assert limits_of(Outcome(Reports(users=1).label, "report", 1, Usage(1, 1, 1), 1)) == ()
