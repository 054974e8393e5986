"""The transaction of a batch, as what is stored in it sees it."""

import traceback
from dataclasses import dataclass

from sqlalchemy import Connection
from twisted.logger import Logger

from imd.errors import RefusedError
from imd.ports.messages import Committed

_log = Logger()


@dataclass(frozen=True, slots=True)
class Transaction:
    """``time`` (ms) is that of everything in it; ``committed`` gathers the messages it stores, in order."""

    connection: Connection
    time: int
    committed: list[Committed]


def explain(error: Exception, what: str) -> RefusedError:
    """Return the refusal for an error met while ``what`` was stored; what is no refusal goes into the log."""
    if isinstance(error, RefusedError):
        return error
    trace = "".join(traceback.format_exception(error))
    _log.error("{what} could not be stored:\n{trace}", what=what, trace=trace)
    return RefusedError("the store failed at this request; the server's log says why")
