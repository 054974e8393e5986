"""DEFLATE bodies: compressed where it pays, inflated never past the limit."""

import hashlib
import tracemalloc
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imd.wire.packet import (
    ACK,
    DEFLATE,
    DEFLATE_FROM,
    MAX_BODY,
    Decoder,
    InflateError,
    InflateLimitError,
    encode,
    encode_deflated,
    inflate,
)

TEXT = b"the same words again and again. " * 200


class Inflating(SynchronousTestCase):
    def test_a_body_of_exactly_the_limit_is_inflated(self) -> None:
        for limit in (0, 1, 4096, MAX_BODY):
            self.assertEqual(inflate(zlib.compress(b"x" * limit), limit), b"x" * limit)

    def test_one_byte_over_the_limit_is_refused(self) -> None:
        for limit in (0, 1, 4096, MAX_BODY):
            self.assertRaises(InflateLimitError, inflate, zlib.compress(b"x" * (limit + 1)), limit)

    def test_a_truncated_stream_is_no_body(self) -> None:
        stream = zlib.compress(TEXT)
        for kept in range(len(stream)):
            self.assertRaises(InflateError, inflate, stream[:kept], MAX_BODY)

    def test_trailing_bytes_are_no_part_of_a_body(self) -> None:
        stream = zlib.compress(TEXT)
        for trailing in (b"\0", b"garbage", stream):
            self.assertRaises(InflateError, inflate, stream + trailing, MAX_BODY)

    def test_a_damaged_checksum_is_found(self) -> None:
        stream = bytearray(zlib.compress(TEXT))
        stream[-1] ^= 1
        self.assertRaises(InflateError, inflate, bytes(stream), MAX_BODY)

    def test_what_is_no_zlib_stream_is_refused(self) -> None:
        raw = zlib.compressobj(wbits=-15)
        gzip = zlib.compressobj(wbits=31)
        dictionary = zlib.compressobj(zdict=b"words")
        for body in (
            b"plain text",
            raw.compress(TEXT) + raw.flush(),
            gzip.compress(TEXT) + gzip.flush(),
            dictionary.compress(TEXT) + dictionary.flush(),
        ):
            self.assertRaises(InflateError, inflate, body, MAX_BODY)

    def test_a_bomb_never_takes_more_memory_than_the_limit_allows(self) -> None:
        bomb = zlib.compress(bytes(64 * MAX_BODY), 9)
        self.assertLess(len(bomb), MAX_BODY, "it has to pass as a body")
        tracemalloc.start()
        try:
            self.assertRaises(InflateLimitError, inflate, bomb, MAX_BODY)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        # The pieces and their sum are held for a moment, and the rest of the bomb is copied once.
        self.assertLess(peak, 2 * MAX_BODY + len(bomb) + 256 * 1024)

    @settings(deadline=None)
    @given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(zlib.compress)), st.integers(0, 100))
    def test_arbitrary_bytes_are_a_body_within_the_limit_or_a_declared_error(self, body: bytes, limit: int) -> None:
        try:
            inflated = inflate(body, limit)
        except (InflateError, InflateLimitError):
            return
        self.assertLessEqual(len(inflated), limit)
        self.assertEqual(zlib.decompress(body), inflated)


class Deflating(SynchronousTestCase):
    def test_a_compressed_body_comes_back_as_it_was(self) -> None:
        [packet] = Decoder().feed(encode_deflated(0x0101, 7, TEXT, ACK))
        self.assertEqual(packet[:4], (0x0101, ACK | DEFLATE, 0, 7))
        self.assertLess(len(packet.body), len(TEXT))
        self.assertEqual(inflate(packet.body, len(TEXT)), TEXT)

    def test_a_short_body_is_sent_as_it_is(self) -> None:
        body = b"x" * (DEFLATE_FROM - 1)
        self.assertEqual(encode_deflated(1, 2, body, ACK, 3), encode(1, 2, body, ACK, 3))
        [packet] = Decoder().feed(encode_deflated(1, 2, body + b"x"))
        self.assertEqual(packet.flags, DEFLATE)

    def test_a_body_that_would_not_shrink_is_sent_as_it_is(self) -> None:
        body = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(DEFLATE_FROM // 32 + 1))
        self.assertEqual(encode_deflated(1, 2, body), encode(1, 2, body))

    @settings(deadline=None)
    @given(st.one_of(st.binary(max_size=1200), st.binary(max_size=20).map(lambda piece: piece * 60)))
    def test_any_body_comes_back_as_it_was(self, body: bytes) -> None:
        encoded = encode_deflated(0x0201, 3, body)
        self.assertLessEqual(len(encoded), len(encode(0x0201, 3, body)))
        [packet] = Decoder().feed(encoded)
        self.assertEqual(inflate(packet.body, len(body)) if packet.flags & DEFLATE else packet.body, body)
