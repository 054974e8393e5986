"""What is printed of the works."""

import io
import json
from array import array

from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from imd.cli.bench.asked import cluster_table, in_order, limits_of, table
from imd.cli.bench.outcome import Latency, Outcome, percentile, spread
from imd.cli.bench.report import as_json, as_table, remarks
from imd.cli.bench.server import Usage

PAIRS = "1:1, 20 pairs, window 16, UUIDv7"
STEADY = "1:1, 20 pairs, 2,000 a second, UUIDv7"
MIB = 1024 * 1024


def outcome(work: str = PAIRS, server: float = 3.0, load: float = 1.0, **more: object) -> Outcome:
    values: dict[str, object] = {"count": 100_000, "unit": "message", "resident": 64 * MIB} | more
    return Outcome(work=work, usage=Usage(10.0, server, load), **values)  # type: ignore[arg-type]


def on_two_nodes(work: str = PAIRS, **seconds: float) -> Outcome:
    """Return what 100,000 messages came to; ``seconds`` are the CPU of nodes, PostgreSQL and Redis."""
    used = {"nodes": 6.0, "postgresql": 3.0, "redis": 0.5} | seconds
    usage = Usage(10.0, used.pop("nodes"), 1.0, used)
    return Outcome(work, "message", 100_000, usage, 64 * MIB, Latency(0.0382, 0.0685, 1.2), nodes=2)


def printed(*outcomes: Outcome) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(as_table(outcomes))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


class PercentileTests(SynchronousTestCase):
    def test_it_is_the_nearest_rank(self) -> None:
        ordered = [float(value) for value in range(1, 201)]
        assert percentile(ordered, 50) == 100.0
        assert percentile(ordered, 99) == 198.0
        assert percentile(ordered, 100) == 200.0

    def test_of_one_value_each_is_that_value(self) -> None:
        assert [percentile([7.0], rank) for rank in (0, 50, 99)] == [7.0, 7.0, 7.0]

    def test_the_order_of_what_was_measured_is_of_no_matter(self) -> None:
        assert spread(array("d", [0.3, 0.1, 0.2])) == Latency(p50=0.2, p99=0.3, longest=0.3)

    def test_of_nothing_there_is_no_spread(self) -> None:
        assert spread(array("d")) is None


class LimitTests(SynchronousTestCase):
    def test_what_is_asked_belongs_to_the_parameters(self) -> None:
        assert [str(limit) for limit in limits_of(outcome(STEADY))] == ["200 µs", "10 ms p99"]
        assert limits_of(outcome("1:1, 3 pairs, window 16, UUIDv7")) == ()

    def test_a_limit_is_met_up_to_its_figure(self) -> None:
        (limit,) = limits_of(outcome())
        assert limit.met(outcome(server=3.25))
        assert not limit.met(outcome(server=3.26))

    def test_a_figure_that_is_missing_meets_no_limit(self) -> None:
        _, p99 = limits_of(outcome(STEADY))
        assert not p99.met(outcome(STEADY))

    def test_works_are_told_in_the_order_of_the_table(self) -> None:
        labels = [work.label for work in table(10)]
        mixed = [outcome(label) for label in reversed([*labels, "another"])]
        assert [told.work for told in in_order(mixed)] == ["another", *labels]

    def test_each_work_of_the_table_has_a_label_of_its_own(self) -> None:
        labels = [work.label for work in table(10)]
        assert len(set(labels)) == len(labels)


class ClusterTests(SynchronousTestCase):
    def test_the_same_work_is_asked_something_else_on_several_nodes(self) -> None:
        assert [str(limit) for limit in limits_of(on_two_nodes())] == ["60 µs nodes", "35 µs PostgreSQL", "10 µs Redis"]

    def test_each_limit_holds_for_the_cpu_of_one_of_them(self) -> None:
        for seconds, met in (({}, [1, 1, 1]), ({"nodes": 6.1}, [0, 1, 1]), ({"redis": 1.1}, [1, 1, 0])):
            outcome = on_two_nodes(**seconds)
            assert [limit.met(outcome) for limit in limits_of(outcome)] == met

    def test_each_work_has_a_label_of_its_own(self) -> None:
        labels = [work.label for work in cluster_table(10)]
        assert len(set(labels)) == len(labels)

    def test_a_row_fits_80_columns_with_what_is_asked(self) -> None:
        lines = printed(on_two_nodes(postgresql=123.456)).splitlines()
        assert lines[3].rstrip().endswith("60 µs nodes ✓")
        for figure in ("10,000", "38.2", "68.5", "60.0 µs", "1.23 ms", "5.0 µs"):
            assert figure in lines[3]
        assert lines[4].rstrip().endswith("35 µs PostgreSQL ✗")
        assert lines[5].rstrip().endswith("10 µs Redis ✓")

    def test_what_could_not_be_measured_is_left_open(self) -> None:
        outcome = Outcome(PAIRS, "message", 100_000, Usage(10.0, 6.0, 1.0), 64 * MIB, nodes=2)
        assert "–" in printed(outcome)
        assert "35 µs PostgreSQL –" in printed(outcome)

    def test_json_tells_the_cpu_of_each(self) -> None:
        (work,) = json.loads(as_json([on_two_nodes()]))["works"]
        assert work["nodes"] == 2
        assert [round(work[f"{who}_us"], 6) for who in ("server", "postgresql", "redis")] == [60, 30, 5]
        assert work["asked"] == {"server_us": 60, "postgresql_us": 35, "redis_us": 10}
        assert work["met"] is True


