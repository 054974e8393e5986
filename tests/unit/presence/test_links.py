"""Links: what gets lost between two nodes is noticed, and nothing else is."""

from collections.abc import Iterable

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from imd.presence import links
from imd.presence.frames import Content, Frame, Parcel, decode_frame, encode_frame
from imd.presence.links import FORGET_MS, MAX_FRAME, Links

START = 1_763_856_000_000


def content(*texts: str) -> Content:
    return Content(parcels=tuple(Parcel(0x0302, text.encode(), (1,)) for text in texts))


class LinksTestCase(SynchronousTestCase):
    """Three nodes and the wire between them; ``doubts`` holds what each was told, in ms since the start."""

    def setUp(self) -> None:
        self.ms = 0
        self.wire: list[tuple[str, bytes]] = []
        self.doubts: dict[str, list[int]] = {"a": [], "b": [], "c": []}
        self.nodes: dict[str, Links] = {}
        for name in self.doubts:
            self.start(name)

    def start(self, name: str) -> None:
        """Start the node, or start it again."""
        self.nodes[name] = Links(
            name,
            lambda target, data: self.wire.append((target, data)),
            lambda: START + self.ms,
            lambda since: self.doubts[name].append(since - START),
        )

    def send(self, *texts: str, source: str = "a", target: str = "b") -> None:
        """Send each text in a frame of its own."""
        for text in texts:
            self.nodes[source].send(target, content(text))

    def beat(self, source: str = "a", targets: Iterable[str] = ("b",)) -> None:
        self.nodes[source].beat(frozenset(targets))

    def lose(self) -> None:
        """Lose what is on the wire."""
        assert self.wire
        self.wire.clear()

    def arrive(self) -> list[str]:
        """Let what is on the wire arrive, and return the texts of it."""
        wire, self.wire = self.wire, []
        got = [self.nodes[target].received(data) for target, data in wire]
        return [parcel.body.decode() for came in got if came is not None for parcel in came.parcels]

    def at(self, ms: int) -> None:
        self.ms = ms


class Counting(LinksTestCase):
    def test_what_is_sent_arrives_and_nothing_is_in_doubt(self) -> None:
        self.beat()
        self.send("one", "two")
        self.beat()
        self.send("three")
        assert self.arrive() == ["one", "two", "three"]
        assert self.doubts["b"] == []

    def test_a_lost_frame_is_noticed_at_the_next_one(self) -> None:
        self.send("one")
        self.arrive()
        self.send("two")
        self.lose()
        self.send("three")
        assert self.arrive() == ["three"]
        assert len(self.doubts["b"]) == 1

    def test_a_lost_last_frame_is_noticed_at_the_next_beat(self) -> None:
        self.send("one")
        self.arrive()
        self.send("two")
        self.lose()
        self.beat()
        self.arrive()
        assert len(self.doubts["b"]) == 1

    def test_the_doubt_begins_where_all_was_still_well(self) -> None:
        self.at(1000)
        self.send("one")
        self.arrive()
        self.at(2000)
        self.beat()
        self.arrive()
        self.at(2100)
        self.send("two", "three")
        self.lose()
        self.at(3000)
        self.beat()
        self.arrive()
        assert self.doubts["b"] == [2000]

    def test_what_is_lost_is_told_once(self) -> None:
        self.send("one")
        self.lose()
        for _ in range(3):
            self.beat()
            self.send("more")
            self.arrive()
        assert len(self.doubts["b"]) == 1

    def test_a_lost_beat_is_no_loss(self) -> None:
        self.send("one")
        self.arrive()
        self.beat()
        self.lose()
        self.send("two")
        self.arrive()
        assert self.doubts["b"] == []

    def test_what_could_not_be_sent_is_noticed_as_if_it_had_been_lost(self) -> None:
        self.beat("a", ["b", "c"])
        self.arrive()
        self.at(500)
        self.nodes["a"].lost(["b", "c"])
        self.at(1000)
        self.beat("a", ["b", "c"])
        self.arrive()
        assert (self.doubts["b"], self.doubts["c"]) == ([0], [0])

    def test_each_two_nodes_have_counts_of_their_own_both_ways(self) -> None:
        self.send("one", "two", target="c")
        self.send("one", source="c", target="a")
        self.send("one")
        self.arrive()
        for name in self.nodes:
            self.beat(name, self.nodes.keys() - {name})
        self.arrive()
        assert self.doubts == {"a": [], "b": [], "c": []}

    def test_what_arrives_late_was_missed_already(self) -> None:
        self.send("one", "two")
        self.wire.reverse()
        assert self.arrive() == ["two", "one"]
        self.send("three")
        assert self.arrive() == ["three"]
        assert len(self.doubts["b"]) == 1

    def test_a_frame_that_cannot_be_read_is_a_lost_one(self) -> None:
        self.send("one")
        self.wire = [("b", b"nonsense")]
        assert self.arrive() == []
        assert self.doubts["b"] == []
        self.beat()
        self.arrive()
        assert len(self.doubts["b"]) == 1

    def test_a_frame_of_which_nothing_is_known_is_none_that_was_lost(self) -> None:
        self.wire = [("b", msgspec.msgpack.encode(("a", START, 1, {"greetings": ["from a newer version"]})))]
        assert self.arrive() == []
        self.wire = [("b", encode_frame(Frame("a", START, 2, content("two"))))]
        assert self.arrive() == ["two"]
        assert self.doubts["b"] == []


