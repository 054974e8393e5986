"""Who is online: the commands, and the subscription, which outlives a connection."""

from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.message import Message as Body
from twisted.internet.defer import Deferred

from imd.client.answer import Answer, answer
from imd.client.errors import ClientError
from imd.wire.bodies import PresenceAck, PresenceNotice, PresenceQuery, PresenceSubscribe
from imd.wire.commands import Command

Online = dict[int, tuple[int, ...]]
"""The kinds of device (client types) on which each user is online; none: offline."""


class Presence:
    """``told`` gets what changes of the users subscribed to. Methods raise as those of Groups."""

    def __init__(self, request: Callable[[Command, Body], "Deferred[Any]"], told: Callable[[Online], None]) -> None:
        self._request = request
        self._told = told
        self._watched: set[int] = set()

    def query(self, uids: Iterable[int]) -> Answer[Online]:
        """Return on what devices these users are online, at most 500."""
        return answer(self._ask(Command.PRESENCE_QUERY, PresenceQuery(uids=uids)))

    def subscribe(self, uids: Iterable[int]) -> Answer[Online]:
        """Be told from now on, after a reconnect too, when these users come and go; returns how they are now.

        Raises TooLargeError past 500 users in all.
        """

        async def subscribe() -> Online:
            watched = list(uids)
            online = await self._ask(Command.PRESENCE_SUBSCRIBE, PresenceSubscribe(uids=watched))
            self._watched.update(watched)
            return online

        return answer(subscribe())

    def unsubscribe(self, uids: Iterable[int] = ()) -> Answer[None]:
        """Be told no more of these users, or of all."""

        async def unsubscribe() -> None:
            watched = list(uids)
            await self._ask(Command.PRESENCE_SUBSCRIBE, PresenceSubscribe(uids=watched, unsubscribe=True))
            self._watched = self._watched.difference(watched) if watched else set()

        return answer(unsubscribe())

    def came_online(self) -> None:
        """Subscribe again: that ended with the connection."""
        if self._watched:
            asked = Deferred.fromCoroutine(self._ask(Command.PRESENCE_SUBSCRIBE, PresenceSubscribe(uids=self._watched)))
            asked.addCallback(self._told).addErrback(lambda failure: failure.trap(ClientError) and None)

    def noticed(self, notice: PresenceNotice) -> None:
        """Take in a PRESENCE_NOTICE."""
        self._told(_online(notice))

    async def _ask(self, command: Command, body: Body) -> Online:
        return _online(await self._request(command, body))


def _online(told: PresenceAck | PresenceNotice) -> Online:
    return {user.uid: tuple(user.client_types) for user in told.users}
