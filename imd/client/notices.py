"""Notices: shown once, then ACKed; those that came while offline are fetched after a login."""

from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.message import Message as Body
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from imd.client.errors import ClientError
from imd.client.values import Notice, notice_of
from imd.wire.bodies import NoticeMsg, NoticeMsgAck, PullNotice, UserData
from imd.wire.commands import Command

_MAX_SHOWN = 10_000
_PAGE = 100


class Notices:
    """``show`` gets each notice. What was shown is kept in mind as long as the client, its newest 10,000."""

    _log = Logger()

    def __init__(
        self,
        request: Callable[[Command, Body], "Deferred[Any]"],
        tell_server: Callable[[Command, Body], None],
        show: Callable[[Notice], None],
    ) -> None:
        self._request = request
        self._tell_server = tell_server
        self._show = show
        self._shown: dict[tuple[str, int], None] = {}

    def came_online(self) -> None:
        """Fetch what has come meanwhile."""
        Deferred.fromCoroutine(self._pull()).addErrback(self._not_pulled)

    def take(self, notices: Iterable[NoticeMsg]) -> None:
        """Show those that are new, and ACK all."""
        notice_ids = []
        for notice in notices:
            notice_ids.append(notice.notice_id)
            key = notice.notice_id, notice.send_time  # given again later it is news
            if key not in self._shown:
                self._shown[key] = None
                if len(self._shown) > _MAX_SHOWN:
                    del self._shown[next(iter(self._shown))]
                self._show(notice_of(notice))
        if notice_ids:
            self._tell_server(Command.NOTICE_MSG_ACK, NoticeMsgAck(notice_ids=notice_ids))

    async def _pull(self) -> None:
        request = PullNotice(page_size=_PAGE)
        while True:
            page: UserData = await self._request(Command.OFFLINE_NOTICE_MSG, request)
            self.take(page.notices)
            if not page.has_more:
                return
            request.cursor = page.cursor

    def _not_pulled(self, failure: Any) -> None:
        if failure.check(ClientError) is None:
            self._log.failure("notices could not be fetched", failure)
