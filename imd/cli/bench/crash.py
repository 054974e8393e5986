"""kill -9 under load: what was ACKed is there once, and what is sent again has exactly one copy."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

from imd.cli.bench.asker import Asker, create_group, pull_all
from imd.cli.bench.chat import Quota, Sender
from imd.cli.bench.conversation import Conversation
from imd.cli.bench.daemon import OwnDaemon
from imd.cli.bench.ledger import Stream
from imd.cli.bench.load import Loop, Target, push_ack
from imd.cli.bench.pairs import BODY, ordered_ids
from imd.cli.token import load_secret
from imd.wire.bodies import ImMsg
from imd.wire.commands import Command
from imd.wire.enums import MsgType
from imd.wire.packet import ACK, Packet

_PAIRS = 5
_MEMBERS = 6
_WINDOW = 8
_SHORTEST, _LONGEST = 0.02, 1.0
"""Seconds under load before a kill."""
_RESEND_SECONDS = 30.0
_PAGE = 100
_UNLIMITED = 1 << 62


class Member(Sender):
    """Sends its stream into a conversation, and ACKs what the others are heard to say there."""

    __slots__ = ("_conversation",)

    def __init__(
        self, loop: Loop, uid: int, conversation: Conversation, new_id: Callable[[], str], quota: Quota
    ) -> None:
        message = ImMsg(msg_type=MsgType.TEXT, msg_body=BODY, group_id=conversation.group_id)
        super().__init__(loop, uid, conversation.streams[uid], message, new_id, quota, _WINDOW)
        self._conversation = conversation

    def take(self, packets: Iterator[Packet]) -> None:
        """Enter ACKs as a sender does, and pushes as a receiver."""
        super().take(packet for packet in packets if not self._is_push(packet))

    def _is_push(self, packet: Packet) -> bool:
        if packet.command != Command.IM_SEND_MSG or packet.flags & ACK:
            return False
        message = ImMsg.FromString(packet.body)
        self._conversation.pushed(message.msg_id, message.seq_id)
        self.send(push_ack(packet.trace_id))
        return True


class Crash:
    """A daemon in ``folder`` that is killed at instants which ``seed`` decides, and the clients that outlive it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._daemon = OwnDaemon(folder)
        self._seed = seed
        self._instants = random.Random(seed)  # noqa: S311 - has to be repeatable
        self._new_id = ordered_ids(random.Random(seed))  # noqa: S311 - ids are no secret
        self._conversations: list[Conversation] = []

    def run(self, rounds: int, say: Callable[[str], None]) -> list[str]:
        """Kill the daemon ``rounds`` times, tell of each by ``say``, and return a sentence for each breach.

        Raises LoadError where the daemon doesn't start, refuses, or ends a connection by itself.
        """
        try:
            for number in range(1, rounds + 1):
                say(f"round {number}: {self._round()}")
            self._daemon.start()
            with self._loop() as loop:
                self._join(loop, Quota(0))
                loop.wait_for(lambda: not self._unacked(), _RESEND_SECONDS)
            with self._loop() as loop:
                breaches, stored = self._compare(loop)
            say(f"{self._acked():,} messages ACKed, {stored:,} stored, counting what tells of the group")
            exit_code = self._daemon.stop()
            if exit_code:
                breaches.append(f"the daemon was asked to end, and left with exit code {exit_code}")
            return breaches
        finally:
            self._daemon.kill()

    def _round(self) -> str:
        self._daemon.start()
        if not self._conversations:
            self._conversations = self._begin()
        acked, resent = self._acked(), self._unacked()
        seconds = self._instants.uniform(_SHORTEST, _LONGEST)
        with self._loop() as loop:
            self._join(loop, Quota(_UNLIMITED))
            loop.wait(seconds)
            self._daemon.kill()
        return (
            f"{resent} sent again, {self._acked() - acked:,} ACKed,"
            f" killed after {seconds:.3f} s with {self._unacked()} under way"
        )

    def _begin(self) -> list[Conversation]:
        """Think of pairs, and make a group."""
        pairs = [
            Conversation(f"pair {first}_{first + 1}", f"{first}_{first + 1}", (first, first + 1))
            for first in range(1, 2 * _PAIRS, 2)
        ]
        owner, *others = range(2 * _PAIRS + 1, 2 * _PAIRS + 1 + _MEMBERS)
        with self._loop() as loop:
            group_id = create_group(loop, owner, others)
        return [*pairs, Conversation("the group", group_id, (owner, *others))]

    def _join(self, loop: Loop, quota: Quota) -> None:
        """Log everyone in; each sends again what has no ACK, and goes on with ``quota``."""
        members = [
            Member(loop, uid, conversation, self._new_id, quota)
            for conversation in self._conversations
            for uid in conversation.streams
        ]
        loop.log_in(members)
        for member in members:
            member.resume(monotonic())

    def _compare(self, loop: Loop) -> tuple[list[str], int]:
        """Pull every conversation, and return the breaches and how many messages there are."""
        breaches: list[str] = []
        count = 0
        for conversation in self._conversations:
            reader = Asker(loop, min(conversation.streams))
            loop.log_in([reader])
            stored = pull_all(reader, conversation.group_id, _PAGE)
            breaches += conversation.compare(stored)
            count += len(stored)
            reader.close()
        return breaches, count

    def _loop(self) -> Loop:
        secret = load_secret(self._daemon.data / "token.secret")
        return Loop(Target(self._daemon.host, self._daemon.port, self._daemon.pid, secret, 1, self._seed))

    def _streams(self) -> Iterator[Stream]:
        for conversation in self._conversations:
            yield from conversation.streams.values()

    def _acked(self) -> int:
        return sum(stream.acks for stream in self._streams())

    def _unacked(self) -> int:
        return sum(len(stream.ids) - stream.acks for stream in self._streams())
