"""`imctl token` and `imctl chat` against a real daemon, through real pipes and a real terminal."""

import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import NewUid, StartDaemon
from .daemon import Daemon, clean_environment

IMCTL = [sys.executable, "-c", "from imd.cli.main import main; main()"]
WITHIN = 30.0


def arguments(daemon: Daemon, *command: object) -> list[str]:
    return [*IMCTL, *map(str, command), "--data", str(daemon.data)]


def chat(daemon: Daemon, uid: int, *conversation: object) -> list[str]:
    return arguments(daemon, "chat", uid, *conversation, "--server", f"tcp:127.0.0.1:{daemon.port}")


def run(command: list[str], typed: str = "") -> "subprocess.CompletedProcess[str]":
    environment = clean_environment()
    return subprocess.run(
        command, env=environment, input=typed, capture_output=True, text=True, timeout=WITHIN, check=False
    )


class Terminal:
    """A command with a terminal of its own."""

    def __init__(self, command: list[str]) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            command, env=clean_environment(), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        os.set_blocking(self._ours, False)
        self._shown = b""

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def await_text(self, text: str) -> None:
        """Wait until ``text`` is shown."""
        deadline = time.monotonic() + WITHIN
        while text.encode() not in self._shown:
            assert time.monotonic() < deadline, self._shown.decode()
            try:
                self._shown += os.read(self._ours, 65536)
            except BlockingIOError:
                time.sleep(0.01)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(WITHIN)
        os.close(self._ours)


OpenChat = Callable[..., Terminal]


def test_a_printed_token_logs_in(daemon: Daemon, new_uid: NewUid) -> None:
    uid = new_uid()
    printed = run(arguments(daemon, "token", uid))
    chatted = run([*chat(daemon, uid, "--to", new_uid()), "--token", printed.stdout.strip()], "hi\n")
    assert (chatted.returncode, chatted.stdout.splitlines()[-1]) == (0, "✓ 1")


def test_piped_lines_are_stored_in_order_before_the_chat_ends(daemon: Daemon, new_uid: NewUid) -> None:
    sender, receiver = new_uid(), new_uid()
    sent = run(chat(daemon, sender, "--to", receiver), "".join(f"line {n}\n" for n in range(300)))
    assert (sent.returncode, sent.stderr) == (0, "")
    assert sent.stdout.splitlines()[-300:] == [f"✓ {seq}" for seq in range(1, 301)]
    shown = run(chat(daemon, receiver, "--to", sender)).stdout.splitlines()
    assert [line.split(": ")[1] for line in shown[-20:]] == [f"line {n}" for n in range(280, 300)]


