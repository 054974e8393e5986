"""A socket of the load: what it doesn't take at once waits, and what comes is handed on."""

import select
import socket
from abc import ABC, abstractmethod
from typing import Protocol

from imd.errors import ImdError

_READ_SIZE = 256 * 1024


class LoadError(ImdError):
    """The load can't go on; the text says why."""


class Epoll(Protocol):
    """Who tells a socket what it may do."""

    def await_events(self, fileno: int, events: int) -> None:
        """Watch for ``events`` of epoll from now on."""

    def forget(self, wire: "Wire", fileno: int) -> None:
        """Watch a socket no longer."""


class Wire(ABC):
    """A connected, non-blocking socket, watched by ``epoll``; what comes goes to ``received``."""

    __slots__ = ("_epoll", "_interest", "_socket", "_unsent")

    def __init__(self, epoll: Epoll) -> None:
        self._epoll = epoll
        self._interest = select.EPOLLIN
        self._unsent = b""
        self._socket: socket.socket

    @property
    @abstractmethod
    def whose(self) -> str:
        """Whose connection it is, as errors tell it."""

    @abstractmethod
    def received(self, chunk: bytes) -> None:
        """Take what one read brought."""

    def send(self, content: bytes) -> None:
        """Write all of it, now or as soon as the socket takes it. Raises LoadError."""
        if self._unsent:
            self._unsent += content
            return
        try:
            sent = self._socket.send(content)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise LoadError(f"The connection of {self.whose} was lost: {error.strerror}") from error
        if sent < len(content):
            self._unsent = content[sent:]
            self._await(select.EPOLLIN | select.EPOLLOUT)

    def ready(self, events: int) -> None:
        """Do what ``events`` of epoll allow. Raises LoadError where the server closed the connection."""
        if events & select.EPOLLOUT:
            unsent, self._unsent = self._unsent, b""
            self._await(select.EPOLLIN)
            self.send(unsent)
        if events & ~select.EPOLLOUT:
            try:
                chunk = self._socket.recv(_READ_SIZE)
            except BlockingIOError:
                return
            except OSError as error:
                raise LoadError(f"The connection of {self.whose} was lost: {error.strerror}") from error
            if not chunk:
                raise LoadError(f"The server closed the connection of {self.whose}.")
            self.received(chunk)

    def close(self) -> None:
        """Close the connection at once."""
        self._epoll.forget(self, self._socket.fileno())
        self._socket.close()

    def _await(self, interest: int) -> None:
        if interest != self._interest:
            self._interest = interest
            self._epoll.await_events(self._socket.fileno(), interest)
