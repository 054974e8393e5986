"""Joining what many sources send to one connection in one turn into one write."""

from typing import Protocol


class Writer(Protocol):
    """A connection with something to write."""

    def flush(self) -> None:
        """Write it."""


class Outbox:
    """While held, connections queue what they send and are written to once, at ``flush``."""

    __slots__ = ("_waiting", "is_held")

    def __init__(self) -> None:
        self.is_held = False
        self._waiting: list[Writer] = []

    def hold(self) -> None:
        """Begin to queue."""
        self.is_held = True

    def add(self, writer: Writer) -> None:
        """Write to this one at ``flush``; called once for each that has something."""
        self._waiting.append(writer)

    def flush(self) -> None:
        """Write to each that has something, and queue no more."""
        self.is_held = False
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for writer in waiting:
                writer.flush()