def test_lines_of_a_plain_file_are_sent_too(daemon: Daemon, new_uid: NewUid, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text("one\ntwo")
    with lines.open() as stdin, (tmp_path / "shown").open("w") as stdout:
        command = chat(daemon, new_uid(), "--to", new_uid())
        code = subprocess.call(command, env=clean_environment(), stdin=stdin, stdout=stdout, timeout=WITHIN)
    assert code == 0
    assert (tmp_path / "shown").read_text().endswith("✓ 1\n✓ 2\n")


def test_a_reader_that_goes_away_ends_the_chat(daemon: Daemon, new_uid: NewUid) -> None:
    with subprocess.Popen(
        chat(daemon, new_uid(), "--to", new_uid()),
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(WITHIN) in (0, 1)
        process.stdin.close()


def test_a_group_is_made_in_one_terminal_and_joined_in_the_talk_from_another(daemon: Daemon, new_uid: NewUid) -> None:
    ann, bob = new_uid(), new_uid()
    made = run(chat(daemon, ann, "--to", bob), f"/new Team {bob}\nhello team\n")
    [group_id] = [line.split()[2] for line in made.stdout.splitlines() if line.startswith("The group ")]
    shown = run(chat(daemon, bob, "--group", group_id)).stdout
    assert f"— {ann} made the group with you" in shown
    assert f"{ann}: hello team" in shown


def test_a_refused_message_ends_with_1(daemon: Daemon, new_uid: NewUid) -> None:
    ended = run(chat(daemon, new_uid(), "--group", "nowhere"), "hi\n")
    assert ended.returncode == 1
    assert "✗ not sent: you are not in the group nowhere" in ended.stdout


def test_two_terminals_talk_and_ctrl_d_ends_each(daemon: Daemon, new_uid: NewUid) -> None:
    ann, bob = new_uid(), new_uid()
    terminals = [Terminal(chat(daemon, ann, "--to", bob)), Terminal(chat(daemon, bob, "--to", ann))]
    try:
        for terminal in terminals:
            terminal.await_text("No messages yet.")
        terminals[0].type("hi bob\n")
        terminals[0].await_text("✓ 1")
        terminals[1].await_text(f"{ann}: hi bob")
        terminals[1].type("hi ann\n")
        terminals[0].await_text(f"{bob}: hi ann")
        for terminal in terminals:
            terminal.type("\x04")
            assert terminal.process.wait(WITHIN) == 0
    finally:
        for terminal in terminals:
            terminal.close()


@pytest.fixture
def open_chat(daemon: Daemon) -> Iterator[OpenChat]:
    """Opens chats in terminals of their own."""
    terminals: list[Terminal] = []

    def open_chat(uid: int, *conversation: object) -> Terminal:
        terminals.append(Terminal(chat(daemon, uid, *conversation)))
        return terminals[-1]

    yield open_chat
    for terminal in terminals:
        terminal.close()


def test_the_sender_sees_what_was_delivered_and_what_was_read(open_chat: OpenChat, new_uid: NewUid) -> None:
    ann, bob = new_uid(), new_uid()
    first, second = open_chat(ann, "--to", bob), open_chat(bob, "--to", new_uid())
    first.type("hi bob\n")
    second.await_text(f"[from {ann} in {ann}_{bob}] hi bob  (/open {ann}_{bob})")
    first.await_text("✓✓ delivered up to 1")
    second.type(f"/open {ann}_{bob}\n")
    second.await_text(f"{ann}: hi bob")
    first.await_text("✓✓ read up to 1")
    first.type("/who\n")
    first.await_text(f"{bob} is online (Linux).")
    first.await_text(f"{bob} has got everything up to 1, and read up to 1.")


def test_a_message_is_taken_back_on_every_screen(open_chat: OpenChat, new_uid: NewUid) -> None:
    ann, bob = new_uid(), new_uid()
    first, second = open_chat(ann, "--to", bob), open_chat(bob, "--to", ann)
    first.type("wrong window\n")
    second.await_text("wrong window")
    first.type("/revoke\n")
    first.await_text("— you took back message 1")
    second.await_text(f"— {ann} took back message 1")
    second.type(f"/open {ann}_{bob}\n")
    second.await_text(f"{ann}: (taken back)")
    second.type("/revoke 2\n")
    second.await_text("/revoke was refused: ")


def test_three_terminals_in_a_group(daemon: Daemon, open_chat: OpenChat, new_uid: NewUid) -> None:
    ann, bob, cat = (new_uid() for _ in range(3))
    made = run(chat(daemon, ann, "--to", bob), f"/new Team {bob} {cat}\n")
    [group_id] = [line.split()[2] for line in made.stdout.splitlines() if line.startswith("The group ")]
    first, second = open_chat(ann, "--group", group_id), open_chat(bob, "--group", group_id)
    second.await_text("Team, 3 members")
    first.type("who is here\n")
    first.await_text("✓✓ 2 read by 1 of 2")
    first.type("/who 2\n")
    first.await_text(f"Message 2 was read by 1 of 2: {bob}; not yet by {cat}.")
    first.type("/who\n")
    first.await_text(f"{bob}  member  online (Linux)")
    first.await_text(f"{cat}  member  offline")
    third = open_chat(cat, "--group", group_id)
    first.await_text("✓✓ 2 read by all 2")
    first.type(f"/mute {bob} 60\n")
    second.await_text(f"— {ann} muted you until ")
    third.await_text(f"— {ann} muted {bob} until ")
    second.type("but\n")
    second.await_text("✗ not sent: ")
    first.type(f"/mute {bob} off\n")
    second.await_text(f"— {ann} let you speak again")
    second.type("/mute all 60\n")
    second.await_text("/mute was refused: ")


def test_a_store_is_one_chats_and_what_is_in_it_is_not_told_again(
    daemon: Daemon, open_chat: OpenChat, new_uid: NewUid, tmp_path: Path
) -> None:
    ann, bob, store = new_uid(), new_uid(), tmp_path / "bob.sqlite"
    run(chat(daemon, ann, "--to", bob), "hi bob\n")
    elsewhere = ("--to", new_uid(), "--store", store)
    first = open_chat(bob, *elsewhere)
    first.await_text("hi bob")
    first.type("\x04")
    assert first.process.wait(WITHIN) == 0
    assert "hi bob" not in run(chat(daemon, bob, *elsewhere)).stdout
    open_chat(bob, "--to", ann, "--store", store).await_text("hi bob")
    second = run(chat(daemon, bob, *elsewhere))
    assert second.returncode == 1
    assert f"The local store {store} is in use by another client" in second.stdout


def test_a_chat_outlives_its_daemon_and_sends_what_was_typed_meanwhile(
    start_daemon: StartDaemon, new_uid: NewUid
) -> None:
    daemon = start_daemon()
    terminal = Terminal(chat(daemon, new_uid(), "--to", new_uid()))
    try:
        terminal.await_text("No messages yet.")
        daemon.kill()
        terminal.await_text("The daemon is away")
        terminal.type("are you there\n")
        daemon.start()
        terminal.await_text("The daemon is back.")
        terminal.await_text("✓ 1")
    finally:
        terminal.close()
