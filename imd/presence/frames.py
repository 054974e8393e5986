"""What nodes send each other: one frame for each batch and target node, in MessagePack.

Two versions run side by side during an upgrade: what a node doesn't know in a frame is skipped, what it misses has its
default. So fields are only ever added, at the end and with a default, and none gets another type or meaning.
"""

import msgspec
from msgspec import Struct


class Parcel(Struct, array_like=True, frozen=True):
    """A packet for users' sessions; where it has a ``group_id`` it is the push of a message, which they ACK."""

    command: int
    body: bytes
    uids: tuple[int, ...]
    group_id: str = ""
    seq_id: int = 0
    sender: int = 0


class KickAt(Struct, array_like=True, frozen=True):
    """A session of the node to be ended."""

    session_id: str
    reason: int
    message: str


class BlockedBy(Struct, array_like=True, frozen=True):
    """``uid`` has just blocked ``uids``, and is offline to them from here on."""

    uid: int
    uids: tuple[int, ...]


class Content(Struct, omit_defaults=True, frozen=True, kw_only=True):
    """What a frame brings; ``parcels`` in the order in which they were sent, ``broadcasts`` for everybody there."""

    parcels: tuple[Parcel, ...] = ()
    broadcasts: tuple[Parcel, ...] = ()
    kicks: tuple[KickAt, ...] = ()
    blocks: tuple[BlockedBy, ...] = ()


class Frame(Struct, array_like=True, frozen=True):
    """What one node sends another.

    ``began`` (ms) is when the sender began to count what it sends to this node; ``seq`` is the frame's number in that
    count, from 1 on. A frame without content is not counted: it only says how far the count is.
    """

    sender: str
    began: int
    seq: int
    content: Content | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Frame)


def encode_frame(frame: Frame) -> bytes:
    """Return the bytes of a frame."""
    return _encoder.encode(frame)


def decode_frame(data: bytes) -> Frame:
    """Return the frame of these bytes. Raises ValueError where they are none."""
    return _decoder.decode(data)
