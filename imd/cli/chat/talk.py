"""What the user sees: one conversation on screen, and a line for what comes from elsewhere."""

from collections.abc import Callable, Iterable
from datetime import tzinfo
from typing import Any

from google.protobuf.message import Message
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from imd.cli.chat.conversation import Conversation
from imd.cli.chat.link import Link
from imd.cli.chat.notices import notice_line
from imd.cli.chat.screen import elsewhere_line
from imd.cli.chat.seen import Seen
from imd.client.errors import ResultError
from imd.wire.bodies import ImMsg, IssueReceipt, NoticeMsg, NoticeMsgAck, PullNotice
from imd.wire.commands import Command
from imd.wire.enums import SYSTEM_GROUP, MsgType

MAX_PAGES = 20
"""Pages that a list shows."""


class Talk:
    """The user ``uid`` in one conversation at a time, which begins as ``group_id``.

    ``say`` writes a line of at most ``width`` columns where it can, ``now`` gives the seconds since the epoch.
    """

    def __init__(
        self,
        link: Link,
        clock: IReactorTime,
        say: Callable[[str], None],
        uid: int,
        group_id: str,
        now: Callable[[], float],
        zone: tzinfo | None,
        width: int,
    ) -> None:
        self.uid = uid
        self.say = say
        self.width = width
        self.zone = zone
        self._link = link
        self._clock = clock
        self._now = now
        self._seen = Seen()
        self.conversation = self._conversation(group_id)

    def now_ms(self) -> int:
        """Return the milliseconds since the epoch."""
        return int(self._now() * 1000)

    def ask(self, command: Command, body: Message) -> Deferred[Any]:
        """Ask the daemon, and fire with the body of its answer. Fails as Connection.request does."""
        return self._link.ask(command, body)

    def say_all(self, lines: Iterable[str]) -> None:
        """Write several lines."""
        for line in lines:
            self.say(line)

    def greet(self) -> None:
        """Say where one is."""
        conversation = self.conversation
        where = f"the group {conversation.group_id}"
        if conversation.peer:
            where = f"a chat with {conversation.peer}"
        elif conversation.group_id == SYSTEM_GROUP:
            where = "the broadcasts"
        self.say(f"{self.uid} in {where}; /help tells more.")

    async def go_to(self, group_id: str) -> None:
        """Bring another conversation on screen."""
        self.conversation.close()
        self.conversation = self._conversation(group_id)
        self.greet()
        await self.conversation.show()

    async def catch_up(self) -> None:
        """Show what there is after a login."""
        await self.conversation.show()
        request = PullNotice()
        for _ in range(MAX_PAGES):
            try:
                page = await self._link.ask(Command.OFFLINE_NOTICE_MSG, request)
            except ResultError:
                return
            self._show_notices(page.notices)
            if not page.has_more:
                return
            request.cursor = page.cursor

    def pushed(self, message: ImMsg) -> None:
        """Show a message."""
        if message.msg_type == MsgType.PASSTHROUGH:
            return
        if message.group_id == self.conversation.group_id:
            self.conversation.take(message)
        elif self._seen.is_new(message.group_id, message.seq_id) and message.sender_id != self.uid:
            self.say(elsewhere_line(message, self.uid, self.zone))

    def noticed(self, body: Message) -> None:
        """Take in what the daemon says by itself."""
        match body:
            case IssueReceipt() if body.group_id == self.conversation.group_id:
                self.conversation.hear(body)
            case NoticeMsg():
                self._show_notices([body])

    def _show_notices(self, notices: Iterable[NoticeMsg]) -> None:
        notice_ids = []
        for notice in notices:
            notice_ids.append(notice.notice_id)
            # The same notice may be given again later, with another time, and is then news.
            if self._seen.is_new(notice.notice_id, notice.send_time):
                self.say(notice_line(notice, self.conversation.group_id))
        if notice_ids:
            self._link.tell(Command.NOTICE_MSG_ACK, NoticeMsgAck(notice_ids=notice_ids))

    def _conversation(self, group_id: str) -> Conversation:
        return Conversation(self._link, self._clock, self.say, self._seen, self.uid, group_id, self.now_ms, self.zone)
