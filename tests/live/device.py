"""One device of a user, over the client's own connection."""

import json
import os
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from google.protobuf.message import Message
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.task import deferLater

from imd.client.connection import Connection, connect
from imd.client.errors import ResultError
from imd.client.ids import uuid7
from imd.wire.bodies import (
    GetGroupById,
    GroupCreate,
    Heartbeat,
    ImGroup,
    ImMsg,
    ImMsgAck,
    ListGroup,
    PullMsg,
    UnreadCount,
    UserData,
    UserLoginAck,
)
from imd.wire.commands import BODIES, Command
from imd.wire.enums import MsgStatus, MsgType
from imd.wire.results import Result

from .daemon import Daemon

ANDROID, MAC, LINUX = 11, 21, 23
WITHIN = 10.0
"""Seconds in which whatever is awaited has to come."""

COMMANDS = {of.request: command for command, of in BODIES.items() if of.request is not None}
"""The command of each request."""

reactor: Any = _reactor
MessageT = TypeVar("MessageT", bound=Message)


class Device:
    """A logged-in device; what the server sends it waits, in order, until the test takes it."""

    def __init__(self, uid: int, client_type: int) -> None:
        self.uid = uid
        self.client_type = client_type
        self.closed: Deferred[str] = Deferred()
        self._pushes: DeferredQueue[tuple[ImMsg, int]] = DeferredQueue()
        self._told: defaultdict[Command, DeferredQueue[Any]] = defaultdict(DeferredQueue)
        self.connection = Connection(
            reactor,
            lambda message, trace_id: self._pushes.put((message, trace_id)),
            lambda command, body: self._told[command].put(body),
            self.closed.callback,
        )

    async def login(self, daemon: Daemon, token: str = "") -> UserLoginAck:
        """Connect and log in."""
        await connect(reactor, f"tcp:127.0.0.1:{daemon.port}", self.connection)
        return await self.connection.login(self.uid, token or daemon.token(self.uid), self.client_type)

    async def ask(self, command: Command, body: Message, _answer: type[MessageT]) -> MessageT:
        """Ask the server; the answer is of the type given."""
        answer: MessageT = await self.connection.request(command, body)
        return answer

    async def request(self, body: Message) -> Any:
        """Ask the server for what only this body asks for; the answer is as its command says."""
        return await self.connection.request(COMMANDS[type(body)], body)

    async def say(self, text: str, *, to: int = 0, group: str = "", msg_id: str = "") -> ImMsgAck:
        """Send a text to a user or into a group."""
        return await self.ask(Command.IM_SEND_MSG, message(text, to=to, group=group, msg_id=msg_id), ImMsgAck)

    async def see(self) -> tuple[ImMsg, int]:
        """Return the next pushed message and its traceId, without an ACK."""
        return await self._pushes.get().addTimeout(WITHIN, reactor)

    async def hear(self) -> ImMsg:
        """Return the next pushed message, ACKed."""
        pushed, trace_id = await self.see()
        self.connection.acknowledge(trace_id)
        return pushed

    async def hear_op(self, op: str) -> dict[str, Any]:
        """Return the next pushed message, ACKed, which has to be this control message: what its body says."""
        pushed = await self.hear()
        body: dict[str, Any] = json.loads(pushed.msg_body)
        assert (pushed.msg_type, pushed.whether_non_count, body["op"]) == (MsgType.CONTROL, 1, op)
        assert pushed.sender_id == body["by"]
        return body

    async def told(self, command: Command) -> Any:
        """Return the next packet of this command that the server sent by itself."""
        return await self._told[command].get().addTimeout(WITHIN, reactor)

    async def heard_all(self) -> bool:
        """Whether everything pushed so far was taken; what the server sent before its answer has come with it."""
        await self.request(Heartbeat())
        return not self._pushes.pending

    async def told_all(self, command: Command) -> bool:
        """Whether all packets of this command that were sent so far were taken."""
        await self.request(Heartbeat())
        return not self._told[command].pending

    async def catch_up(self) -> list[ImMsg]:
        """Take all that has come, with an ACK for each message; return the messages."""
        await self.request(Heartbeat())
        messages = [await self.hear() for _ in range(len(self._pushes.pending))]
        self._told.clear()
        return messages

    async def await_time(self, time_ms: int) -> None:
        """Wait until it is past a time (ms) on the server's clock."""

        async def is_past() -> bool:
            return bool((await self.request(Heartbeat())).server_time > time_ms)

        await eventually(is_past)

    async def conversations(self, since: int = 0) -> UserData:
        """Return LIST_GROUP's first page."""
        return await self.ask(Command.LIST_GROUP, ListGroup(since=since), UserData)

    async def conversation(self, group_id: str) -> ImGroup:
        """Return one conversation as LIST_GROUP tells it."""
        groups = {group.group_id: group for group in (await self.conversations()).groups}
        return groups[group_id]

    async def unread(self, group_id: str) -> int:
        """Return how much of a conversation is unread, which has to be the same wherever it can be asked."""
        [by_id] = (await self.request(GetGroupById(group_ids=[group_id]))).groups
        assert (await self.conversation(group_id)).unread == by_id.unread
        [asked] = (await self.request(UnreadCount(group_ids=[group_id]))).groups
        assert asked.unread == by_id.unread
        everywhere = await self.request(UnreadCount())
        assert everywhere.total == sum(group.unread for group in everywhere.groups)
        assert {group.group_id: group.unread for group in everywhere.groups}.get(group_id, 0) == by_id.unread
        if not by_id.is_quit:
            pulled = await self.history(group_id, after=by_id.read_seq)
            assert len([each for each in pulled if self._counts(each)]) == by_id.unread
        return int(by_id.unread)

    def _counts(self, message: ImMsg) -> bool:
        is_normal = message.msg_status == MsgStatus.NORMAL and not message.whether_non_count
        return is_normal and message.sender_id != self.uid

    async def history(self, group_id: str, *, after: int = 0, page_size: int = 100) -> list[ImMsg]:
        """Pull everything after a seq, page by page."""
        messages: list[ImMsg] = []
        before = 0
        while True:
            pull = PullMsg(group_id=group_id, receive_seq_id=after, before_seq_id=before, page_size=page_size)
            page = await self.ask(Command.IM_OFFLINE_MSG, pull, UserData)
            messages = [*page.messages, *messages]
            if not page.has_more:
                return messages
            before = messages[0].seq_id

    async def make_group(self, name: str, *member_ids: int, join_policy: int = 0) -> str:
        """Make a group and return its id."""
        request = GroupCreate(group_name=name, member_ids=member_ids, join_policy=join_policy)
        return (await self.ask(Command.GROUP_CREATE, request, UserData)).groups[0].group_id

    async def leave(self) -> None:
        """Go offline, and return once that is so."""
        self.connection.close()
        await self.end()

    async def end(self) -> str:
        """Return why the connection ended, once it has."""
        return await self.closed.addTimeout(WITHIN, reactor)


def message(text: str, *, to: int = 0, group: str = "", msg_id: str = "") -> ImMsg:
    """Return a text message as a client sends it."""
    return ImMsg(msg_id=msg_id or new_id(), msg_type=1, msg_body=text, receiver_id=to, group_id=group)


def new_id() -> str:
    """Return a new msg_id."""
    return uuid7(time.time_ns() // 1_000_000, os.urandom)


async def refusal(asked: Awaitable[object]) -> Result:
    """Return what the server refuses this with."""
    try:
        await asked
    except ResultError as error:
        return Result(error.result)
    raise AssertionError("it was not refused")


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask until ``condition`` holds: for what is not answered, and what happens in the background."""
    deadline = reactor.seconds() + WITHIN
    while not await condition():
        assert reactor.seconds() < deadline, f"not so within {WITHIN} s"
        await deferLater(reactor, 0.01)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until ``condition`` holds."""
    deadline = reactor.seconds() + WITHIN
    while not condition():
        assert reactor.seconds() < deadline, f"not so within {WITHIN} s"
        await deferLater(reactor, 0.01)
