"""What clients report to the business: the store that keeps it meanwhile, and the queues that take it on."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from imd.errors import ImdError, RefusedError
from imd.ports.delivery import ISession

ROW_SIZE = 200
"""Bytes that a report is taken to cost beside its payload."""


class Bound(NamedTuple):
    """How much may be kept for one destination: ``rows``, and ``size`` in bytes; what is dead counts too."""

    rows: int
    size: int


class Report(NamedTuple):
    """What a client reports, on its way into the store; ``origin`` and ``trace_id`` say whom to answer.

    ``size`` is what it costs, in bytes.
    """

    origin: ISession
    trace_id: int
    uid: int
    destination: str
    message_id: str
    content_type: str
    payload: bytes
    size: int


class Reported(NamedTuple):
    """What became of a report: it is durable, or ``refusal`` says why not."""

    report: Report
    refusal: RefusedError | None


class Queued(NamedTuple):
    """A report that waits to be taken on.

    ``id`` rises in the order in which the reports of a destination were committed. ``created`` is in ms, ``attempts``
    how often the destination has refused it.
    """

    id: int
    uid: int
    message_id: str
    content_type: str
    payload: bytes
    created: int
    attempts: int


class Settled(NamedTuple):
    """What became of reports, by id: those ``taken`` by their destination, refused so many times, or ``dead``."""

    taken: Sequence[int]
    refused: Sequence[tuple[int, int]] = ()
    dead: Sequence[int] = ()


class IReportStore(Interface):
    """Keeps what clients report; it goes into the group commit, as messages do."""

    def on_reports(callback: Callable[[Sequence[Reported]], None]) -> None:
        """Call ``callback`` with the reports of each batch."""

    def report(report: Report) -> None:
        """Keep a report; its outcome comes through ``on_reports``.

        Raises UnavailableError at once where too much waits for the store.
        The same (uid, destination, message_id) again, while the first is kept, is OK and keeps one; with other content
        it is a ConflictError. Past the destination's Bound it is an UnavailableError.
        """


class IUpstreamStore(Interface):
    """Reports as what carries them on sees them. Changes go into the group commit, and raise UnavailableError."""

    async def queued(destination: str, after: int, limit: int, size: int, without: Collection[int]) -> Sequence[Queued]:
        """The next ``limit`` reports with ids above ``after`` that are not dead, none of the users ``without``.

        It is fewer where their payloads would pass ``size`` bytes, but one at least.
        """

    async def settle(destination: str, settled: Settled) -> None:
        """Delete what was taken, note what was refused, and keep what is dead until somebody looks at it."""

    async def lease(destinations: Collection[str], node: str, seconds: float) -> Collection[str]:
        """Take or keep the lease of each destination; return those that are this node's for so long from now."""

    async def release(destinations: Collection[str], node: str) -> None:
        """Give the leases that this node has of these back."""


class RejectedError(ImdError):
    """The destination is there and doesn't want this report; the text says why."""


class TimedOutError(ImdError):
    """The destination was reached and gave no answer in time: it may have taken the report or not."""


class IUpstreamQueue(Interface):
    """One destination's queue, as what carries reports on sees it."""

    batch: int = Attribute("how many reports one put takes at most")
    width: int = Attribute("how many puts may be under way at once")

    def start() -> None:
        """Begin to connect; returns before it is."""

    async def stop() -> None:
        """Close."""

    def put(reports: Sequence[Queued]) -> "Deferred[None]":
        """Hand reports over, in order; fires once the queue keeps them all.

        Fails with UnavailableError where the queue can't take any now, though it may have taken some. One that takes
        reports one by one fails with RejectedError or TimedOutError too.
        """
