"""The secret: made once, kept from others, never one that could be guessed."""

import os
import tempfile
from pathlib import Path

import pytest
from twisted.trial.unittest import SynchronousTestCase

from imd.errors import ConfigError
from imd.sso.secret import load_or_create

GOOD = b"5f1d0a7c93be4286d1e05b3c7a9f2468"


class SecretTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "token.secret")

    def write(self, secret: bytes, mode: int = 0o600) -> None:
        self.path.write_bytes(secret)
        self.path.chmod(mode)


class CreateTests(SecretTestCase):
    def test_a_missing_secret_is_made_of_32_random_bytes_in_hex(self) -> None:
        secret = load_or_create(self.path, True, lambda size: bytes(range(size)))
        assert secret == bytes(range(32)).hex().encode()

    def test_only_its_owner_can_read_the_file(self) -> None:
        load_or_create(self.path, True, os.urandom)
        assert self.path.stat().st_mode & 0o777 == 0o600

    def test_nothing_but_the_secret_is_left_in_the_folder(self) -> None:
        load_or_create(self.path, True, os.urandom)
        assert list(self.path.parent.iterdir()) == [self.path]

    def test_the_second_start_finds_the_secret_of_the_first(self) -> None:
        first = load_or_create(self.path, True, os.urandom)
        assert load_or_create(self.path, True, os.urandom) == first

    def test_of_two_that_start_at_once_both_have_the_same_secret(self) -> None:
        others = []

        def random(size: int) -> bytes:
            if not others:
                others.append(b"")  # the other starts while this one makes its draft
                others.append(load_or_create(self.path, True, os.urandom))
            return os.urandom(size)

        assert load_or_create(self.path, True, random) == others[1]
        assert list(self.path.parent.iterdir()) == [self.path]

    def test_a_missing_secret_is_not_made_unless_asked(self) -> None:
        with pytest.raises(ConfigError, match="can't be opened: No such file"):
            load_or_create(self.path, False, os.urandom)
        assert not self.path.exists()

    def test_a_missing_folder_is_told(self) -> None:
        with pytest.raises(ConfigError, match="can't be opened: No such file"):
            load_or_create(self.path / "deeper", True, os.urandom)


class LoadTests(SecretTestCase):
    def refusal(self) -> str:
        with pytest.raises(ConfigError) as caught:
            load_or_create(self.path, True, os.urandom)
        assert str(self.path) in str(caught.value)
        return str(caught.value)

    def test_the_trailing_newline_is_not_part_of_the_secret(self) -> None:
        for end in (b"", b"\n", b"\r\n"):
            self.write(GOOD + end)
            assert load_or_create(self.path, True, os.urandom) == GOOD

    def test_a_file_open_to_others_is_refused_with_the_remedy(self) -> None:
        for mode in (0o640, 0o604, 0o620, 0o644):
            self.write(GOOD, mode)
            assert f"run `chmod 600 {self.path}`" in self.refusal()

    def test_a_short_secret_is_refused(self) -> None:
        self.write(GOOD[:31])
        assert "has 31 bytes, where 32 to 4096 were expected" in self.refusal()

    def test_an_endless_secret_is_refused(self) -> None:
        self.write(GOOD * 1000)
        assert "has more than 4096 bytes, where 32 to 4096 were expected" in self.refusal()

    def test_a_secret_that_could_be_guessed_is_refused(self) -> None:
        for secret in (b"x" * 64, b"ab" * 32, b"changeme" * 8, b"a-string-SECRET-at-least-256-bits-long"):
            self.write(secret)
            assert "could be guessed" in self.refusal()

    def test_the_secret_stays_out_of_the_refusal(self) -> None:
        self.write(GOOD[:20])
        assert GOOD[:20].decode() not in self.refusal()

    def test_a_folder_in_its_place_is_refused(self) -> None:
        self.path.mkdir(mode=0o700)
        assert "can't be opened: Is a directory" in self.refusal()
