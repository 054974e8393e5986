"""The chat itself: what is typed is done in its order, and after a reconnect again until the daemon ACKs it."""

from collections import deque
from collections.abc import Awaitable, Callable
from datetime import tzinfo
from typing import Any, NamedTuple

from google.protobuf.message import Message
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IReactorTime

from imd.cli.chat.screen import elsewhere_line, group_table, member_table, message_line
from imd.cli.chat.single import peer_in
from imd.cli.chat.terminal import Terminal
from imd.client.connection import Connection, connect
from imd.client.errors import ClosedError, ResultError, TimedOutError
from imd.client.ids import uuid7
from imd.errors import ImdError
from imd.wire.bodies import (
    CloseChannel,
    GroupCreate,
    GroupInvite,
    GroupJoin,
    GroupMember,
    GroupMembers,
    GroupQuit,
    ImGroup,
    ImMsg,
    ImMsgAck,
    KickNotice,
    ListGroup,
    MsgAck,
    PullMsg,
)
from imd.wire.commands import Command
from imd.wire.results import KickReason, Result

LINUX = 23
RECONNECT_SECONDS = 5.0
RETRY_SECONDS = 1.0
LEAVE_SECONDS = 2.0
MAX_TYPED = 100
"""Lines that are read ahead of the daemon."""
MAX_PAGES = 20
"""Pages that a list shows."""
_MAX_SEEN = 10_000
_HISTORY = 20
_CATCH_UP = 100
_TEXT = 1
_PASSTHROUGH = 99
_FINAL_KICKS = {KickReason.REPLACED, KickReason.ADMIN, KickReason.BANNED}
_PASSING = {Result.UNAVAILABLE, Result.RATE_LIMITED}
_AWAY = (ClosedError, TimedOutError, ConnectError, DNSLookupError)


class ChatError(ImdError):
    """The chat can't go on."""


class Typed(NamedTuple):
    """A line that was typed; ``id`` is the same each time it is sent."""

    id: str
    line: str


class Verb(NamedTuple):
    """A line that begins with a slash: how it is written, what it does."""

    usage: str
    purpose: str
    run: Callable[["Chat", Typed, list[str]], Awaitable[None]]


