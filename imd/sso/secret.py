"""Secrets, each in a file only its owner can read: the one that signs tokens, and what imd shows of itself."""

import os
from collections.abc import Callable
from pathlib import Path

from imd.errors import ConfigError

MIN_SIZE = 32
"""Bytes: RFC 7518, section 3.2, wants a key at least as long as the hash of HS256."""
MAX_SIZE = 4096
_PLACEHOLDERS = (b"secret", b"changeme", b"change-me", b"change_me", b"password", b"example", b"default", b"123456789")
_MIN_DISTINCT = 8
_REMEDY = "make one with `openssl rand -hex 32`"


def load_or_create(path: Path, create: bool, random: Callable[[int], bytes]) -> bytes:
    """Return the secret in the file ``path``, without its trailing newline.

    Where there is no such file and ``create`` is true, it is made with 64 hex digits from 32 bytes of ``random``,
    readable by its owner only; of two that do so at once, both return the same secret. Raises ConfigError where the
    file is missing or can't be used, or the secret could be guessed.
    """
    try:
        if create and not path.exists():
            _create(path, random)
        return _load(path)
    except OSError as error:
        raise ConfigError(f"The token secret {path} can't be opened: {error.strerror}.") from error


def load_credential(path: Path) -> str:
    """Return the one line in the file ``path``, a secret that somebody else has chosen. Raises ConfigError."""
    try:
        text = _read(path, "credential").decode("ascii")
    except OSError as error:
        raise ConfigError(f"The credential {path} can't be opened: {error.strerror}.") from error
    except UnicodeDecodeError:
        text = ""
    if not text or len(text) > MAX_SIZE or not text.isprintable():
        raise ConfigError(f"The credential {path} was expected to be one line of up to {MAX_SIZE} ASCII characters.")
    return text


def _read(path: Path, what: str) -> bytes:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        # Another owner lets us read by the group, or by an ACL shown as the group's bits: systemd's credentials do.
        exposed = status.st_mode & (0o077 if status.st_uid == os.geteuid() else 0o037)
        if exposed:
            raise ConfigError(f"The {what} {path} is open to other users: run `chmod 600 {path}`.")
        return file.read(MAX_SIZE + 1).rstrip(b"\r\n")


def _load(path: Path) -> bytes:
    secret = _read(path, "token secret")
    if not MIN_SIZE <= len(secret) <= MAX_SIZE:
        size = f"{len(secret)} bytes" if len(secret) < MIN_SIZE else f"more than {MAX_SIZE} bytes"
        raise ConfigError(
            f"The token secret {path} has {size}, where {MIN_SIZE} to {MAX_SIZE} were expected: {_REMEDY}."
        )
    if len(set(secret)) < _MIN_DISTINCT or any(word in secret.lower() for word in _PLACEHOLDERS):
        raise ConfigError(f"The token secret {path} could be guessed, it looks like a placeholder: {_REMEDY}.")
    return secret


def _create(path: Path, random: Callable[[int], bytes]) -> None:
    draft = path.with_name(f".{path.name}.{random(8).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(random(32).hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return  # another starter was first; its secret holds
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
