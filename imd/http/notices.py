"""POST /v1/notices: functional messages for users."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from imd.errors import TooLargeError
from imd.http.fields import Int32, Millis, Text, Uid
from imd.http.problems import MisplacedError
from imd.http.routing import NoParameters, Route
from imd.http.scopes import Scope
from imd.logic.notices import MAX_UIDS, Notices, Sent
from imd.ports.notices import Addressed
from imd.wire.bodies import NoticeMsg
from imd.wire.results import Result

MAX_NOTICES = 100
"""Notices of one request."""


class Notice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A notice and for whom it is.

    What it says is one of ``json`` (any value, sent as it stands), ``text`` and ``payload`` (base64), or nothing.
    """

    notice_id: Annotated[
        str, Meta(min_length=1, max_length=64, pattern=r"\A[^\0]+\Z", description="A uuid; again, it changes nothing.")
    ]
    uids: Annotated[list[Uid], Meta(min_length=1, max_length=MAX_UIDS)]
    notice_type: Int32 = 0
    sender: Text = ""
    json: msgspec.Raw | UnsetType = UNSET
    text: str | UnsetType = UNSET
    payload: bytes | UnsetType = UNSET
    expire_time: Millis = 0


class NoticesRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Notices to be sent, all of them or none; for at most 1,000 users together."""

    notices: Annotated[list[Notice], Meta(min_length=1, max_length=MAX_NOTICES)]


class NoticeResult(Struct, frozen=True):
    """What became of a notice, each of its users in one place.

    ``pushed`` and ``kept`` wait for an ACK; the former have a device online that was sent it. ``acknowledged`` had it
    already, ``unknown`` never logged in: for these nothing was done.
    """

    notice_id: str
    pushed: tuple[int, ...]
    kept: tuple[int, ...]
    acknowledged: tuple[int, ...]
    unknown: tuple[int, ...]


class NoticesAnswer(Struct, frozen=True):
    """What became of the notices, in their order."""

    results: list[NoticeResult]


class NoticeRoutes:
    """Sends notices."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices

    def routes(self) -> list[Route]:
        """Return the table."""
        return [
            Route(
                "POST",
                "/v1/notices",
                "Send notices: pushed to who is online, kept for who is not",
                self.send,
                NoticesAnswer,
                Scope.NOTICES,
                body=NoticesRequest,
                errors=frozenset({Result.TOO_LARGE}),
            )
        ]

    async def send(self, _parameters: NoParameters, request: NoticesRequest) -> NoticesAnswer:
        """Send them."""
        addressed = [_addressed(notice, place) for place, notice in enumerate(request.notices)]
        if sum(len(each.uids) for each in addressed) > MAX_UIDS:
            raise TooLargeError(f"the notices of one request are for {MAX_UIDS} users at most, counted for each notice")
        sent = await self._notices.send_all(addressed)
        return NoticesAnswer([_result(each.notice_id, of) for each, of in zip(request.notices, sent, strict=True)])


def _addressed(notice: Notice, place: int) -> Addressed:
    given: list[tuple[str, Any]] = [
        (name, value) for name in ("json", "text", "payload") if (value := getattr(notice, name)) is not UNSET
    ]
    if len(given) > 1:
        names = " and ".join(name for name, _ in given)
        raise MisplacedError(f"{names} are given; expected one of them", f"$.notices[{place}]")
    payload = b""
    for name, value in given:
        payload = value.encode() if name == "text" else bytes(value)
    return Addressed(
        NoticeMsg(
            notice_id=notice.notice_id,
            notice_type=notice.notice_type,
            payload=payload,
            sender=notice.sender,
            expire_time=notice.expire_time,
        ),
        notice.uids,
    )


def _result(notice_id: str, sent: Sent) -> NoticeResult:
    return NoticeResult(notice_id, sent.pushed, sent.kept, sent.acknowledged, sent.unknown)
