"""The commands that concern the user, not a conversation."""

from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.message import Message as Body
from twisted.internet.defer import Deferred

from imd.client.answer import Answer, answer
from imd.wire.bodies import (
    Block,
    CleanPushCount,
    Heartbeat,
    HeartbeatAck,
    KickUser,
    KickUserAck,
    ListBlocked,
    ListBlockedAck,
    Unblock,
    Upstream,
)
from imd.wire.commands import Command


class Account:
    """Each method asks the server, and raises as those of Groups do."""

    def __init__(self, request: Callable[[Command, Body], "Deferred[Any]"], new_id: Callable[[], str]) -> None:
        self._request = request
        self._new_id = new_id

    def server_time(self) -> Answer[int]:
        """Return the server's clock, in ms since the epoch."""

        async def server_time() -> int:
            told: HeartbeatAck = await self._request(Command.HEARTBEAT, Heartbeat())
            return told.server_time

        return answer(server_time())

    def block(self, uids: Iterable[int]) -> Answer[None]:
        """Refuse the single chats of these users; at most 1,000 in all, else TooLargeError."""
        return self._do(Command.BLOCK, Block(uids=uids))

    def unblock(self, uids: Iterable[int]) -> Answer[None]:
        """Refuse them no longer."""
        return self._do(Command.UNBLOCK, Unblock(uids=uids))

    def blocked(self) -> Answer[list[int]]:
        """Return whom I refuse, ascending."""

        async def blocked() -> list[int]:
            told: ListBlockedAck = await self._request(Command.LIST_BLOCKED, ListBlocked())
            return list(told.uids)

        return answer(blocked())

    def clean_push_count(self) -> Answer[None]:
        """Let the badge of my offline pushes start from 0."""
        return self._do(Command.CLEAN_PUSH_COUNT, CleanPushCount())

    def kick(self, uid: int, client_type: int = 0, message: str = "") -> Answer[int]:
        """End a user's sessions, on all devices or one kind of them, and return how many; admins may."""

        async def kick() -> int:
            body = KickUser(uid=uid, client_type=client_type, message=message)
            told: KickUserAck = await self._request(Command.USER_KICK, body)
            return told.sessions

        return answer(kick())

    def upstream(
        self, destination: str, payload: bytes, *, content_type: str = "", message_id: str = ""
    ) -> Answer[None]:
        """Report a payload to the business; fires once it is durable, and the same ``message_id`` (a uuid) is the same.

        Raises NotFoundError where the server has no such destination, ConflictError where the id was another payload's,
        TooLargeError, and UnavailableError where the business is away for longer than the server keeps reports.
        """
        body = Upstream(
            destination=destination,
            payload=payload,
            content_type=content_type,
            message_id=message_id or self._new_id(),
        )
        return self._do(Command.UPSTREAM, body)

    def _do(self, command: Command, body: Body) -> Answer[None]:
        async def do() -> None:
            await self._request(command, body)

        return answer(do())
