"""The chat itself: what is typed is done in its order, and after a reconnect again until the daemon ACKs it."""

from collections import deque
from collections.abc import Callable
from datetime import tzinfo

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from imd.cli.chat.commands import Commands
from imd.cli.chat.link import AWAY, PASSING, RECONNECT_SECONDS, Link, plain
from imd.cli.chat.talk import Talk
from imd.cli.chat.terminal import Terminal
from imd.cli.chat.verb import Typed
from imd.client.errors import ClosedError, ResultError
from imd.client.ids import uuid7
from imd.wire.bodies import ImMsg
from imd.wire.commands import Command
from imd.wire.enums import MsgType

RETRY_SECONDS = 1.0
LEAVE_SECONDS = 2.0
MAX_TYPED = 100
"""Lines that are read ahead of the daemon."""


class Chat:
    """One user's chat, which begins in the conversation ``group_id``.

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
        self._now = now
        self._random = random
        self._link = Link(reactor, uid, token, server)
        self._say = self.terminal.say
        self._talk = Talk(self._link, reactor, self._say, uid, group_id, now, zone, width)
        self._commands = Commands(self._talk, self._exit)
        self._typed: deque[Typed] = deque()
        self._is_ended = False
        self._is_refused = False
        self._is_away = False
        self._wake: Deferred[None] | None = None

    async def run(self) -> bool:
        """Chat until the input ends, and say whether all that was typed was accepted. Raises ChatError."""
        self._talk.greet()
        while True:
            try:
                await self._link.log_in(self._talk.pushed, self._talk.noticed, self._stir)
                if self._is_away:
                    self._say("The daemon is back.")
                self._is_away = False
                await self._talk.catch_up()
                await self._work()
            except AWAY as error:
                await self._stay_away(plain(error))
                if self._is_ended and not self._typed:
                    return not self._is_refused
            else:
                await self._leave()
                return not self._is_refused

    async def _stay_away(self, reason: str) -> None:
        pause = self._link.give_up(reason)
        if not self._is_away:
            self._say(f"The daemon is away ({reason}); trying again every {RECONNECT_SECONDS:g} seconds.")
        self._is_away = True
        await self._wait(pause)

    async def _leave(self) -> None:
        """End the session, once the last ACKs have gone out."""
        self._talk.conversation.close()
        if self._link.close():
            await self._wait(LEAVE_SECONDS)

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

    def _exit(self) -> None:
        self._is_ended = True
        while len(self._typed) > 1:  # the first is what ends it
            self._typed.pop()

    async def _work(self) -> None:
        """Do what was typed, and return once it is all done and no more will come."""
        while True:
            while self._typed:
                typed = self._typed[0]
                is_command = typed.line.startswith("/")
                if not await (self._commands.do(typed) if is_command else self._send(typed)):
                    self._is_refused = True
                self._typed.popleft()
                if len(self._typed) == MAX_TYPED - 1:
                    self.terminal.resumeProducing()
            if self._is_ended:
                return
            if self._link.gone:
                raise ClosedError(self._link.gone)
            await self._wait()

    async def _send(self, typed: Typed) -> bool:
        conversation = self._talk.conversation
        message = ImMsg(msg_id=typed.id, msg_type=MsgType.TEXT, msg_body=typed.line, receiver_id=conversation.peer)
        if not conversation.peer:
            message.group_id = conversation.group_id
        while True:
            try:
                ack = await self._talk.ask(Command.IM_SEND_MSG, message)
            except ResultError as error:
                if error.result not in PASSING:
                    self._say(f"✗ not sent: {await conversation.why_not(error)}.")
                    return False
                await self._wait(RETRY_SECONDS)
            else:
                conversation.sent(ack)
                self._say(f"✓ {ack.seq_id}")
                return True

    # The rest.

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