class TableTests(SynchronousTestCase):
    def test_a_row_fits_80_columns_with_what_is_asked(self) -> None:
        text = printed(outcome(latency=Latency(0.0098, 0.0353, 1.139)))
        first, second = text.splitlines()[3:5]
        assert first.rstrip().endswith("32.5 µs ✓")
        for figure in ("10,000", "9.8", "35.3", "1,139", "30.0 µs", "10.0 µs", "64.0 MiB"):
            assert figure in first
        assert "30.0 %" in second
        assert "10.0 %" in second

    def test_what_takes_long_is_told_in_milliseconds(self) -> None:
        listing = outcome("LIST_GROUP, 1,000 conversations, 20 unread each", count=50, server=1.25, load=0.0625)
        assert "25.0 ms 1.25 ms 64.0 MiB 30 ms ✓" in printed(listing)

    def test_a_row_fits_80_columns_under_a_load_that_is_too_high(self) -> None:
        slow = outcome(STEADY, latency=Latency(0.643, 1.766, 2.146), count=1000, server=9.123, load=2.345)
        text = printed(slow, outcome(latency=Latency(0.0098, 0.0353, 1.139)))
        assert "200 µs ✗" in text
        assert "10 ms p99 ✗" in text

    def test_a_limit_that_is_passed_is_marked(self) -> None:
        assert "32.5 µs ✗" in printed(outcome(server=3.6))

    def test_memory_is_told_for_each_connection(self) -> None:
        idle = outcome("idle, 10,000 connections, heartbeats each 5 s", growth=2304.0, unit="heartbeat")
        assert "2.25 KiB" in printed(idle)

    def test_a_load_that_holds_back_the_server_is_remarked(self) -> None:
        assert remarks([outcome(server=6.0, load=9.5)])[1:] == [
            f"{PAIRS}: the load was busier than the server, which could have done more."
        ]
        assert remarks([outcome(server=9.6, load=9.5)])[1:] == []

    def test_repeats_are_remarked(self) -> None:
        assert remarks([outcome(repeats=3)])[1].startswith(f"{PAIRS}: 3 came again")

    def test_the_counts_are_told_by_their_units(self) -> None:
        others = {"receipts": 4000, "read marks": 1900}
        (counted,) = remarks([outcome(also=others), outcome(STEADY, also=others), outcome("a group", unit="delivery")])
        assert counted.startswith(
            "Counted one by one: 200,000 messages, 8,000 receipts, 3,800 read marks, 100,000 deliveries; none lost"
        )

    def test_it_is_told_how_long_a_broadcast_took(self) -> None:
        assert remarks([outcome(reach=2.044)])[1] == (
            f"{PAIRS}: the slowest broadcast was with its last user after 2.04 s."
        )

    def test_with_a_breach_nothing_is_said_to_be_whole(self) -> None:
        (counted,) = remarks([outcome(breaches=("message m1 was lost",))])
        assert "none lost" not in counted


class JsonTests(SynchronousTestCase):
    def test_it_is_one_object_with_the_figures_of_each_work(self) -> None:
        told = json.loads(as_json([outcome(latency=Latency(0.001, 0.002, 0.003))]))
        (work,) = told["works"]
        assert work["work"] == PAIRS
        assert work["per_second"] == 10_000
        assert round(work["server_us"], 6) == 30
        assert (work["p50_ms"], work["p99_ms"], work["max_ms"]) == (1, 2, 3)
        assert work["asked"] == {"server_us": 32.5}
        assert work["met"] is True
        assert work["breaches"] == []

    def test_what_else_was_counted_is_told(self) -> None:
        (work,) = json.loads(as_json([outcome(also={"receipts": 4000}, reach=2.5)]))["works"]
        assert work["also"] == {"receipts": 4000}
        assert work["reach_s"] == 2.5

    def test_a_figure_there_is_not_is_null(self) -> None:
        (work,) = json.loads(as_json([outcome(count=0)]))["works"]
        assert work["server_us"] is None
        assert work["p99_ms"] is None
