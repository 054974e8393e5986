"""The codec: bytes in, packets out, whatever the split of the stream."""

import time
import tracemalloc
from collections.abc import Iterable
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imd.wire.bodies import Error
from imd.wire.commands import Command
from imd.wire.packet import (
    ACK,
    DEFLATE,
    HEADER_SIZE,
    MAX_BODY,
    MAX_BODY_BEFORE_LOGIN,
    MAX_MESSAGE,
    Decoder,
    MalformedPacketError,
    Packet,
    encode,
    encode_error,
)
from imd.wire.results import Result

U16 = st.integers(0, 2**16 - 1)
U32 = st.integers(0, 2**32 - 1)
PACKETS = st.builds(Packet, U16, st.integers(0, ACK | DEFLATE), U16, U32, st.binary(max_size=80))

CASES = {
    "nothing": [],
    "one without a body": [Packet(1, 0, 0, 1, b"")],
    "one of a single byte": [Packet(1, 0, 0, 1, b"\0")],
    "every field at its largest": [Packet(0xFFFF, ACK | DEFLATE, 0xFFFF, 0xFFFFFFFF, b"\xff" * 16)],
    "a body that looks like a packet": [Packet(0x0201, 0, 0, 9, encode(1, 1) + encode(2, 2, b"x"))],
    "an unknown command": [Packet(0x7FFF, 0, 0, 1, b"?")],
    "a request and its answer": [Packet(0x0201, 0, 0, 3, b"hi"), Packet(0x0201, ACK, 8, 3, b"no")],
    "many": [Packet(n, n % 4, n, n, b"b" * n) for n in range(40)],
    "small ones about a large one": [
        Packet(1, 0, 0, 1, b""),
        Packet(2, DEFLATE, 0, 2, bytes(range(256)) * 20),
        Packet(3, ACK, 0, 3, b""),
    ],
}


def stream_of(packets: Iterable[Packet]) -> bytes:
    return b"".join(encode(p.command, p.trace_id, p.body, p.flags, p.result) for p in packets)


def header(magic: int = 0x494D, version: int = 1, flags: int = 0, length: int = 0) -> bytes:
    """Sixteen bytes put together by hand, so that they can be wrong."""
    parts = ((magic, 2), (version, 1), (flags, 1), (1, 2), (0, 2), (1, 4), (length, 4))
    return b"".join(number.to_bytes(size, "big") for number, size in parts)


def decode(decoder: Decoder, *chunks: bytes) -> tuple[list[Packet], str]:
    """The packets of a stream that comes in these chunks, and the complaint that ended it (empty without one)."""
    packets: list[Packet] = []
    try:
        for chunk in chunks:
            for packet in decoder.feed(chunk):
                packets.append(packet)
    except MalformedPacketError as error:
        return packets, str(error)
    return packets, ""


def singly(stream: bytes) -> list[bytes]:
    return [stream[at : at + 1] for at in range(len(stream))]


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return [stream[start:stop] for start, stop in pairwise(edges)]


class TableOfCases(SynchronousTestCase):
    def test_packets_that_come_whole_are_decoded(self) -> None:
        for name, packets in CASES.items():
            self.assertEqual(decode(Decoder(), stream_of(packets)), (packets, ""), name)

    def test_packets_that_come_byte_by_byte_are_decoded(self) -> None:
        for name, packets in CASES.items():
            self.assertEqual(decode(Decoder(), *singly(stream_of(packets))), (packets, ""), name)

    def test_trailing_bytes_wait_for_the_rest_of_their_packet(self) -> None:
        late = Packet(0x0101, 0, 0, 77, b"late")
        trailing = stream_of([late])
        for name, packets in CASES.items():
            for kept in range(len(trailing)):
                decoder = Decoder()
                self.assertEqual(decode(decoder, stream_of(packets) + trailing[:kept]), (packets, ""), name)
                self.assertEqual(decode(decoder, trailing[kept:]), ([late], ""), name)

    def test_an_empty_read_changes_nothing(self) -> None:
        first, second = Packet(1, 0, 0, 1, b"one"), Packet(2, 0, 0, 2, b"two")
        stream = stream_of([first, second])
        chunks = (b"", stream[:5], b"", stream[5:25], b"", stream[25:], b"")
        self.assertEqual(decode(Decoder(), *chunks), ([first, second], ""))


