"""The local store's tables: what one user knows. Columns are named as on the wire and on the server.

The server's x_message has a digest beside these columns, which never leaves it, and its x_conversation the uid, which
here is the whole store's.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, SmallInteger, Table, Text, text

from imd.client.values import Conversation, Message

VERSION = 1
APPLICATION_ID = 0x494D4331
"""Marks the file as a store of this client ("IMC1")."""

metadata = MetaData()


def _text(name: str, **options: Any) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="", **options)


def _integer(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def _small(name: str) -> Column[int]:
    return Column(name, SmallInteger, nullable=False, server_default="0")


x_message = Table(
    "x_message",
    metadata,
    _text("group_id"),
    _integer("seq_id"),  # 0 until it is ACKed
    _text("msg_id"),  # empty where it was deleted before it came here
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
    _integer("queue_id"),  # the order of what is sent from here
    _small("result"),  # why it is FAILURE
    _text("reason"),
    _text("at_uids"),  # joined by commas
    Index("x_message_group_id", "group_id", "seq_id", unique=True, sqlite_where=text("seq_id > 0")),
    Index("x_message_msg_id", "group_id", "msg_id", unique=True, sqlite_where=text("msg_id <> ''")),
    Index("x_message_unsent", "group_id", "queue_id", sqlite_where=text("seq_id = 0")),
)

x_conversation = Table(
    "x_conversation",
    metadata,
    _text("group_id", primary_key=True),
    _small("group_type"),
    _text("group_name"),
    _text("avatar"),
    _text("last_message"),
    _integer("last_msg_type"),
    _small("last_msg_status"),
    _integer("last_sender_id"),
    _text("sender_name"),
    _text("sender_remark"),
    _integer("send_time"),
    _integer("init_seq"),
    _integer("max_seq"),
    _integer("read_seq"),
    _integer("receive_seq"),
    _small("is_shield"),
    _small("is_top"),
    _small("is_quit"),
    _small("role"),
    _integer("mute_until"),
    _integer("at_seq"),
    _text("extra"),
    _integer("update_time"),
    _integer("unread"),
    _integer("owner_id"),
    _integer("member_count"),
    _text("announcement"),
    _integer("peer_receive_seq"),
    _integer("peer_read_seq"),
    _small("join_policy"),
    _small("mute_all"),
    _integer("shown_seq"),  # -1 until the server has told of the conversation
)

x_account = Table(
    "x_account",
    metadata,
    Column("uid", Integer, primary_key=True, autoincrement=False),
    _integer("since"),  # the server_time of the last LIST_GROUP
)

MESSAGE_COLUMNS = ", ".join(Message._fields)
CONVERSATION_COLUMNS = ", ".join(Conversation._fields)
