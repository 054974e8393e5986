"""The codec: bytes in, packets out, and back.

Sans-I/O, after h11's example: no socket is in sight, so every split of the stream can be tried in a test.
The layout is proto/README.md's: a 16-byte big-endian header, then the body.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from imd.wire.bodies import Error
from imd.wire.results import Result

MAGIC = 0x494D
VERSION = 1
ACK = 0x01
DEFLATE = 0x02
HEADER_SIZE = 16
MAX_BODY_BEFORE_LOGIN = 4 * 1024
MAX_BODY = 1024 * 1024
MAX_MESSAGE = 68 * 1024
DEFLATE_FROM = 512
"""Bodies shorter than this, in bytes, are not worth compressing."""

_HEADER = struct.Struct(">HBBHHII")
_KNOWN_FLAGS = ACK | DEFLATE
_pack = _HEADER.pack
_unpack_from = _HEADER.unpack_from


class MalformedPacketError(Exception):
    """The stream can't be trusted any more; the connection has to close."""


class InflateError(Exception):
    """A DEFLATE body that is no zlib stream."""


class InflateLimitError(Exception):
    """A DEFLATE body that inflates past the limit."""


class Packet(NamedTuple):
    """One packet as it came: ``body`` is still compressed where ``flags`` says so."""

    command: int
    flags: int
    result: int
    trace_id: int
    body: bytes


class Decoder:
    """Cuts a byte stream into packets.

    ``max_body`` (bytes) may be changed at any time; it holds for the headers read after that. No more than one
    unfinished packet is kept.
    """

    __slots__ = ("_needed", "_partial", "max_body")

    def __init__(self, max_body: int = MAX_BODY) -> None:
        self.max_body = max_body
        self._partial: bytearray | None = None
        self._needed = HEADER_SIZE

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Yield each packet that ``data`` completes.

        Raises MalformedPacketError at the first header that breaks the contract, after the packets before it.
        """
        partial = self._partial
        accepted = 0  # the length in a header that was let through earlier, under the max_body of that time
        if partial is not None:
            partial += data
            if len(partial) < self._needed:
                return
            data = bytes(partial)
            accepted = self._needed - HEADER_SIZE
            self._partial = None
        start = 0
        end = len(data)
        needed = HEADER_SIZE
        while end - start >= HEADER_SIZE:
            magic, version, flags, command, result, trace_id, length = _unpack_from(data, start)
            if (
                magic != MAGIC
                or version != VERSION
                or flags & ~_KNOWN_FLAGS
                or (length > self.max_body and (start or length > accepted))
            ):
                raise MalformedPacketError(self._complaint(magic, version, flags, length))
            body = start + HEADER_SIZE
            stop = body + length
            if stop > end:
                needed = HEADER_SIZE + length
                break
            yield Packet(command, flags, result, trace_id, data[body:stop])
            start = stop
        if start < end:
            self._partial = bytearray(data[start:] if start else data)
            self._needed = needed

    def _complaint(self, magic: int, version: int, flags: int, length: int) -> str:
        if magic != MAGIC:
            return f"magic 0x{magic:04X} where 0x{MAGIC:04X} was expected"
        if version != VERSION:
            return f"version {version} where {VERSION} was expected"
        if flags & ~_KNOWN_FLAGS:
            return f"reserved bits in the flags 0x{flags:02X}"
        return f"a body of {length} bytes where at most {self.max_body} are allowed"


def encode(command: int, trace_id: int, body: bytes = b"", flags: int = 0, result: int = 0) -> bytes:
    """Build a whole packet; ``body`` goes out as it is."""
    return _pack(MAGIC, VERSION, flags, command, result, trace_id, len(body)) + body


def encode_deflated(command: int, trace_id: int, body: bytes, flags: int = 0, result: int = 0) -> bytes:
    """Build a packet whose body is compressed where that makes it smaller."""
    if len(body) >= DEFLATE_FROM:
        deflated = zlib.compress(body)
        if len(deflated) < len(body):
            return encode(command, trace_id, deflated, flags | DEFLATE, result)
    return encode(command, trace_id, body, flags, result)


def encode_error(command: int, trace_id: int, result: Result, reason: str) -> bytes:
    """Build the ACK of a request that failed; ``reason`` is a sentence a developer can act on."""
    body = Error(code=result, reason=reason).SerializeToString()
    return encode(command, trace_id, body, ACK, result)


def inflate(body: bytes, limit: int) -> bytes:
    """Return the body that ``body`` is the zlib stream (RFC 1950) of; makes at most ``limit`` + 1 bytes.

    Raises InflateLimitError where it would be longer, InflateError where it is no complete zlib stream.
    """
    stream = zlib.decompressobj()
    try:
        inflated = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise InflateError(str(error)) from error
    if len(inflated) > limit:
        raise InflateLimitError(f"the body inflates to more than {limit} bytes")
    if not stream.eof or stream.unused_data:
        raise InflateError("the body is not exactly one zlib stream")
    return inflated
