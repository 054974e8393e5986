"""A line that begins with a slash."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from imd.cli.chat.talk import Talk


class Typed(NamedTuple):
    """A line that was typed; ``id`` is the same each time it is sent."""

    id: str
    line: str


class Verb(NamedTuple):
    """How a command is written, and what it does.

    ``run`` gets the words after the first. It raises ValueError where they are not as ``usage`` says, and ResultError.
    """

    usage: str
    purpose: str
    run: Callable[[Talk, Typed, list[str]], Awaitable[None]]


def uids(words: list[str]) -> list[int]:
    """Return uids, one at least. Raises ValueError."""
    if not words:
        raise ValueError("no uids")
    return [positive(word) for word in words]


def positive(word: str) -> int:
    """Return a number from 1 on. Raises ValueError, as a message does of a number that is too large for it."""
    number = int(word)
    if number <= 0:
        raise ValueError(f"{number} is not 1 or more")
    return number
