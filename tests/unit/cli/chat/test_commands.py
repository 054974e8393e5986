"""What is said of the commands as such."""

from imd.wire.commands import Command
from imd.wire.results import Result

from .parts import ChatTestCase


class CommandsTests(ChatTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.come_online()
        self.shown()

    def test_a_refused_command_is_told_with_the_reason_as_one_sentence(self) -> None:
        for reason in ("by invitation only", "By invitation only."):
            self.type("/join g2")
            self.refuse(Command.GROUP_JOIN, Result.FORBIDDEN, reason)
            assert self.shown() == [f"/join was refused: {reason.rstrip('.')}."]

    def test_a_refused_command_is_told_at_the_end(self) -> None:
        self.type("/revoke 1")
        self.end_input()
        self.refuse(Command.IM_OFFLINE_MSG, Result.NOT_IN_GROUP, "you are out")
        self.lose()
        assert self.successResultOf(self.run_) is False

    def test_a_command_written_wrongly_says_how_it_is_written(self) -> None:
        for line in (
            *("/open", "/open a b", "/new", "/new Team", "/new Team x", "/invite 0", "/invite -1", "/join"),
            *("/mute", "/mute 3", "/mute 3 x", "/mute 3 0", "/mute -3 60", "/mute x off", f"/mute all {10**30}"),
            *("/who x", "/who 0", "/who 1 2", "/revoke x", "/revoke 0", "/revoke 1 2", f"/revoke {2**63}"),
        ):
            self.type(line)
            assert self.shown()[0].startswith(f"It is written {line.split()[0]} "), line
        assert not self.asked()

    def test_an_unknown_command_is_not_sent(self) -> None:
        self.type("/nope")
        assert self.shown()[0].startswith("There is no /nope; /help lists")
        assert not self.asked()

    def test_a_blank_before_the_slash_sends_the_line(self) -> None:
        self.type(" /nope")
        _, sent = self.request(Command.IM_SEND_MSG)
        assert sent.msg_body == " /nope"

    def test_help_names_every_command(self) -> None:
        self.type("/help")
        assert [line.split()[0] for line in self.shown()] == [
            "/groups",
            "/open",
            "/new",
            "/invite",
            "/join",
            "/quit",
            "/mute",
            "/who",
            "/revoke",
            "/help",
            "/exit",
        ]
