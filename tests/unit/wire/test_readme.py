"""proto/README.md keeps its word: its tables are the code's, and its golden vectors are decoded and encoded."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from google.protobuf.json_format import Parse
from google.protobuf.message import Message
from twisted.trial.unittest import SynchronousTestCase

from imd.wire import bodies
from imd.wire.bodies import Empty
from imd.wire.commands import BODIES, Command
from imd.wire.packet import (
    ACK,
    DEFLATE,
    MAX_BODY,
    Decoder,
    MalformedPacketError,
    Packet,
    encode,
    encode_deflated,
    inflate,
)
from imd.wire.results import KickReason, Result

README = (Path(__file__).resolve().parents[3] / "proto" / "README.md").read_text(encoding="utf-8")

Row = dict[str, str]


def rows(*header: str) -> list[Row]:
    """The rows of every table under this header."""
    head = "| " + " | ".join(header) + " |\n"
    found = []
    for table in README.split(head)[1:]:
        for line in table.splitlines()[1:]:
            if not line.startswith("|"):
                break
            cells = line.strip("| ").split(" | ")
            found.append(dict(zip(header, (cell.strip("`") for cell in cells), strict=True)))
    return found


COMMANDS = rows("code", "name", "way", "body", "answer", "now")


class Vector(NamedTuple):
    """A golden packet: what it means, and its bytes. ``body`` is not compressed."""

    title: str
    command: int
    way: str
    flags: int
    trace_id: int
    result: int
    body: Message
    stream: bytes


def vectors() -> Iterator[Vector]:
    for row in rows("packet", "command", "way", "traceId", "result", "body", "bytes"):
        name = row["command"]
        known = Command.__members__.get(name)
        command = int(name, 16) if known is None else known
        way, _, deflate = row["way"].partition(", ")
        result = Result[row["result"]]
        kind: type[Message] | None = Empty
        if result:
            kind = bodies.Error
        elif known is not None and way != "receipt":
            kind = getattr(BODIES[known], way)
        if kind is None:
            raise ValueError(f"{name} has no {way}")
        flags = (ACK if way in ("answer", "receipt") else 0) | (DEFLATE if deflate else 0)
        body = Parse(row["body"], kind())
        title = f"{name} {way}: {row['packet']}"
        yield Vector(title, command, way, flags, int(row["traceId"]), result, body, bytes.fromhex(row["bytes"]))


class GoldenVectors(SynchronousTestCase):
    def test_each_decodes_to_its_meaning(self) -> None:
        for vector in vectors():
            [packet] = Decoder().feed(vector.stream)
            self.assertEqual(packet[:4], (vector.command, vector.flags, vector.result, vector.trace_id), vector.title)
            body = inflate(packet.body, MAX_BODY) if vector.flags & DEFLATE else packet.body
            self.assertEqual(type(vector.body).FromString(body), vector.body, vector.title)

    def test_each_meaning_encodes_to_its_bytes(self) -> None:
        for vector in vectors():
            body = vector.body.SerializeToString(deterministic=True)
            if not vector.flags & DEFLATE:
                packet = encode(vector.command, vector.trace_id, body, vector.flags, vector.result)
                self.assertEqual(packet.hex(), vector.stream.hex(), vector.title)

    def test_each_compressed_meaning_encodes_to_what_inflates_to_it(self) -> None:
        # zlibs differ in the bytes, so these can't be compared.
        compressed = [vector for vector in vectors() if vector.flags & DEFLATE]
        self.assertNotEqual(compressed, [])
        for vector in compressed:
            body = vector.body.SerializeToString(deterministic=True)
            [packet] = Decoder().feed(encode_deflated(vector.command, vector.trace_id, body))
            self.assertEqual(packet.flags, vector.flags, vector.title)
            self.assertEqual(inflate(packet.body, MAX_BODY), body, vector.title)

    def test_they_come_out_of_one_stream_in_order(self) -> None:
        golden = list(vectors())
        packets = list(Decoder().feed(b"".join(vector.stream for vector in golden)))
        self.assertEqual([p.trace_id for p in packets], [vector.trace_id for vector in golden])

    def test_every_command_of_this_release_has_one_for_each_way(self) -> None:
        expected = set()
        for row in COMMANDS:
            ways = ("request", "answer") if row["now"] == "answers" else ("push", "receipt")
            expected.add((row["name"], ways[0], True))
            if row["answer"] not in ("none", "0x0103"):  # a notice is answered by a command of its own
                expected.add((row["name"], ways[1], True))
            if row["now"] == "answers" and row["answer"] != "none":
                expected.add((row["name"], "answer", False))
        found = {
            (Command(vector.command).name, vector.way, vector.result == Result.OK)
            for vector in vectors()
            if vector.command in set(Command)
        }
        self.assertEqual(found, expected)

    def test_an_unknown_command_has_its_request_and_its_answer(self) -> None:
        unknown = [(v.way, v.result) for v in vectors() if v.command not in set(Command)]
        self.assertEqual(unknown, [("request", Result.OK), ("answer", Result.UNKNOWN_COMMAND)])

    def test_the_packets_that_close_the_connection_are_malformed(self) -> None:
        bad = rows("what is wrong", "bytes")
        self.assertGreater(len(bad), 5)
        for row in bad:
            stream = bytes.fromhex(row["bytes"])
            self.assertEqual(len(stream), 16, row["what is wrong"])
            packets = Decoder().feed(encode(1, 1) + stream)
            self.assertEqual(next(packets), Packet(1, 0, 0, 1, b""))
            self.assertRaises(MalformedPacketError, next, packets)


class Tables(SynchronousTestCase):
    def test_the_commands_are_the_codes(self) -> None:
        codes = {(row["name"], row["code"]) for row in COMMANDS}
        self.assertEqual(codes, {(command.name, f"0x{command:04X}") for command in Command})

    def test_the_bodies_of_the_commands_are_the_codes(self) -> None:
        found: dict[str, dict[str, str]] = {command.name: {} for command in Command}
        for row in COMMANDS:
            if row["way"].startswith("C→S"):
                found[row["name"]] |= {"request": row["body"], "answer": row["answer"]}
            else:
                self.assertEqual(row["way"], "S→C")
                found[row["name"]] |= {"push": row["body"]}
        for command, (request, answer, push) in BODIES.items():
            expected = {}
            if request is not None:
                name = "none" if answer is None else "empty" if answer is Empty else answer.DESCRIPTOR.name
                expected = {"request": request.DESCRIPTOR.name, "answer": name}
            if push is not None:
                expected["push"] = push.DESCRIPTOR.name
            self.assertEqual(found[command.name], expected, command.name)

    def test_every_command_says_what_this_release_does(self) -> None:
        for row in COMMANDS:
            does = "answers" if row["way"].startswith("C→S") else "sends"
            self.assertEqual(row["now"], does, row["name"])

    def test_every_command_has_prose(self) -> None:
        prose = README.split("### Session", 1)[1].split("## Messages", 1)[0]
        for command in Command:
            self.assertIn(f"**{command.name}**", prose)

    def test_the_results_are_the_codes(self) -> None:
        results = {row["name"]: int(row["code"]) for row in rows("code", "name", "meaning")}
        self.assertEqual(results, {result.name: result.value for result in Result})

    def test_the_reasons_of_a_kick_are_the_codes(self) -> None:
        told = re.search(r"\*\*KickNotice\*\*: `reason` is ([^.]*)\.", README)
        assert told is not None
        reasons = ", ".join(f"{reason.value} {reason.name.lower().replace('_', ' ')}" for reason in KickReason)
        self.assertEqual(told[1], reasons)

    def test_each_field_of_a_message_in_a_chat_has_its_meaning(self) -> None:
        told = " ".join(row["field of `ImMsg`"] for row in rows("field of `ImMsg`", "set by", "meaning"))
        self.assertEqual(set(re.findall(r"\w+", told)), {field.name for field in bodies.ImMsg.DESCRIPTOR.fields})