class Encoding(SynchronousTestCase):
    def test_the_header_is_sixteen_big_endian_bytes(self) -> None:
        packet = encode(0x0102, 0x0708090A, b"\xee", ACK, 0x0506)
        self.assertEqual(packet, bytes.fromhex("494d 01 01 0102 0506 0708090a 00000001 ee"))

    def test_an_error_carries_its_result_in_the_header_and_in_the_body(self) -> None:
        [packet] = Decoder().feed(encode_error(Command.IM_SEND_MSG, 9, Result.CONFLICT, "taken"))
        self.assertEqual(packet[:4], (Command.IM_SEND_MSG, ACK, Result.CONFLICT, 9))
        self.assertEqual(Error.FromString(packet.body), Error(code=8, reason="taken"))


class MalformedHeaders(SynchronousTestCase):
    def assert_malformed(self, bad: bytes, complaint: str) -> None:
        """``bad`` ends the stream at once, whole and byte by byte, and after the packets before it."""
        before = [Packet(1, 0, 0, 1, b"fine"), Packet(2, 0, 0, 2, b"")]
        stream = stream_of(before)
        packets, said = decode(Decoder(), stream + bad + stream)
        self.assertEqual(packets, before)
        self.assertIn(complaint, said)
        self.assertEqual(decode(Decoder(), *singly(stream + bad)), (before, said))

    def test_a_wrong_magic_is_malformed(self) -> None:
        for magic in (0, 0x4D49, 0x494C, 0x484D, 0xFFFF):
            self.assert_malformed(header(magic=magic), f"magic 0x{magic:04X}")

    def test_a_wrong_version_is_malformed(self) -> None:
        for version in (0, 2, 255):
            self.assert_malformed(header(version=version), f"version {version}")

    def test_any_reserved_bit_is_malformed(self) -> None:
        for flags in range(256):
            if flags & ~(ACK | DEFLATE):
                self.assert_malformed(header(flags=flags), "reserved bits")
            else:
                self.assertEqual(decode(Decoder(), header(flags=flags)), ([Packet(1, flags, 0, 1, b"")], ""))

    def test_a_length_over_the_limit_is_malformed_before_any_of_its_body_comes(self) -> None:
        for length in (MAX_BODY + 1, 2**31, 2**32 - 1):
            self.assert_malformed(header(length=length), f"a body of {length} bytes where at most {MAX_BODY}")

    def test_fifteen_bytes_are_no_header_yet(self) -> None:
        decoder = Decoder()
        self.assertEqual(decode(decoder, b"\0" * (HEADER_SIZE - 1)), ([], ""))
        self.assertIn("magic", decode(decoder, b"\0")[1])


