"""What the user sees: one conversation on screen, and a line for what comes from elsewhere."""

from collections.abc import Callable, Iterable
from datetime import tzinfo
from typing import Any

from google.protobuf.message import Message as Body
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from imd.cli.chat.conversation import Conversation
from imd.cli.chat.notices import notice_line
from imd.cli.chat.screen import elsewhere_line
from imd.client import Client
from imd.client.values import Message, Notice, Receipt
from imd.wire.commands import Command
from imd.wire.enums import SYSTEM_GROUP

MAX_PAGES = 20
"""Pages that a list shows."""


class Talk:
    """The user ``uid`` in one conversation at a time, which begins as ``group_id``.

    ``say`` writes a line of at most ``width`` columns where it can, ``now`` gives the seconds since the epoch.
    """

    def __init__(
        self,
        client: Client,
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
        self._client = client
        self._clock = clock
        self._now = now
        self.conversation = self._conversation(group_id)

    def now_ms(self) -> int:
        """Return the milliseconds since the epoch."""
        return int(self._now() * 1000)

    def ask(self, command: Command, body: Body) -> Deferred[Any]:
        """Ask the daemon, and fire with the body of its answer. Fails as Client.request does."""
        return self._client.request(command, body)

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

    def received(self, message: Message) -> None:
        """Show a message."""
        if message.group_id == self.conversation.group_id:
            self.conversation.take(message)
        elif message.sender_id != self.uid:
            self.say(elsewhere_line(message, self.uid, self.zone))

    def heard(self, receipt: Receipt) -> None:
        """Take in how far another one is."""
        if receipt.group_id == self.conversation.group_id:
            self.conversation.hear(receipt)

    def noticed(self, notice: Notice) -> None:
        """Show a notice."""
        self.say(notice_line(notice, self.conversation.group_id))

    def _conversation(self, group_id: str) -> Conversation:
        return Conversation(self._client, self._clock, self.say, self.uid, group_id, self.now_ms, self.zone)