class Chat:
    """One user's chat, which is in one conversation at a time.

    ``terminal`` is to be joined to where lines come from and go to. ``token`` makes a login token, ``server`` is a
    client endpoint string, ``now`` gives the seconds since the epoch, ``zone`` is None for the machine's own.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        uid: int,
        token: Callable[[], str],
        server: str,
        group_id: str,
        now: Callable[[], float],
        random: Callable[[int], bytes],
        zone: tzinfo | None = None,
        width: int = 80,
    ) -> None:
        self.terminal = Terminal(self._take, self._end)
        self._reactor = reactor
        self._uid = uid
        self._token = token
        self._server = server
        self._group_id = group_id
        self._now = now
        self._random = random
        self._zone = zone
        self._width = width
        self._typed: deque[Typed] = deque()
        self._is_ended = False
        self._is_refused = False
        self._connection: Connection | None = None
        self._gone = ""
        self._kicked = ""
        self._pause = RECONNECT_SECONDS
        self._was_online = False
        self._is_away = False
        self._newest = 0
        self._seen: dict[tuple[str, int], None] = {}
        self._held: list[ImMsg] | None = None
        self._wake: Deferred[None] | None = None

    async def run(self) -> bool:
        """Chat until the input ends, and say whether all that was typed was accepted. Raises ChatError."""
        self._greet()
        while True:
            try:
                await self._log_in()
                await self._show_history()
                await self._work()
            except _AWAY as error:
                await self._stay_away(str(error).rstrip("."))
                if self._is_ended and not self._typed:
                    return not self._is_refused
            else:
                await self._leave()
                return not self._is_refused

    # The connection.

    async def _log_in(self) -> None:
        connection = Connection(
            self._reactor, self._pushed, self._noticed, lambda reason: self._lost(connection, reason)
        )
        self._connection = connection
        self._gone = ""
        try:
            await connect(self._reactor, self._server, connection)
            await connection.login(self._uid, self._token(), LINUX, "imctl")
        except ValueError as error:
            raise ChatError(f"{self._server} is no endpoint to connect to: {error}.") from error
        except ResultError as error:
            if self._was_online and error.result in _PASSING:
                raise ClosedError(error.reason) from error
            raise ChatError(f"The daemon refused the login: {error}.") from error
        if self._is_away:
            self._say("The daemon is back.")
        self._was_online = True
        self._is_away = False

    async def _stay_away(self, reason: str) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and connection.connected:
            connection.drop(reason)
        if self._kicked:
            raise ChatError(self._kicked)
        if not self._was_online:
            raise ChatError(f"No daemon answers at {self._server} ({reason}): start one with `twistd -n imd`.")
        if not self._is_away:
            self._say(f"The daemon is away ({reason}); trying again every {RECONNECT_SECONDS:g} seconds.")
        self._is_away = True
        pause, self._pause = self._pause, RECONNECT_SECONDS
        await self._wait(pause)

    async def _leave(self) -> None:
        """Close the connection, once the last ACKs have gone out."""
        if self._connection is not None and not self._gone:
            self._connection.close()
            await self._wait(LEAVE_SECONDS)

    def _ask(self, command: Command, body: Message) -> Deferred[Any]:
        assert self._connection is not None
        return self._connection.request(command, body)

    def _lost(self, connection: Connection, reason: str) -> None:
        if connection is self._connection:
            self._gone = reason
            self._stir()

    def _noticed(self, _command: Command, body: Message) -> None:
        match body:
            case KickNotice() if body.reason in _FINAL_KICKS:
                why = "you logged in elsewhere" if body.reason == KickReason.REPLACED else "an admin ended it"
                self._kicked = f"The daemon closed this chat: {body.message or why}."
            case CloseChannel():
                self._pause = min(max(body.reconnect_after_ms / 1000, 0.0), 60.0)

    # What others write.

    async def _show_history(self) -> None:
        after = self._newest
        pull = PullMsg(group_id=self._group_id, receive_seq_id=after, page_size=_CATCH_UP if after else _HISTORY)
        held: list[ImMsg] = []
        self._held = held
        try:
            page = await self._ask(Command.IM_OFFLINE_MSG, pull)
        except ResultError as error:
            self._say(f"The messages can't be shown: {error}.")
            return
        finally:
            self._held = None
        if page.has_more:
            self._say("(older messages are left out)")
        elif not page.messages and not after:
            self._say("No messages yet.")
        for message in page.messages:
            if self._is_new(message) or not after:
                self._show(message)
        if page.messages:
            held_to = ImMsgAck(group_id=self._group_id, seq_id=page.messages[-1].seq_id)
            self._tell(Command.IM_MSG_ACK, MsgAck(acks=[held_to]))
        for message in held:
            if self._is_new(message):
                self._show(message)

    def _pushed(self, message: ImMsg, trace_id: int) -> None:
        assert self._connection is not None
        self._connection.acknowledge(trace_id)
        if message.msg_type == _PASSTHROUGH:
            return
        if message.group_id == self._group_id and self._held is not None:
            self._held.append(message)
        elif self._is_new(message):
            self._show(message)

    def _show(self, message: ImMsg) -> None:
        if message.group_id == self._group_id:
            self._newest = max(self._newest, message.seq_id)
            self._say(message_line(message, self._uid, self._zone))
        elif message.sender_id != self._uid:
            self._say(elsewhere_line(message, self._uid))

    def _is_new(self, message: ImMsg | ImMsgAck) -> bool:
        key = (message.group_id, message.seq_id)
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > _MAX_SEEN:
            del self._seen[next(iter(self._seen))]
        return True

    # What is typed.

    def _take(self, line: str) -> None:
        if not line.strip() or self._is_ended:
            return
        self._typed.append(Typed(uuid7(int(self._now() * 1000), self._random), line))
        if len(self._typed) == MAX_TYPED:
            self.terminal.pauseProducing()
        if not self._is_away:
            self._stir()

    def _end(self, complaint: str) -> None:
        self._is_ended = True
        if complaint:
            self._is_refused = True
            self._say(complaint)
        self._stir()

    async def _work(self) -> None:
        """Do what was typed, and return once it is all done and no more will come."""
        while True:
            while self._typed:
                await self._do(self._typed[0])
                self._typed.popleft()
                if len(self._typed) == MAX_TYPED - 1:
                    self.terminal.resumeProducing()
            if self._is_ended:
                return
            if self._gone:
                raise ClosedError(self._gone)
            await self._wait()

    async def _do(self, typed: Typed) -> None:
        if not typed.line.startswith("/"):
            await self._send(typed)
            return
        name, *arguments = typed.line.split()
        verb = VERBS.get(name)
        if verb is None:
            self._say(f"There is no {name}; /help lists the commands, and a blank before the slash sends the line.")
            return
        try:
            await verb.run(self, typed, arguments)
        except ResultError as error:
            self._is_refused = True
            self._say(f"{name} was refused: {error}.")
        except (ValueError, IndexError):
            self._say(f"It is written {verb.usage}.")

    async def _send(self, typed: Typed) -> None:
        message = ImMsg(msg_id=typed.id, msg_type=_TEXT, msg_body=typed.line, receiver_id=self._peer())
        if not message.receiver_id:
            message.group_id = self._group_id
        while True:
            try:
                ack = await self._ask(Command.IM_SEND_MSG, message)
            except ResultError as error:
                if error.result not in _PASSING:
                    self._is_refused = True
                    self._say(f"✗ not sent: {error}.")
                    return
                await self._wait(RETRY_SECONDS)
            else:
                self._is_new(ack)
                self._say(f"✓ {ack.seq_id}")
                return

    # The verbs.

    async def _list_groups(self, _typed: Typed, _arguments: list[str]) -> None:
        groups: list[ImGroup] = []
        request = ListGroup()
        for _ in range(MAX_PAGES):
            page = await self._ask(Command.LIST_GROUP, request)
            groups += page.groups
            if not page.has_more:
                break
            request.cursor = page.cursor
        self._say_all(group_table(groups, self._uid, self._width) if groups else ["You have no conversations yet."])

    async def _list_members(self, _typed: Typed, _arguments: list[str]) -> None:
        members: list[GroupMember] = []
        request = GroupMembers(group_id=self._group_id)
        for _ in range(MAX_PAGES):
            page = await self._ask(Command.GROUP_MEMBERS, request)
            members += page.members
            if not page.has_more:
                break
            request.cursor = page.cursor
        self._say_all(member_table(members, self._width))

    async def _open(self, _typed: Typed, arguments: list[str]) -> None:
        [group_id] = arguments
        await self._go_to(group_id)

    async def _make(self, typed: Typed, arguments: list[str]) -> None:
        request = GroupCreate(group_name=arguments[0], member_ids=_uids(arguments[1:]), request_id=typed.id)
        made = await self._ask(Command.GROUP_CREATE, request)
        group_id = made.groups[0].group_id
        self._say(f"The group {group_id} is made; the others type: imctl chat UID --group {group_id}")
        await self._go_to(group_id)

    async def _invite(self, _typed: Typed, arguments: list[str]) -> None:
        await self._ask(Command.GROUP_INVITE, GroupInvite(group_id=self._group_id, member_ids=_uids(arguments)))

    async def _join(self, _typed: Typed, arguments: list[str]) -> None:
        [group_id] = arguments
        await self._ask(Command.GROUP_JOIN, GroupJoin(group_id=group_id))
        await self._go_to(group_id)

    async def _quit(self, _typed: Typed, _arguments: list[str]) -> None:
        await self._ask(Command.GROUP_QUIT, GroupQuit(group_id=self._group_id))
        self._say(f"You have left {self._group_id}; /groups lists where you can go.")

    async def _help(self, _typed: Typed, _arguments: list[str]) -> None:
        self._say_all([f"{verb.usage:<16} {verb.purpose}" for verb in VERBS.values()])

    async def _exit(self, typed: Typed, _arguments: list[str]) -> None:
        self._is_ended = True
        self._typed = deque([typed])

    async def _go_to(self, group_id: str) -> None:
        self._group_id = group_id
        self._newest = 0
        self._greet()
        await self._show_history()

    # The rest.

    def _peer(self) -> int:
        """Return with whom this single chat is, 0 where it is a group's."""
        return peer_in(self._group_id, self._uid)

    def _greet(self) -> None:
        peer = self._peer()
        self._say(
            f"{self._uid} in {f'a chat with {peer}' if peer else f'the group {self._group_id}'}; /help tells more."
        )

    def _tell(self, command: Command, body: Message) -> None:
        assert self._connection is not None
        self._connection.tell(command, body)

    def _say(self, line: str) -> None:
        self.terminal.say(line)

    def _say_all(self, lines: list[str]) -> None:
        for line in lines:
            self._say(line)

    async def _wait(self, seconds: float | None = None) -> None:
        """Wait until something happens, ``seconds`` at most."""
        self._wake = wake = Deferred[None]()
        timer = None if seconds is None else self._reactor.callLater(seconds, self._stir)
        await wake
        if timer is not None and timer.active():
            timer.cancel()

    def _stir(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None:
            wake.callback(None)


def _uids(arguments: list[str]) -> list[int]:
    uids = [int(argument) for argument in arguments]
    if not uids or not all(0 < uid < 2**63 for uid in uids):
        raise ValueError("no uids")
    return uids


VERBS = {
    verb.usage.split()[0]: verb
    for verb in (
        Verb("/groups", "list your conversations", Chat._list_groups),
        Verb("/open ID", "go to another conversation", Chat._open),
        Verb("/new NAME UID…", "make a group, and go there", Chat._make),
        Verb("/invite UID…", "bring others into this group", Chat._invite),
        Verb("/join ID", "join a group, and go there", Chat._join),
        Verb("/quit", "leave this group", Chat._quit),
        Verb("/members", "list this group's members", Chat._list_members),
        Verb("/help", "list these commands", Chat._help),
        Verb("/exit", "end the chat, as Ctrl-D does", Chat._exit),
    )
}
