"""The conversation on screen: what it shows, what the others learn of that, and how far they are."""

from collections.abc import Callable
from datetime import tzinfo

from twisted.internet.interfaces import IReactorTime

from imd.cli.chat.control import Control, control_in
from imd.cli.chat.marks import Marks
from imd.cli.chat.pace import Pace, in_background
from imd.cli.chat.screen import about_line, message_line, silence
from imd.cli.chat.single import peer_in
from imd.cli.chat.words import plain
from imd.client import Client
from imd.client.errors import PASSING, ClosedError, ResultError
from imd.client.values import Conversation as ConversationRow
from imd.client.values import Message, Receipt, State
from imd.wire.bodies import (
    ListMsgReader,
    SubmitReadSeq,
)
from imd.wire.commands import Command
from imd.wire.enums import GroupType, MsgStatus, MsgType
from imd.wire.results import Result

READ_SECONDS = 0.3
"""Between two times that the others are told what was read here."""
MARK_SECONDS = 1.0
"""Until it is shown how far the others are; the next time about the same message takes twice as long, and so on."""
_HISTORY = 20
_LEFT_OUT = "(older messages are left out)"


class Conversation:
    """One conversation while it is on screen; ``close`` it before the next.

    ``say`` writes a line.
    """

    def __init__(
        self,
        client: Client,
        clock: IReactorTime,
        say: Callable[[str], None],
        uid: int,
        group_id: str,
        now_ms: Callable[[], int],
        zone: tzinfo | None,
    ) -> None:
        self.group_id = group_id
        self.peer = peer_in(group_id, uid)
        """With whom this single chat is, 0 where it is none."""
        self.newest = 0
        """The newest seq that was shown."""
        self.marks = Marks()
        self._client = client
        self._say = say
        self._uid = uid
        self._now_ms = now_ms
        self._zone = zone
        self._held: list[Message] | None = []
        self._to_read = 0
        self._has_read = 0
        self._reading = Pace(clock, READ_SECONDS, self._submit_read)
        self._marking = Pace(clock, MARK_SECONDS, self._say_marks, factor=2.0)

    async def show(self) -> None:
        """Show the newest messages. Raises ClosedError where the connection ends before they are there."""
        held: list[Message] = []
        if self._held is None:
            self._held = held
        page: list[Message] | None = None
        try:
            group = await self.look_up()
            page = await self._client.history(self.group_id, limit=_HISTORY)
            if self._client.state is not State.ONLINE:
                raise ClosedError("the connection has ended")
            if group is not None and group.group_type == GroupType.GROUP:
                self._introduce(group)
            begin = group.init_seq if group is not None else 0
            self._show_page(page, begin)
        except ResultError as error:
            self._say(f"The messages can't be shown: {plain(error)}.")
        held, self._held = self._held, None
        for message in held:
            self.take(message)
        self._reading.soon()
        in_background(self._say_marks())

    async def come_back(self) -> None:
        """Find out, after a while away, how far the others are."""
        await self.look_up()
        self._reading.soon()
        await self._say_marks()

    def take(self, message: Message) -> None:
        """Show a message that was received, unless newer ones were shown before: then it is one of those left out."""
        if self._held is not None:
            self._held.append(message)
        elif message.seq_id > self.newest:
            before = self.end()
            if before and message.seq_id > before + 1:
                self._say(_LEFT_OUT)
            self._show(message)
            if message.msg_type == MsgType.CONTROL and _is_announcement(control_in(message.msg_body)):
                in_background(self._announce())

    def sent(self, message: Message) -> None:
        """Take in that a message of mine is stored."""
        self.marks.add(message.seq_id, message.msg_id)
        self._marking.reset()

    def hear(self, receipt: Receipt) -> None:
        """Take in another one's watermarks."""
        if receipt.uid != self._uid:
            self.marks.hear(receipt.uid, receipt.receive_seq, receipt.read_seq)
            self._marking.soon()

    def end(self) -> int:
        """Return the newest seq that is known of."""
        return max(self.newest, self.marks.newest()[0])

    async def look_up(self) -> ConversationRow | None:
        """Return how the conversation stands for me, None where there is nothing to know."""
        try:
            found = await self._client.groups.find([self.group_id])
        except ResultError:
            return None
        for group in found:
            self._has_read = max(self._has_read, group.read_seq)
            if self.peer not in (0, self._uid):
                self.marks.hear(self.peer, group.peer_receive_seq, group.peer_read_seq)
            return group
        return None

    async def why_not(self, error: ResultError) -> str:
        """Return why a message can't be sent; of a mute the daemon's own words are not for people."""
        if error.result == Result.MUTED and (group := await self.look_up()) is not None:
            return "; ".join(silence(group, self._now_ms(), self._zone)) or plain(error)
        return plain(error)

    async def message(self, seq_id: int) -> Message | None:
        """Return one message, None where there is none. Raises ResultError."""
        return await self._client.message(self.group_id, seq_id)

    def close(self) -> None:
        """Tell what was read, and show no more."""
        self._marking.stop()
        if self._reading.stop():
            in_background(self._submit_read())

    # What is shown.

    def _show_page(self, page: list[Message], begin: int) -> None:
        if not page:
            self._say("No messages yet.")
        elif page[0].seq_id > begin + 1:
            self._say(_LEFT_OUT)
        for message in page:
            self._show(message)

    def _introduce(self, group: ConversationRow) -> None:
        self._say(about_line(group, self._now_ms(), self._zone))
        if group.announcement:
            self._say(f"!! Announcement: {group.announcement}")

    async def _announce(self) -> None:
        group = await self.look_up()
        if group is not None:
            self._say(f"!! Announcement: {group.announcement or '(none any more)'}")

    def _show(self, message: Message) -> None:
        self.newest = max(self.newest, message.seq_id)
        if message.sender_id != self._uid:
            self._to_read = max(self._to_read, message.seq_id)
            self._reading.soon()
        if message.msg_status == MsgStatus.DELETED:
            return
        if message.msg_type == MsgType.CONTROL:
            control = control_in(message.msg_body)
            if control.op == "revoke":
                self.marks.remove(control.seq_id)
        elif message.sender_id == self._uid and message.msg_status == MsgStatus.NORMAL:
            self.marks.add(message.seq_id, message.msg_id)
        self._say(message_line(message, self._uid, self._zone))

    # How far each is.

    async def _submit_read(self) -> None:
        seq_id = self._to_read
        if seq_id <= self._has_read:
            return
        try:
            await self._client.request(Command.SUBMIT_READ_SEQ, SubmitReadSeq(group_id=self.group_id, read_seq=seq_id))
        except ResultError as error:
            if error.result not in PASSING:
                raise
            self._reading.soon()
        else:
            self._has_read = max(self._has_read, seq_id)

    async def _say_marks(self) -> None:
        line = self.marks.peer_news() if self.peer else await self._group_news()
        if line:
            self._say(line)

    async def _group_news(self) -> str:
        seq_id, _ = self.marks.newest()
        if not seq_id or not self.marks.delivered_to(seq_id):
            return ""
        answer = await self._client.request(
            Command.LIST_MSG_READER, ListMsgReader(group_id=self.group_id, seq_id=seq_id)
        )
        readers = len(answer.readers)
        return self.marks.group_news(readers, readers + len(answer.unreaders))


def _is_announcement(control: Control) -> bool:
    return control.op == "update" and "announcement" in control.value.split()
