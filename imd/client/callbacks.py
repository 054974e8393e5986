"""What the application wants to be called with."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from twisted.logger import Logger

from imd.client.answer import driven

Value = TypeVar("Value")
Callback = TypeVar("Callback", bound=Callable[..., Any])


class Callbacks(Generic[Value]):
    """Functions of one argument, plain or async, called in the order in which they came.

    One that fails is logged, and harms neither the others nor the client.
    """

    _log = Logger()

    def __init__(self) -> None:
        self._callbacks: list[Callable[[Value], Any]] = []

    def add(self, callback: Callback) -> Callback:
        """Call this one as well; it is returned as it is, so that this serves as a decorator."""
        self._callbacks.append(callback)
        return callback

    def tell(self, value: Value) -> None:
        """Call all."""
        for callback in self._callbacks:
            try:
                result = callback(value)
                if result is not None and isinstance(result, Awaitable):
                    driven(result).addErrback(lambda failure: self._log.failure("a callback failed", failure))
            except Exception:
                self._log.failure("a callback failed")
