"""The client: "send this" and "show me that"; the rest is its business."""

import os
import random
import time
from collections.abc import Callable, Iterable
from os import PathLike
from typing import Any, cast

from google.protobuf.message import Message as Body
from twisted.internet.defer import Deferred

from imd.batching import Batching, IReactor
from imd.client import messages
from imd.client.account import Account
from imd.client.answer import Answer, answer, failed
from imd.client.callbacks import Callback
from imd.client.database import Database
from imd.client.engine import Engine
from imd.client.errors import TooLargeError
from imd.client.groups import Groups
from imd.client.ids import uuid7
from imd.client.session import TokenSource
from imd.client.settings import DEFAULTS, Settings
from imd.client.values import Message, State, body_of
from imd.wire.bodies import ImMsg, UserLogout
from imd.wire.commands import Command
from imd.wire.enums import SYSTEM_GROUP, GroupType, MsgType, Status
from imd.wire.packet import MAX_MESSAGE
from imd.wire.results import Result
from imd.wire.single import single_group_id

BOT = 50
_UNSENT = 1_000


class Client:
    """The user ``uid`` on one device of kind ``client_type``, of which the server lets one be online at a time.

    ``server`` is a Twisted client endpoint string. ``token`` is a login token, or a function, plain or async, that
    makes one each time it is called. ``store`` is the file of the local store, or None: in memory, for as long as this
    object. ``now`` gives seconds since the epoch, ``noise`` random bytes, ``chance`` numbers from 0 to 1.

    Methods that take time return an Answer: a Deferred that Twisted's coroutines can await, and asyncio's too.
    """

    def __init__(
        self,
        server: str,
        uid: int,
        token: TokenSource,
        store: "str | PathLike[str] | None" = None,
        *,
        client_type: int = BOT,
        device_id: str = "",
        settings: Settings = DEFAULTS,
        reactor: Any = None,
        now: Callable[[], float] = time.time,
        noise: Callable[[int], bytes] = os.urandom,
        chance: Callable[[], float] = random.random,
        batching: Callable[..., Any] = Batching,
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor  # noqa: PLC0415 - which one it is may be chosen until now
        self.uid = uid
        self._now = now
        self._noise = noise
        self._engine = engine = Engine(
            cast(IReactor, reactor),
            server,
            uid,
            token,
            client_type,
            device_id,
            Database(store, uid),
            settings,
            self._now_ms,
            chance,
            batching,
        )
        self._events = engine.events
        self.conversations = engine.conversations
        self.presence = engine.presence
        self.groups = Groups(self.request, engine.keeper, engine.gaps, self._new_id)
        self.account = Account(self.request, self._new_id)

    @property
    def state(self) -> State:
        """How the client stands with the server."""
        return self._engine.session.state

    @property
    def queued(self) -> int:
        """How many messages wait to be sent."""
        return len(self._engine.sending)

    def start(self) -> Answer[None]:
        """Open the local store, connect and log in; fires once that is done, and from then on the client stays online.

        Sending, and reading the local store, work from the call on. Fails with StoreError, with ResultError where the
        token is refused, with UnreachableError after ``Settings.reconnect_tries``, with KickedError, or with ValueError
        where ``server`` is no endpoint. It may be called again after any of these.
        """

        return answer(self._engine.start())

    def stop(self) -> Answer[None]:
        """Disconnect and close the local store; what waits to be sent is there the next time. Fires once it is done."""
        return answer(self._engine.stop())

    def log_out(self) -> Answer[None]:
        """End the session on the server, then ``stop``."""

        async def log_out() -> None:
            await self.request(Command.USER_LOGOUT, UserLogout())
            await self.stop()

        return answer(log_out())

    def network_changed(self) -> None:
        """Try to connect at once, and then as often as after ``start``: the network may be back."""
        self._engine.session.network_changed()

    # Messages.

    def send_text(self, *, text: str, to: int = 0, group_id: str = "", at_uids: Iterable[int] = ()) -> Answer[Message]:
        """Send a text to a user or into a group: ``send``, for the most usual kind."""
        return self.send(to=to, group_id=group_id, msg_body=text, at_uids=at_uids)

    def send(
        self,
        *,
        to: int = 0,
        group_id: str = "",
        msg_type: int = MsgType.TEXT,
        msg_body: str = "",
        sender_name: str = "",
        sender_remark: str = "",
        extra: str = "",
        attach_id: int = 0,
        attach_type: int = 0,
        attach_name: str = "",
        attach_url: str = "",
        attach_size: int = 0,
        whether_non_count: bool = False,
        at_uids: Iterable[int] = (),
    ) -> Answer[Message]:
        """Queue a message to the user ``to`` or into a group; fires once it is in the local store, SENDING.

        What becomes of it is told by ``on_status``. A PASSTHROUGH is not stored: it fires once the server has it, and
        fails as a request does. Fails with ValueError or TooLargeError where it can't be a message, BusyError where
        ``Settings.max_queued`` wait, StoreError.
        """
        if bool(to) == bool(group_id):
            return failed(ValueError("a message goes either to a user (to) or into a group (group_id)"))
        message = Message(
            group_id=group_id or single_group_id(self.uid, to),
            seq_id=0,
            msg_id=self._new_id(),
            msg_type=int(msg_type),
            msg_body=msg_body,
            send_time=self._now_ms(),
            sender_id=self.uid,
            sender_name=sender_name,
            sender_remark=sender_remark,
            status=int(Status.SENDING),
            msg_status=0,
            extra=extra,
            attach_id=attach_id,
            attach_type=attach_type,
            attach_name=attach_name,
            attach_url=attach_url,
            attach_size=attach_size,
            whether_non_count=int(whether_non_count),
            group_type=_kind_of(group_id),
            group_name="",
            queue_id=0,
            result=0,
            reason="",
            at_uids=tuple(at_uids),
        )
        try:
            body = body_of(message)
        except (ValueError, TypeError) as error:
            return failed(ValueError(f"this can't be a message: {error}"))
        if (size := body.ByteSize()) > MAX_MESSAGE:
            return failed(
                TooLargeError(Result.TOO_LARGE, f"the message has {size} bytes; at most {MAX_MESSAGE} can be")
            )
        if msg_type == MsgType.PASSTHROUGH:
            return answer(self._pass_through(body, message))
        return self._engine.sending.put(message)

    def resend(self, msg_id: str) -> Answer[Message]:
        """Send a message that is FAILURE again, under its msgId: never a second copy. Raises UnknownMessageError."""
        return answer(self._engine.sending.resend(msg_id))

    def discard(self, msg_id: str) -> Answer[None]:
        """Drop a message that is FAILURE, so that those behind it go on. Raises UnknownMessageError."""
        return answer(self._engine.sending.discard(msg_id))

    def unsent(self, group_id: str | None = None) -> Answer[list[Message]]:
        """Return what is SENDING or FAILURE, of one conversation or of all, in its order: the first 1,000."""

        async def unsent() -> list[Message]:
            return await self._engine.store.call(lambda database: messages.unsent(database, group_id, _UNSENT))

        return answer(unsent())

    def history(self, group_id: str, *, before: int = 0, limit: int = 20) -> Answer[list[Message]]:
        """Return the newest ``limit`` (1 to 100) messages before a seq, 0 for the newest of all, ascending.

        They come from the local store, and where that has gaps, from the server; while offline, gaps stay. Of what I
        have deleted there is a tombstone (``msg_status``). Raises NotInGroupError, ForbiddenError, StoreError.
        """
        return answer(self._engine.history.newest(group_id, before, limit))

    def message(self, group_id: str, seq_id: int) -> Answer[Message | None]:
        """Return one message, None where there is none. Raises as ``history`` does."""

        async def message() -> Message | None:
            found = await self._engine.history.between(group_id, seq_id, seq_id)
            return found[0] if found else None

        return answer(message())

    # What the application is called with. Each returns the function, so that it serves as a decorator.

    def on_message(self, callback: Callback) -> Callback:
        """Call with each Message received, once and in the order of its conversation; not with those sent from here.

        Control messages come too (``msg_type`` 100), and what was sent on another device of mine.
        """
        return self._events.message.add(callback)

    def on_status(self, callback: Callback) -> Callback:
        """Call with each Message sent from here whose status changes: SUCCESS, FAILURE, or SENDING again."""
        return self._events.status.add(callback)

    def on_passthrough(self, callback: Callback) -> Callback:
        """Call with each Message that only passes through, such as "is typing"."""
        return self._events.passthrough.add(callback)

    def on_conversation(self, callback: Callback) -> Callback:
        """Call with each Conversation that changed otherwise than by a message: settings, marks, membership."""
        return self._events.conversation.add(callback)

    def on_receipt(self, callback: Callback) -> Callback:
        """Call with each Receipt: how far another user is."""
        return self._events.receipt.add(callback)

    def on_notice(self, callback: Callback) -> Callback:
        """Call with each Notice, once; after that it is ACKed."""
        return self._events.notice.add(callback)

    def on_presence(self, callback: Callback) -> Callback:
        """Call with what changes of the users subscribed to: the kinds of device of each, by uid."""
        return self._events.presence.add(callback)

    def on_connection(self, callback: Callback) -> Callback:
        """Call with each Connectivity: the state, and why it is so."""
        return self._events.connection.add(callback)

    def on_kicked(self, callback: Callback) -> Callback:
        """Call with the Kick when the server has ended the session for good."""
        return self._events.kicked.add(callback)

    # Beneath.

    def request(self, command: Command, body: Body) -> "Deferred[Any]":
        """Ask the server for anything, and fire with the body of its answer.

        Fails with ResultError, ClosedError, TimedOutError or BusyError.
        """
        return self._engine.session.request(command, body)

    async def _pass_through(self, body: ImMsg, message: Message) -> Message:
        await self.request(Command.IM_SEND_MSG, body)
        return message._replace(status=int(Status.SUCCESS))

    def _now_ms(self) -> int:
        return int(self._now() * 1000)

    def _new_id(self) -> str:
        return uuid7(self._now_ms(), self._noise)


def _kind_of(group_id: str) -> int:
    if group_id == SYSTEM_GROUP:
        return int(GroupType.SYSTEM)
    return int(GroupType.GROUP if group_id and "_" not in group_id else GroupType.SINGLE)