class Limits(SynchronousTestCase):
    def test_a_body_of_exactly_the_limit_passes_and_one_more_byte_does_not(self) -> None:
        for limit in (0, 1, MAX_BODY_BEFORE_LOGIN, MAX_BODY):
            largest = Packet(1, 0, 0, 1, b"x" * limit)
            self.assertEqual(decode(Decoder(limit), stream_of([largest])), ([largest], ""))
            over = header(length=limit + 1) + b"x" * (limit + 1)
            packets, complaint = decode(Decoder(limit), over)
            self.assertEqual(packets, [])
            self.assertIn(f"a body of {limit + 1} bytes where at most {limit} ", complaint)

    def test_the_limits_are_those_of_the_contract(self) -> None:
        limits = (HEADER_SIZE, MAX_BODY_BEFORE_LOGIN, MAX_BODY, MAX_MESSAGE)
        self.assertEqual(limits, (16, 4096, 1048576, 69632))

    def test_a_limit_raised_between_two_packets_of_one_read_holds_for_the_second(self) -> None:
        small, large = Packet(2, 0, 0, 1, b"login"), Packet(1, 0, 0, 2, b"x" * 9000)
        decoder = Decoder(MAX_BODY_BEFORE_LOGIN)
        packets = decoder.feed(stream_of([small, large]))
        self.assertEqual(next(packets), small)
        decoder.max_body = MAX_BODY
        self.assertEqual(next(packets), large)

    def test_a_limit_lowered_between_two_packets_of_one_read_holds_for_the_second(self) -> None:
        small, large = Packet(3, 0, 0, 1, b""), Packet(1, 0, 0, 2, b"x" * 9000)
        decoder = Decoder(MAX_BODY)
        packets = decoder.feed(stream_of([small, large]))
        self.assertEqual(next(packets), small)
        decoder.max_body = MAX_BODY_BEFORE_LOGIN
        self.assertRaises(MalformedPacketError, next, packets)

    def test_a_lowered_limit_spares_the_body_whose_header_came_before(self) -> None:
        large = Packet(1, 0, 0, 2, b"x" * 9000)
        stream = stream_of([large, large])
        for kept in (1, HEADER_SIZE - 1, HEADER_SIZE, HEADER_SIZE + 1, HEADER_SIZE + 8999):
            decoder = Decoder(MAX_BODY)
            self.assertEqual(decode(decoder, stream[:kept]), ([], ""))
            decoder.max_body = MAX_BODY_BEFORE_LOGIN
            packets, complaint = decode(decoder, stream[kept:])
            self.assertEqual(packets, [large] if kept >= HEADER_SIZE else [])
            self.assertIn("a body of 9000 bytes where at most 4096", complaint)


class Cost(SynchronousTestCase):
    def test_a_large_body_sent_byte_by_byte_costs_linear_time(self) -> None:
        # Copying what has come at each byte would move half a terabyte: a minute of CPU at the least.
        decoder = Decoder()
        byte = b"x"
        packets = list(decoder.feed(header(length=MAX_BODY)))
        started = time.process_time()
        for _ in range(MAX_BODY):
            packets.extend(decoder.feed(byte))
        self.assertLess(time.process_time() - started, 15)
        self.assertEqual(packets, [Packet(1, 0, 0, 1, byte * MAX_BODY)])

    def test_an_announced_body_takes_no_memory_before_it_comes(self) -> None:
        decoder = Decoder()
        tracemalloc.start()
        try:
            self.assertEqual(decode(decoder, header(length=MAX_BODY)), ([], ""))
            self.assertLess(tracemalloc.get_traced_memory()[1], 4096)
        finally:
            tracemalloc.stop()


class Properties(SynchronousTestCase):
    """What holds for streams nobody thought of."""

    @settings(deadline=None, max_examples=300)
    @given(st.lists(PACKETS, max_size=8), st.lists(st.integers(0, 900), max_size=12))
    def test_any_split_of_any_packets_gives_the_same_packets(self, packets: list[Packet], places: list[int]) -> None:
        self.assertEqual(decode(Decoder(), *cut(stream_of(packets), places)), (packets, ""))

    @settings(deadline=None, max_examples=300)
    @given(
        st.lists(st.one_of(st.binary(max_size=40), PACKETS.map(lambda packet: stream_of([packet]))), max_size=6),
        st.lists(st.integers(0, 400), max_size=6),
        st.integers(0, 64),
    )
    @example([b"GET / HTTP/1.1\r\nHost: chat.example\r\n\r\n"], [], 64)
    @example([bytes.fromhex("16030100f8010000f40303") + b"\0" * 32], [3], 64)
    def test_arbitrary_bytes_are_packets_or_malformed_and_nothing_else(
        self, pieces: list[bytes], places: list[int], max_body: int
    ) -> None:
        stream = b"".join(pieces)
        packets, complaint = decode(Decoder(max_body), stream)
        self.assertTrue(stream.startswith(stream_of(packets)), "the packets are not what the bytes say")
        for packet in packets:
            self.assertLessEqual(len(packet.body), max_body)
            self.assertEqual(packet.flags & ~(ACK | DEFLATE), 0)
        for chunks in (cut(stream, places), singly(stream)):
            self.assertEqual(decode(Decoder(max_body), *chunks), (packets, complaint))
