"""The local store's thread, left out: each write is done at once."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure


class Inline:
    """Stands for imd.batching.Batching: each item is a batch, done as it is put."""

    def __init__(
        self,
        _reactor: Any,
        _name: str,
        work: Callable[[list[Any]], Any],
        done: Callable[[list[Any], Any], None],
        failed: Callable[[list[Any], Failure], None],
        _gap: float = 0.0,
    ) -> None:
        self._work = work
        self._done = done
        self._failed = failed

    def start(self) -> None:
        pass

    def __len__(self) -> int:
        return 0

    def put(self, item: Any) -> None:
        try:
            result = self._work([item])
        except Exception:
            self._failed([item], Failure())
        else:
            self._done([item], result)

    def stop(self) -> "Deferred[None]":
        return succeed(None)
