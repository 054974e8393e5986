"""The signature of a webhook: who holds the secret can tell that imd has sent this body, and when."""

import hmac
from collections.abc import Mapping

TIMESTAMP = "Imd-Timestamp"
"""The header with the time of the attempt, in seconds since the epoch."""

SIGNATURE = "Imd-Signature"
"""The header with ``sha256=`` and the HMAC-SHA256, in hex, over the timestamp, a full stop, and the body."""

WINDOW = 300
"""Seconds: what was signed longer ago is to be refused, as it may be a copy that somebody sends again."""


def signed(secret: bytes, body: bytes, now: int) -> Mapping[str, str]:
    """Return the headers that sign ``body`` at ``now``, in seconds since the epoch."""
    digest = hmac.digest(secret, b"%d." % now + body, "sha256").hex()
    return {TIMESTAMP: str(now), SIGNATURE: f"sha256={digest}"}
