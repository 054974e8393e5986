"""Conversations in the local store: as the server told of them, moved on by what was received since."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from imd.client import messages
from imd.client.database import Database
from imd.client.schema import CONVERSATION_COLUMNS
from imd.client.values import Conversation, Message, conversation_of, cut
from imd.wire.bodies import ImGroup
from imd.wire.enums import GroupType, MsgStatus

_MAX_UNREAD = 1_000
_UNKNOWN = -1
_RISING = ("init_seq", "max_seq", "read_seq", "receive_seq", "peer_receive_seq", "peer_read_seq")
_OF_THE_NEWEST = (
    "last_message",
    "last_msg_type",
    "last_msg_status",
    "last_sender_id",
    "sender_name",
    "sender_remark",
    "send_time",
    "unread",
    "at_seq",
)
_SET = [
    *(f"{name} = max(x_conversation.{name}, excluded.{name})" for name in _RISING),
    *(
        f"{name} = CASE WHEN excluded.max_seq >= x_conversation.max_seq THEN excluded.{name}"
        f" ELSE x_conversation.{name} END"
        for name in _OF_THE_NEWEST
    ),
    *(
        f"{name} = excluded.{name}"
        for name in Conversation._fields
        if name not in {"group_id", "shown_seq", *_RISING, *_OF_THE_NEWEST}
    ),
    "shown_seq = CASE WHEN x_conversation.shown_seq < 0 THEN excluded.shown_seq"
    " ELSE max(x_conversation.shown_seq, excluded.init_seq) END",
]
_PUT = (
    f"INSERT INTO x_conversation ({CONVERSATION_COLUMNS}) VALUES ({', '.join('?' for _ in Conversation._fields)})"
    f" ON CONFLICT (group_id) DO UPDATE SET {', '.join(_SET)}"
)
_MOVED = (
    "group_id",
    "group_type",
    "group_name",
    "last_message",
    "last_msg_type",
    "last_msg_status",
    "last_sender_id",
    "sender_name",
    "sender_remark",
    "send_time",
    "update_time",
    "max_seq",
    "at_seq",
    "unread",
    "shown_seq",
)
_MOVE = (
    f"INSERT INTO x_conversation ({', '.join(_MOVED)}) VALUES ({', '.join('?' for _ in _MOVED)})"
    " ON CONFLICT (group_id) DO UPDATE SET"
    f" {', '.join(f'{name} = excluded.{name}' for name in _MOVED[3:-3])},"
    " at_seq = max(x_conversation.at_seq, excluded.at_seq),"
    f" unread = min(x_conversation.unread + excluded.unread, {_MAX_UNREAD})"
)
_SELECT = f"SELECT {CONVERSATION_COLUMNS} FROM x_conversation"


class Place(NamedTuple):
    """How far a conversation is; ``shown_seq`` is -1 where the server has not told of it yet."""

    group_id: str
    shown_seq: int
    max_seq: int
    init_seq: int


class Ends:
    """The newest seq of each conversation, in memory, so that moving one costs no look-up."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._max_seq = {place.group_id: place.max_seq for place in places(database)}

    def move(self, arrived: Iterable[Message]) -> None:
        """Let conversations end with the newest of these messages, which are in the store already."""
        newest: dict[str, Message] = {}
        unread: dict[str, int] = {}
        mentions: dict[str, int] = {}
        uid = self._database.uid
        for message in arrived:
            group_id = message.group_id
            if message.seq_id <= self._max_seq.get(group_id, 0) or message.msg_status == MsgStatus.DELETED:
                continue
            if group_id not in newest or message.seq_id > newest[group_id].seq_id:
                newest[group_id] = message
            if message.sender_id != uid and not message.whether_non_count and not message.msg_status:
                unread[group_id] = unread.get(group_id, 0) + 1
            if message.at_uids and message.sender_id != uid and (uid in message.at_uids or 0 in message.at_uids):
                mentions[group_id] = max(message.seq_id, mentions.get(group_id, 0))
        self._database.run_many(
            _MOVE,
            [
                (
                    group_id,
                    last.group_type,
                    last.group_name,
                    cut(last.msg_body),
                    last.msg_type,
                    last.msg_status,
                    last.sender_id,
                    last.sender_name,
                    last.sender_remark,
                    last.send_time,
                    last.send_time,
                    last.seq_id,
                    mentions.get(group_id, 0),
                    unread.get(group_id, 0),
                    _UNKNOWN,
                )
                for group_id, last in newest.items()
            ],
        )
        for group_id, last in newest.items():
            self._max_seq[group_id] = last.seq_id

    def put(self, groups: Iterable[ImGroup], now_ms: int) -> list[Conversation]:
        """Keep what the server tells of conversations, and return how they are now."""
        database = self._database
        kept = []
        for group in groups:
            if group.group_type == GroupType.GROUP and not group.max_seq:
                kept.append(conversation_of(group))  # the user is not in it, and sees no more than this
                continue
            before = find(database, group.group_id)
            first = messages.lowest(database, group.group_id)
            received = min(group.receive_seq, first - 1) if first else group.receive_seq
            database.run(_PUT, *conversation_of(group, max(group.init_seq, received), now_ms))
            if group.init_seq > (before.init_seq if before else 0):
                messages.clear(database, group.group_id, group.init_seq)
            after = find(database, group.group_id)
            assert after is not None
            if before is not None and after.read_seq > before.read_seq:
                messages.mark_read(database, group.group_id, before.read_seq, after.read_seq)
            self._max_seq[group.group_id] = after.max_seq
            kept.append(after)
        return kept


