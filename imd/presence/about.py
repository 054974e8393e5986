"""What a node tells about itself in Redis, for people to read."""

import msgspec
from msgspec import Struct


class About(Struct, frozen=True):
    """The version a node runs, and how many sessions are logged in there.

    Fields are only ever added, each with a default: another version's are skipped.
    """

    version: str = ""
    sessions: int | None = None


def encode_about(about: About) -> bytes:
    """Return JSON."""
    return msgspec.json.encode(about)


def decode_about(told: bytes | None) -> About:
    """Return what a node has told, nothing known where that can't be read or has expired."""
    try:
        return msgspec.json.decode(told or b"{}", type=About)
    except msgspec.DecodeError:
        return About()
