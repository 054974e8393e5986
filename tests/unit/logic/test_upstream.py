"""c2s: what is taken from a client, what is refused, and that the ACK waits for the commit."""

from collections.abc import Collection
from typing import Any

from imd.errors import (
    BadRequestError,
    ConflictError,
    NotFoundError,
    RefusedError,
    TooLargeError,
    UnavailableError,
)
from imd.gateway.sessions import Session
from imd.logic.upstream import MAX_CONTENT_TYPE, Upstream
from imd.ports.upstream import ROW_SIZE, Report, Reported
from imd.wire.bodies import Error
from imd.wire.bodies import Upstream as Request
from imd.wire.commands import Command
from imd.wire.packet import ACK, Packet

from .parts import LogicTestCase, parsed

ID = "0192f5a0-7c00-7000-8000-000000000300"
MAX_PAYLOAD = 1000


class UpstreamTestCase(LogicTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.woken: list[set[str]] = []
        self.upstream = Upstream(self.store, self.sessions, ["orders", "clicks"], MAX_PAYLOAD, self.wake)
        self.me = self.login(1)

    def wake(self, destinations: Collection[str]) -> None:
        self.woken.append(set(destinations))

    def report(self, session: Session | None = None, trace_id: int = 7, **fields: Any) -> Report:
        """Report something and return what the store gets of it."""
        request = Request(**{"destination": "orders", "message_id": ID, "payload": b"{}", **fields})
        self.upstream.report(session or self.me, trace_id, request)
        return self.store.reports.pop()

    def refusal(self, kind: type[RefusedError], **fields: Any) -> str:
        """Report what goes no further, and return the reason."""
        with self.assertRaises(kind) as caught:
            self.report(**fields)
        assert self.store.reports == []
        return str(caught.exception)


class Taking(UpstreamTestCase):
    def test_a_report_is_handed_to_the_store_as_its_senders(self) -> None:
        report = self.report(payload=b"\0\xff", content_type="application/json")
        size = 2 + ROW_SIZE
        assert report == Report(self.me, 7, 1, "orders", ID, "application/json", b"\0\xff", size)

    def test_nothing_is_answered_before_it_is_durable(self) -> None:
        self.report()
        assert self.sent(self.me) == []
        assert self.woken == []

    def test_an_unknown_destination_is_not_found(self) -> None:
        assert "orderz" in self.refusal(NotFoundError, destination="orderz")
        self.refusal(NotFoundError, destination="")

    def test_the_name_of_an_unknown_destination_is_not_repeated_at_any_length(self) -> None:
        assert len(self.refusal(NotFoundError, destination="x" * 100_000)) < 200

    def test_a_message_id_is_a_uuid(self) -> None:
        for message_id in ("", "m1", ID[:-1], f"{ID}0", ID.replace("-", ""), f"{ID[:-1]}g", f"{ID[:-1]}\n", f" {ID}"):
            self.refusal(BadRequestError, message_id=message_id)
        assert self.report(message_id=ID.upper()).message_id == ID.upper()

    def test_a_payload_has_a_limit(self) -> None:
        self.report(payload=bytes(MAX_PAYLOAD))
        self.refusal(TooLargeError, payload=bytes(MAX_PAYLOAD + 1))

    def test_a_content_type_is_short_and_printable(self) -> None:
        self.report(content_type="a" * MAX_CONTENT_TYPE)
        for content_type in ("a" * (MAX_CONTENT_TYPE + 1), "a\r\nX-Evil: 1", "a\0", "é", "a\n"):
            self.refusal(BadRequestError, content_type=content_type)

    def test_a_full_store_is_unavailable(self) -> None:
        self.store.is_full = True
        self.refusal(UnavailableError)


class Answering(UpstreamTestCase):
    def test_what_is_durable_is_acked_with_an_empty_body(self) -> None:
        self.upstream.reported([Reported(self.report(trace_id=9), None)])
        assert self.sent(self.me) == [Packet(Command.UPSTREAM, ACK, 0, 9, b"")]

    def test_what_is_refused_says_why(self) -> None:
        self.upstream.reported([Reported(self.report(), ConflictError("another one"))])
        (packet,) = self.sent(self.me)
        assert parsed(packet, Error) == Error(code=ConflictError.result, reason="another one")
        assert packet.result == ConflictError.result

    def test_the_destinations_of_what_is_durable_are_woken_once(self) -> None:
        batch = [Reported(self.report(), None) for _ in range(3)]
        batch.append(Reported(self.report(destination="clicks"), UnavailableError("full")))
        self.upstream.reported(batch)
        assert self.woken == [{"orders"}]

    def test_each_connection_is_written_to_once(self) -> None:
        flushes: list[int] = []
        channel = self.channels[self.me]
        flush = channel.flush
        channel.flush = lambda: (flushes.append(1), flush())  # type: ignore[method-assign,assignment,func-returns-value]
        self.upstream.reported([Reported(self.report(trace_id=number), None) for number in range(5)])
        assert flushes == [1]
        assert [packet.trace_id for packet in self.sent(self.me)] == list(range(5))

    def test_a_session_that_is_gone_is_no_harm(self) -> None:
        report = self.report()
        self.channels[self.me].is_open = False
        self.upstream.reported([Reported(report, None), Reported(report, ConflictError("x"))])