def places(database: Database) -> list[Place]:
    """Return how far each conversation is."""
    return [Place(*row) for row in database.run("SELECT group_id, shown_seq, max_seq, init_seq FROM x_conversation")]


def find(database: Database, group_id: str) -> Conversation | None:
    """Return one conversation."""
    rows = database.run(f"{_SELECT} WHERE group_id = ?", group_id)
    return Conversation(*rows[0]) if rows else None


def page(database: Database, limit: int, offset: int) -> list[Conversation]:
    """Return conversations, those on top first, then the newest."""
    rows = database.run(
        f"{_SELECT} ORDER BY is_top DESC, send_time DESC, group_id LIMIT ? OFFSET ?",
        limit,
        offset,
    )
    return [Conversation(*row) for row in rows]


def set_shown(database: Database, shown: Sequence[tuple[int, str]]) -> None:
    """Keep up to which seq each conversation was shown."""
    database.run_many(
        "UPDATE x_conversation SET shown_seq = ? WHERE group_id = ? AND shown_seq >= 0", [tuple(each) for each in shown]
    )


def set_read(database: Database, group_id: str, read_seq: int) -> Conversation | None:
    """Raise my read mark, and count anew what is unread."""
    before = find(database, group_id)
    if before is None:
        return None
    read_seq = min(read_seq, before.max_seq)
    if read_seq > before.read_seq:
        messages.mark_read(database, group_id, before.read_seq, read_seq)
        unread = messages.count_unread(database, group_id, max(read_seq, before.init_seq), _MAX_UNREAD)
        database.run(
            "UPDATE x_conversation SET read_seq = ?, unread = ?, at_seq = CASE WHEN at_seq <= ? THEN 0 ELSE at_seq END"
            " WHERE group_id = ?",
            read_seq,
            unread,
            read_seq,
            group_id,
        )
    return find(database, group_id)


def set_peer(database: Database, group_id: str, receive_seq: int, read_seq: int) -> None:
    """Raise the other one's marks in a single chat."""
    database.run(
        "UPDATE x_conversation SET peer_receive_seq = max(peer_receive_seq, ?), peer_read_seq = max(peer_read_seq, ?)"
        " WHERE group_id = ?",
        receive_seq,
        read_seq,
        group_id,
    )


def set_cleared(database: Database, group_id: str, init_seq: int) -> Conversation | None:
    """Let the history begin after a seq."""
    before = find(database, group_id)
    if before is None:
        return None
    init_seq = min(init_seq, before.max_seq)
    if init_seq > before.init_seq:
        messages.clear(database, group_id, init_seq)
        unread = messages.count_unread(database, group_id, max(init_seq, before.read_seq), _MAX_UNREAD)
        database.run(
            "UPDATE x_conversation SET init_seq = ?, unread = ?, shown_seq = max(shown_seq, ?) WHERE group_id = ?",
            init_seq,
            unread,
            init_seq,
            group_id,
        )
    return find(database, group_id)


def set_settings(database: Database, group_id: str, is_shield: int | None, is_top: int | None) -> None:
    """Keep what I have set of a conversation."""
    database.run(
        "UPDATE x_conversation SET is_shield = coalesce(?, is_shield), is_top = coalesce(?, is_top) WHERE group_id = ?",
        is_shield,
        is_top,
        group_id,
    )


def since(database: Database) -> int:
    """Return the server_time of the last whole list."""
    [(last,)] = database.run("SELECT since FROM x_account")
    return int(last)


def set_since(database: Database, server_time: int) -> None:
    """Keep the server_time of a whole list."""
    database.run("UPDATE x_account SET since = ?", server_time)
