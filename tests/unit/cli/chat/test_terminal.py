"""Lines in, lines out."""

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from imd.cli.chat.terminal import Terminal


class TerminalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lines: list[str] = []
        self.ends: list[str] = []
        self.terminal = Terminal(self.lines.append, self.ends.append)
        self.transport = StringTransport()
        self.terminal.makeConnection(self.transport)

    def test_each_line_is_handed_on_without_its_end(self) -> None:
        self.terminal.dataReceived("one\ntwo\r\n你好\n".encode())
        assert self.lines == ["one", "two", "你好"]

    def test_bytes_that_are_no_text_are_replaced(self) -> None:
        self.terminal.dataReceived(b"a\xffb\n")
        assert self.lines == ["a\ufffdb"]

    def test_the_last_line_needs_no_end(self) -> None:
        self.terminal.dataReceived(b"one\ntwo")
        self.terminal.readConnectionLost()
        assert (self.lines, self.ends) == (["one", "two"], [""])

    def test_a_line_that_is_too_long_ends_the_reading(self) -> None:
        self.terminal.dataReceived(b"x" * 70_000)
        assert self.lines == []
        assert "longer than 65536 bytes" in self.ends[0]
        assert self.transport.producerState == "paused"

    def test_a_line_is_written_without_what_steers_the_terminal(self) -> None:
        self.terminal.say("a\x1b[2Jb — ✓")
        assert self.transport.value().decode() == "a[2Jb — ✓\n"

    def test_the_end_is_told_when_all_is_written(self) -> None:
        written = self.terminal.close()
        self.assertNoResult(written)
        assert self.transport.disconnecting
        self.terminal.connectionLost()
        self.successResultOf(written)

    def test_a_reader_that_is_gone_is_not_waited_for(self) -> None:
        self.terminal.writeConnectionLost()
        assert self.ends == [""]
        self.successResultOf(self.terminal.close())
