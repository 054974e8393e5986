"""What the process is to its machine: the lock of its data folder, and systemd's notifications."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from imd.errors import ConfigError, StartError

_BUSY = 1


class DataLock:
    """DATA/imd.lock: held by one daemon at a time, holding its pid for as long as it runs."""

    def __init__(self, data: Path) -> None:
        self._path = data / "imd.lock"
        self._file: int | None = None

    def acquire(self, pid: int) -> None:
        """Take the lock. Raises StartError (1) where another daemon has it, ConfigError where it can't be written."""
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(f"The data folder {self._path.parent} can't be written: {error.strerror}.") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(file, 32).decode(errors="replace").strip() or "unknown"
            os.close(file)
            raise StartError(
                f"another imd (pid {holder}) already runs on the data in {self._path.parent}; stop it first,"
                " or name another folder with --data",
                _BUSY,
            ) from error
        os.ftruncate(file, 0)
        os.write(file, f"{pid}\n".encode())
        self._file = file

    def release(self) -> None:
        """Give the lock back; the file stays, empty."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None


def version() -> str:
    """Return imd's version, empty where it runs from a checkout that was never installed."""
    try:
        return metadata.version("imd")
    except metadata.PackageNotFoundError:
        return ""


def notify_systemd(state: str, environ: Mapping[str, str]) -> None:
    """Send ``state`` to the service manager that started the process, if one did and listens (sd_notify(3))."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel, contextlib.suppress(OSError):
        channel.sendto(state.encode(), address)
