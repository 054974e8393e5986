"""c2s: what a client reports to the business is kept, then ACKed; what carries it on is imd.queues."""

import re
from collections.abc import Callable, Collection, Sequence

from imd.errors import BadRequestError, NotFoundError, TooLargeError
from imd.ports.delivery import IDelivery, ISession
from imd.ports.upstream import ROW_SIZE, IReportStore, Report, Reported
from imd.wire.bodies import Upstream as Request
from imd.wire.commands import Command

MAX_CONTENT_TYPE = 127
"""Characters of a content_type."""

# An enum's member costs a call to look up, which counts here.
_UPSTREAM = int(Command.UPSTREAM)
# Both go into headers and properties of other protocols, so neither may hold anything that means something there.
_is_uuid = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_is_content_type = re.compile(rf"[\x20-\x7e]{{0,{MAX_CONTENT_TYPE}}}").fullmatch


class Upstream:
    """Takes reports from sessions; ``wake`` is told the destinations of those that are durable.

    ``max_payload`` is in bytes.
    """

    def __init__(
        self,
        store: IReportStore,
        delivery: IDelivery,
        destinations: Collection[str],
        max_payload: int,
        wake: Callable[[Collection[str]], None],
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._destinations = frozenset(destinations)
        self._max_payload = max_payload
        self._wake = wake
        store.on_reports(self.reported)

    def report(self, session: ISession, trace_id: int, request: Request) -> None:
        """Check a report and hand it to the store; the answer follows its commit.

        Raises BadRequestError, NotFoundError, TooLargeError or UnavailableError where it goes no further.
        """
        destination, message_id, payload = request.destination, request.message_id, request.payload
        if destination not in self._destinations:
            raise NotFoundError(f"there is no destination {destination[:64]!r}")
        if not _is_uuid(message_id):
            raise BadRequestError("message_id was expected to be a uuid of 36 characters")
        content_type = request.content_type
        if content_type and not _is_content_type(content_type):
            raise BadRequestError(f"content_type has at most {MAX_CONTENT_TYPE} characters, all of printable ASCII")
        size = len(payload)
        if size > self._max_payload:
            raise TooLargeError(f"a payload has at most {self._max_payload} bytes")
        self._store.report(
            Report(session, trace_id, session.uid, destination, message_id, content_type, payload, size + ROW_SIZE)
        )

    def reported(self, batch: Sequence[Reported]) -> None:
        """Answer the senders of a batch, each connection written to once, and wake what carries it on."""
        delivery = self._delivery
        destinations = set()
        delivery.hold()
        try:
            for report, refusal in batch:
                if refusal is None:
                    destinations.add(report.destination)
                    report.origin.answer(_UPSTREAM, report.trace_id, b"")
                else:
                    report.origin.refuse(_UPSTREAM, report.trace_id, refusal)
        finally:
            delivery.flush()
        self._wake(destinations)
