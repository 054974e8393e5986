"""The chat's two pipes: lines in, lines out."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from imd.cli.chat.screen import clean


@implementer(IHalfCloseableProtocol)
class Terminal(LineReceiver):
    """Hands each line to ``on_line``, without its end, and calls ``on_end`` after the last.

    ``on_end`` gets a sentence where there was more that can't be read, else an empty one; it may be called again.
    """

    delimiter = b"\n"
    MAX_LENGTH = 64 * 1024

    def __init__(self, on_line: Callable[[str], None], on_end: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._on_end = on_end
        self._written: Deferred[None] = Deferred()

    def say(self, line: str) -> None:
        """Write a line, without what would steer the terminal."""
        self._transport().write(f"{clean(line)}\n".encode())

    def close(self) -> Deferred[None]:
        """Read no more, and fire when all is written."""
        if not self._written.called:
            self._transport().loseConnection()
        return self._written

    # What Twisted calls.

    def lineReceived(self, line: bytes) -> None:
        """Hand a line on."""
        self._on_line(line.decode(errors="replace").removesuffix("\r"))

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: ARG002
        """Stop reading: where the next line begins isn't known."""
        self.pauseProducing()
        self._on_end(f"A line is longer than {self.MAX_LENGTH} bytes; neither it nor what follows is sent.")

    def readConnectionLost(self) -> None:
        """Hand on what came after the last line's end, too."""
        rest = self.clearLineBuffer()
        if rest:
            self.lineReceived(rest)
        self._on_end("")

    def writeConnectionLost(self) -> None:
        """Stop: nobody reads what is written."""
        self.connectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """Tell who waits for the end."""
        self._on_end("")
        if not self._written.called:
            self._written.callback(None)

    def _transport(self) -> Any:
        assert self.transport is not None
        return self.transport
