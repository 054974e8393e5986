"""The tables. Times are milliseconds since the epoch; every hot key begins with group_id or uid.

On SQLite the narrow tables are clustered by their key (WITHOUT ROWID). x_message, x_notice and x_upstream are not:
their rows are wide, and in the order of their commits they fill few pages, where clustered each group or user would
have a page of its own to write.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, SmallInteger, Table, Text, text
from sqlalchemy.types import TypeEngine

metadata = MetaData()

_OFTEN_UPDATED = {"fillfactor": 50}
_JUDGED = text("account_time > 0")
"""The few users whom their operator has banned or whose tokens are void."""

_OFTEN_DELETED = {"autovacuum_vacuum_threshold": 10_000, "autovacuum_vacuum_scale_factor": 0.01}


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def _integer(name: str, default: int = 0) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=str(default))


def _small(name: str, default: int = 0) -> Column[int]:
    return Column(name, SmallInteger, nullable=False, server_default=str(default))


KEY = Text().with_variant(Text(collation="C"), "postgresql")
"""The text of a key, compared byte by byte."""


def _key(name: str, kind: type[BigInteger] | TypeEngine[str]) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False, nullable=False)


x_message = Table(
    "x_message",
    metadata,
    _key("group_id", KEY),
    _key("seq_id", BigInteger),
    Column("msg_id", KEY, nullable=False),
    _integer("msg_type"),
    _text("msg_body"),
    _integer("send_time"),
    _integer("sender_id"),
    _text("sender_name"),
    _text("sender_remark"),
    _small("status"),
    _small("msg_status"),
    _text("extra"),
    _integer("attach_id"),
    _integer("attach_type"),
    _text("attach_name"),
    _text("attach_url"),
    _integer("attach_size"),
    _integer("whether_non_count"),
    _small("group_type"),
    _text("group_name"),
    _text("at_uids"),
    Column("digest", LargeBinary, nullable=False),
    Index("x_message_msg_id", "group_id", "msg_id", unique=True),
)

x_group = Table(
    "x_group",
    metadata,
    _key("group_id", KEY),
    _small("group_type"),
    _text("group_name"),
    _text("avatar"),
    _integer("owner_id"),
    _integer("max_seq"),
    _text("announcement"),
    _text("extra"),
    _small("join_policy"),
    _small("is_dismissed"),
    _integer("member_version"),
    _integer("member_count"),
    _integer("created"),
    _integer("update_time"),  # of the last change of anything that its members see
    _integer("send_time"),  # of the last message
    _integer("counted"),  # messages with whether_non_count 0, ever
    _integer("floor_seq"),  # up to which retention has deleted
    _integer("mute_until"),  # until when nobody but the owner and the admins may speak
    sqlite_with_rowid=False,
    postgresql_with=_OFTEN_UPDATED,
)

x_conversation = Table(
    "x_conversation",
    metadata,
    _key("uid", BigInteger),
    _key("group_id", KEY),
    _small("group_type"),
    _integer("init_seq"),
    _integer("max_seq"),  # where the view is frozen; 0 while the user is a member
    _integer("read_seq"),
    _integer("receive_seq"),
    _small("is_shield"),
    _small("is_top"),
    _small("is_quit"),
    _small("role"),
    _integer("mute_until"),
    _integer("at_seq"),
    _integer("joined_time"),
    _text("extra"),
    _integer("update_time"),
    _integer("left_time"),  # of a former member
    _integer("seen"),  # of x_group.counted, those that are not unread (imd/storage/unread.py)
    Index("x_conversation_group", "group_id", "uid"),
    sqlite_with_rowid=False,
    postgresql_with=_OFTEN_UPDATED,
)

x_inbox = Table(
    "x_inbox",
    metadata,
    _key("uid", BigInteger),
    _key("group_id", KEY),
    _key("seq_id", BigInteger),
    sqlite_with_rowid=False,
    postgresql_with=_OFTEN_DELETED,
)

x_hidden = Table(
    "x_hidden",
    metadata,
    _key("uid", BigInteger),
    _key("group_id", KEY),
    _key("seq_id", BigInteger),
    _integer("hidden_time"),
    sqlite_with_rowid=False,
)

x_notice = Table(
    "x_notice",
    metadata,
    _key("uid", BigInteger),
    _key("send_time", BigInteger),  # 0 once it is acknowledged (imd/storage/notices.py)
    _key("notice_id", KEY),
    _integer("notice_type"),
    Column("payload", LargeBinary, nullable=False),
    _text("sender"),
    _integer("expire_time"),
    # In this order the rows of one notice lie together.
    Index("x_notice_notice_id", "notice_id", "uid", unique=True),
    Index("x_notice_expire_time", "expire_time"),
)

x_user = Table(
    "x_user",
    metadata,
    _key("uid", BigInteger),
    _integer("first_seen"),
    _small("banned"),
    _integer("void_before"),
    _text("push_tokens"),
    _text("name"),
    _integer("badge_from"),  # from when on offline pushes count
    _integer("account_time"),  # when banned or void_before was set last; 0: never
    Index("x_user_account_time", "account_time", "uid", sqlite_where=_JUDGED, postgresql_where=_JUDGED),
    sqlite_with_rowid=False,
)

x_block = Table(
    "x_block",
    metadata,
    _key("uid", BigInteger),
    _key("blocked", BigInteger),
    sqlite_with_rowid=False,
)

x_upstream = Table(
    "x_upstream",
    metadata,
    _key("queue", KEY),
    _key("id", BigInteger),
    _integer("uid"),
    Column("message_id", KEY, nullable=False),
    _text("content_type"),
    _integer("created"),
    _integer("attempts"),
    _integer("dead"),
    Column("payload", LargeBinary, nullable=False),
    Index("x_upstream_message_id", "queue", "message_id", "uid", unique=True),
    Index("x_upstream_dead", "queue", "id", sqlite_where=text("dead <> 0"), postgresql_where=text("dead <> 0")),
    postgresql_with=_OFTEN_DELETED,
)

x_upstream_queue = Table(
    "x_upstream_queue",
    metadata,
    _key("queue", KEY),
    _integer("last_id"),
    _integer("kept"),  # rows of x_upstream
    _integer("size"),  # of those, in bytes
    _text("node"),  # that carries them on, until lease_until of the database's own clock
    _integer("lease_until"),
    sqlite_with_rowid=False,
    postgresql_with=_OFTEN_UPDATED,
)

x_apikey = Table(
    "x_apikey",
    metadata,
    _key("prefix", KEY),
    _text("digest"),  # SHA-256, in hex
    _text("name"),
    _text("scopes"),  # separated by blanks
    _integer("per_second"),
    _integer("created"),
    _integer("expires"),
    _integer("revoked"),
    sqlite_with_rowid=False,
)
