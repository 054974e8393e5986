"""On whose behalf something is done."""

from typing import Protocol

SYSTEM = 0
"""The uid of who is no user: an operator or a business server, through the HTTP API."""


class Actor(Protocol):
    """Somebody who does something: a session's user, or SYSTEM."""

    @property
    def uid(self) -> int:
        """Who it is."""
