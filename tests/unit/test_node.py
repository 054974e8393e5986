"""The lock of the data folder, and systemd's notifications."""

import socket
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from imd.errors import ConfigError, StartError
from imd.node import DataLock, notify_systemd


class Locking(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data = Path(folder.name)
        self.file = self.data / "imd.lock"
        self.lock = DataLock(self.data)
        self.addCleanup(self.lock.release)

    def test_the_file_holds_the_pid(self) -> None:
        self.lock.acquire(4711)
        assert self.file.read_text() == "4711\n"

    def test_a_second_daemon_is_told_who_has_it(self) -> None:
        self.lock.acquire(4711)
        with self.assertRaisesRegex(StartError, r"another imd \(pid 4711\) already runs on the data in ") as caught:
            DataLock(self.data).acquire(4712)
        assert caught.exception.exit_code == 1
        assert self.file.read_text() == "4711\n"

    def test_after_a_release_another_can_take_it(self) -> None:
        self.lock.acquire(4711)
        self.lock.release()
        assert self.file.read_text() == ""
        other = DataLock(self.data)
        other.acquire(12)
        assert self.file.read_text() == "12\n"
        other.release()

    def test_a_file_that_a_crash_has_left_is_no_lock(self) -> None:
        self.file.write_text("123456789\n")
        self.lock.acquire(7)
        assert self.file.read_text() == "7\n"

    def test_a_release_without_a_lock_does_nothing(self) -> None:
        self.lock.release()
        self.lock.acquire(1)
        self.lock.release()
        self.lock.release()

    def test_a_folder_that_is_none_is_a_mistake_in_the_configuration(self) -> None:
        with self.assertRaisesRegex(ConfigError, "can't be written"):
            DataLock(self.data / "nowhere").acquire(1)


class Notifying(SynchronousTestCase):
    def setUp(self) -> None:
        self.channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.channel.close)
        self.channel.settimeout(5)

    def test_the_state_is_sent_to_the_socket_that_systemd_names(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        address = f"{folder.name}/notify"
        self.channel.bind(address)
        notify_systemd("READY=1", {"NOTIFY_SOCKET": address})
        assert self.channel.recv(100) == b"READY=1"

    def test_an_at_sign_means_the_abstract_name_space(self) -> None:
        self.channel.bind("")
        name = self.channel.getsockname().decode()
        assert name.startswith("\0")
        notify_systemd("STOPPING=1", {"NOTIFY_SOCKET": "@" + name[1:]})
        assert self.channel.recv(100) == b"STOPPING=1"

    def test_without_systemd_nothing_is_sent(self) -> None:
        notify_systemd("READY=1", {})
        notify_systemd("READY=1", {"NOTIFY_SOCKET": ""})

    def test_a_socket_that_nobody_listens_on_does_no_harm(self) -> None:
        notify_systemd("READY=1", {"NOTIFY_SOCKET": "@nobody-listens-here"})
