"""The chat itself: what is typed is done in its order, and after a reconnect again until the daemon ACKs it."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import tzinfo
from os import PathLike
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from imd.batching import Batching
from imd.cli.chat.commands import Commands
from imd.cli.chat.pace import in_background
from imd.cli.chat.talk import Talk
from imd.cli.chat.terminal import Terminal
from imd.cli.chat.verb import Typed
from imd.client import Client
from imd.client.errors import ClientError, ClosedError, ResultError, StoreError, TimedOutError, refusal
from imd.client.ids import uuid7
from imd.client.settings import DEFAULTS
from imd.client.values import Connectivity, Kick, Message, State
from imd.errors import ImdError
from imd.wire.enums import Status
from imd.wire.results import KickReason, Result

LINUX = 23
RECONNECT_SECONDS = DEFAULTS.reconnect_seconds
MAX_TYPED = 100
"""Lines that are read ahead of the daemon."""
SETTINGS = replace(DEFAULTS, reconnect_tries=1 << 31, jitter=0.0, catch_up=100)
"""A person waits for the daemon, however long, and wants no more of what was missed than is read."""
AWAY = (ClosedError, TimedOutError)
"""What a command fails with where the daemon can't be reached."""


class ChatError(ImdError):
    """The chat can't go on."""


class Chat:
    """One user's chat, which begins in the conversation ``group_id``.

    ``terminal`` is to be joined to where lines come from and go to. ``token`` makes a login token, ``server`` is a
    client endpoint string, ``now`` gives the seconds since the epoch, ``zone`` is None for the machine's own. ``store``
    is the file in which messages are kept, or None.
    """

    def __init__(
        self,
        reactor: Any,
        uid: int,
        token: Callable[[], str],
        server: str,
        group_id: str,
        now: Callable[[], float],
        random: Callable[[int], bytes],
        zone: tzinfo | None = None,
        width: int = 80,
        store: "str | PathLike[str] | None" = None,
        batching: Callable[..., Any] = Batching,
    ) -> None:
        self.terminal = Terminal(self._take, self._end)
        self._now = now
        self._random = random
        self._server = server
        self._say = self.terminal.say
        self._client = client = Client(
            server,
            uid,
            token,
            store,
            client_type=LINUX,
            device_id="imctl",
            settings=SETTINGS,
            reactor=reactor,
            now=now,
            noise=random,
            batching=batching,
        )
        self._talk = talk = Talk(client, reactor, self._say, uid, group_id, now, zone, width)
        self._commands = Commands(talk, self._exit)
        client.on_message(talk.received)
        client.on_receipt(talk.heard)
        client.on_notice(talk.noticed)
        client.on_status(self._changed)
        client.on_connection(self._connection)
        client.on_kicked(self._kicked)
        self._typed: deque[Typed] = deque()
        self._outcome: Message | None = None
        self._is_ended = False
        self._is_refused = False
        self._is_shown = False
        self._was_online = False
        self._is_away = False
        self._is_leaving = False
        self._problem: ChatError | None = None
        self._wake: Deferred[None] | None = None

    async def run(self) -> bool:
        """Chat until the input ends, and say whether all that was typed was accepted. Raises ChatError."""
        self._talk.greet()
        self._client.start().addErrback(self._not_started)
        while not self._is_over():
            if self._client.state is not State.ONLINE:
                await self._wait()
                continue
            try:
                await self._work()
            except AWAY:
                if self._client.state is State.ONLINE:  # a request had no answer, though the connection holds
                    continue
        self._is_leaving = True
        self._talk.conversation.close()
        await self._client.stop()
        if self._problem is not None:
            raise self._problem
        return not self._is_refused

    def _is_over(self) -> bool:
        """Whether nothing more can be done, or is to be."""
        if self._problem is not None:
            return True
        return self._is_ended and not self._typed and (self._is_shown or self._is_away)

    # The connection.

    def _connection(self, connectivity: Connectivity) -> None:
        state, reason = connectivity
        reason = reason.rstrip(".")
        if state is State.ONLINE:
            self._was_online = True
            if self._is_away:
                self._is_away = False
                self._say("The daemon is back.")
                if self._is_shown:
                    in_background(self._talk.conversation.come_back())
        elif state is State.STOPPED:
            if not self._is_leaving:
                self._problem = ChatError(f"The daemon refused the login: {reason}.")
        elif reason and not self._was_online:
            self._problem = ChatError(
                f"No daemon answers at {self._server} ({reason}): start one with `twistd -n imd`."
            )
        elif reason and not self._is_away:
            self._is_away = True
            self._say(f"The daemon is away ({reason}); trying again every {RECONNECT_SECONDS:g} seconds.")
        self._stir()

    def _kicked(self, kick: Kick) -> None:
        why = "you logged in elsewhere" if kick.reason == KickReason.REPLACED else "an admin ended it"
        self._problem = ChatError(f"The daemon closed this chat: {kick.message or why}.")
        self._stir()

    def _not_started(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, (ValueError, StoreError)):
            self._problem = ChatError(f"{str(error)[:1].upper()}{str(error)[1:]}.")
            self._stir()
        elif not isinstance(error, ClientError):
            failure.raiseException()

    # What is typed.

    def _take(self, line: str) -> None:
        if not line.strip() or self._is_ended:
            return
        self._typed.append(Typed(uuid7(int(self._now() * 1000), self._random), line))
        if len(self._typed) == MAX_TYPED:
            self.terminal.pauseProducing()
        self._stir()

    def _end(self, complaint: str) -> None:
        self._is_ended = True
        if complaint:
            self._is_refused = True
            self._say(complaint)
        self._stir()

    def _exit(self) -> None:
        self._is_ended = True
        while len(self._typed) > 1:  # the first is what ends it
            self._typed.pop()

    async def _work(self) -> None:
        """Show the conversation, do what was typed, and return once it is all done and no more will come."""
        if not self._is_shown:
            await self._talk.conversation.show()
            self._is_shown = True
        while not self._is_over():
            while self._typed:
                typed = self._typed[0]
                is_command = typed.line.startswith("/")
                if not await (self._commands.do(typed) if is_command else self._send(typed)):
                    self._is_refused = True
                if self._problem is not None:
                    return
                self._typed.popleft()
                if len(self._typed) == MAX_TYPED - 1:
                    self.terminal.resumeProducing()
            if not self._is_over():
                await self._wait()

    async def _send(self, typed: Typed) -> bool:
        """Send a line, and return whether the daemon has taken it."""
        conversation = self._talk.conversation
        peer = conversation.peer
        try:
            message = await self._client.send_text(
                text=typed.line, to=peer, group_id="" if peer else conversation.group_id
            )
            done = await self._outcome_of(message)
        except ResultError as error:
            self._say(f"✗ not sent: {await conversation.why_not(error)}.")
            return False
        if done is not None:
            conversation.sent(done)
            self._say(f"✓ {done.seq_id}")
        return done is not None

    async def _outcome_of(self, message: Message) -> Message | None:
        """Return a message once it is stored, None where the chat is over before. Raises ResultError."""
        while self._problem is None:
            done = self._outcome
            if done is None or done.msg_id != message.msg_id:
                await self._wait()
            elif done.status == Status.SUCCESS:
                return done
            elif done.result:
                if done.result == Result.INTERNAL:
                    await self._client.discard(done.msg_id)
                raise refusal(done.result, done.reason)
            else:  # no ACK came: only sending it again tells
                self._outcome = None
                await self._client.resend(done.msg_id)
        return None

    def _changed(self, message: Message) -> None:
        if message.status != Status.SENDING:
            self._outcome = message
            self._stir()

    # The rest.

    async def _wait(self) -> None:
        """Wait until something happens."""
        self._wake = Deferred()
        await self._wake

    def _stir(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None:
            wake.callback(None)