class ComingAndGoing(LinksTestCase):
    def test_the_first_frame_of_a_new_node_is_no_news(self) -> None:
        self.send("one")
        self.beat("c", ["b"])
        self.arrive()
        assert self.doubts["b"] == []

    def test_the_first_frames_of_a_new_node_can_be_missing_too(self) -> None:
        self.at(60_000)
        self.send("one")
        self.lose()
        self.at(61_000)
        self.beat()
        self.arrive()
        assert self.doubts["b"] == [60_000]

    def test_a_node_that_starts_again_counts_anew(self) -> None:
        self.send("one", "two")
        self.arrive()
        self.at(5000)
        self.start("a")
        self.beat()
        self.send("one")
        assert self.arrive() == ["one"]
        assert self.doubts["b"] == []

    def test_of_a_node_that_has_started_again_something_may_be_missing_since_then(self) -> None:
        self.send("one")
        self.arrive()
        self.at(5000)
        self.start("a")
        self.send("one")
        self.lose()
        self.at(6000)
        self.beat()
        self.arrive()
        assert self.doubts["b"] == [5000]

    def test_a_node_that_has_just_started_may_have_missed_what_was_sent_to_it_since(self) -> None:
        self.send("to the one before")
        self.arrive()
        self.at(5000)
        self.start("b")
        self.at(6000)
        self.beat()
        self.arrive()
        assert self.doubts["b"] == [5000]
        self.send("one")
        self.arrive()
        assert self.doubts["b"] == [5000]

    def test_a_node_that_was_gone_for_a_moment_is_counted_on(self) -> None:
        self.send("one")
        self.send("one", source="b", target="a")
        self.arrive()
        self.at(60_000)
        self.beat("a", [])
        self.beat("b", [])
        self.send("two")
        self.send("two", source="b", target="a")
        self.arrive()
        assert (self.doubts["a"], self.doubts["b"]) == ([], [])
        self.beat("a", [])
        self.send("three")
        self.lose()
        self.beat()
        self.arrive()
        assert self.doubts["b"] == [60_000]

    def test_one_that_is_gone_for_an_hour_is_forgotten(self) -> None:
        self.send("one")
        self.arrive()
        self.beat("b", ["a"])
        self.arrive()
        self.at(FORGET_MS + 1)
        self.beat("a", [])
        self.send("two")
        ((_, data),) = self.wire
        assert decode_frame(data) == Frame("a", START + FORGET_MS + 1, 1, content("two"))
        assert self.arrive() == ["two"]
        assert self.doubts["b"] == []

    def test_one_that_lives_is_not_forgotten_however_quiet(self) -> None:
        self.send("one")
        self.lose()
        self.at(10 * FORGET_MS)
        self.beat()
        self.lose()
        self.beat()
        self.arrive()
        assert len(self.doubts["b"]) == 1


class Size(LinksTestCase):
    def test_what_is_long_goes_in_several_frames_in_order(self) -> None:
        self.patch(links, "MAX_FRAME", 200)
        texts = [f"{number:060}" for number in range(20)]
        self.nodes["a"].send("b", content(*texts))
        assert len(self.wire) > 1
        assert all(len(data) <= 200 for _, data in self.wire)
        assert self.arrive() == texts
        self.beat()
        self.arrive()
        assert self.doubts["b"] == []

    def test_one_parcel_goes_in_one_frame_however_long(self) -> None:
        self.patch(links, "MAX_FRAME", 200)
        texts = ["a", "x" * 1000, "b"]
        self.nodes["a"].send("b", content(*texts))
        assert self.arrive() == texts

    def test_an_ordinary_batch_is_one_frame(self) -> None:
        self.nodes["a"].send("b", content(*["x" * 1000] * (MAX_FRAME // 1100)))
        assert len(self.wire) == 1
