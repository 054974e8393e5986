"""Keeping what the server tells: messages, however they came, and how conversations stand."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from google.protobuf.message import Message as Body
from twisted.internet.defer import Deferred

from imd.client import conversations, messages
from imd.client.database import Database
from imd.client.store import Store
from imd.client.values import Conversation, Message, message_of
from imd.wire.bodies import GetGroupById, ImGroup, ImMsg, PullMsg, UserData
from imd.wire.commands import Command
from imd.wire.enums import MsgType

PAGE = 100
_TRIMMED = 1_000
"""Messages that come between two times that a store in memory is trimmed."""
_CONTROL = int(MsgType.CONTROL)


class Keeper:
    """``request`` asks the server; ``found`` gets each message sent from here that turns up unACKed."""

    def __init__(
        self,
        store: Store,
        request: Callable[[Command, Body], "Deferred[Any]"],
        now_ms: Callable[[], int],
        found: Callable[[Message], None],
        max_in_memory: int,
    ) -> None:
        self._store = store
        self._request = request
        self._now_ms = now_ms
        self._found = found
        self._max_in_memory = max_in_memory
        self._ends: conversations.Ends | None = None
        self._untrimmed = 0

    def open(self, database: Database) -> None:
        """Take in how far the store is."""
        self._ends = conversations.Ends(database)

    # On the store's thread.

    def insert(self, arrived: Sequence[Message]) -> messages.Inserted:
        """Put messages in; what was found has then to be told by ``tell``."""
        database = self._store.database
        inserted = messages.insert_received(database, arrived)
        for message in arrived:
            if message.msg_type == _CONTROL and (seq_id := _revoked(message.msg_body)):
                messages.take_back(database, message.group_id, seq_id)
        self.move(arrived)
        return inserted

    def move(self, stored: Sequence[Message]) -> None:
        """Let conversations end with messages that the store has now."""
        assert self._ends is not None
        self._ends.move(stored)
        self._untrimmed += len(stored)
        if self._untrimmed >= _TRIMMED and self._store.database.is_in_memory:
            self._untrimmed = 0
            messages.trim(self._store.database, self._max_in_memory)

    # In the reactor.

    def tell(self, inserted: messages.Inserted) -> None:
        """Tell of messages sent from here that were found."""
        for message in inserted.found:
            self._found(message)

    async def fetch(self, group_id: str, after: int, before: int, page_size: int) -> UserData:
        """Pull the newest seqs between two ends, both left out, and keep them; ``before`` 0 is the end of all.

        Raises ClientError.
        """
        pull = PullMsg(group_id=group_id, receive_seq_id=after, before_seq_id=before, page_size=page_size)
        page: UserData = await self._request(Command.IM_OFFLINE_MSG, pull)
        pulled = [message_of(body) for body in page.messages]
        self.tell(await self._store.call(lambda _: self.insert(pulled)))
        return page

    async def look_up(self, group_ids: Iterable[str]) -> list[Conversation]:
        """Ask how conversations stand, at most 200, and keep it. Raises ClientError."""
        answer: UserData = await self._request(Command.GROUP_BY_ID, GetGroupById(group_ids=group_ids))
        return await self.keep(answer.groups)

    async def keep(self, groups: Iterable[ImGroup], tombstones: Iterable[ImMsg] = ()) -> list[Conversation]:
        """Keep how conversations stand, and what was deleted in them; returns them. Raises ClientError."""
        deleted = [message_of(body) for body in tombstones]
        now = self._now_ms()

        def put(_: Database) -> list[Conversation]:
            assert self._ends is not None
            self.insert(deleted)
            return self._ends.put(groups, now)

        return await self._store.call(put)


def _revoked(body: str) -> int:
    """Return the seq that a control message takes back, 0 where it tells something else."""
    try:
        control = json.loads(body)
        return int(control["seq_id"]) if control["op"] == "revoke" else 0
    except (ValueError, TypeError, KeyError):
        return 0
