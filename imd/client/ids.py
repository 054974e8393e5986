"""Message ids: UUIDs of version 7 (RFC 9562, section 5.7), whose order keeps the server's index cheap."""

from collections.abc import Callable
from uuid import UUID

_VERSION = 7 << 76
_VARIANT = 0b10 << 62


def uuid7(now_ms: int, random: Callable[[int], bytes]) -> str:
    """Return a new id for the time ``now_ms`` (milliseconds since the epoch), in its 36-character form."""
    noise = int.from_bytes(random(10))
    rand_a, rand_b = noise >> 62 & 0xFFF, noise & (1 << 62) - 1
    return str(UUID(int=now_ms << 80 | _VERSION | rand_a << 64 | _VARIANT | rand_b))
