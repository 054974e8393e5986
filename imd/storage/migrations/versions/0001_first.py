"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Compared byte by byte, whatever the locale of the database."""

OFTEN_UPDATED = {"fillfactor": 50}
"""Room in each page for the next versions of its rows, so that no index has to learn of them."""

OFTEN_DELETED = {"autovacuum_vacuum_threshold": 10_000, "autovacuum_vacuum_scale_factor": 0.01}


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "x_block",
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("blocked", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("uid", "blocked"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "x_conversation",
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("group_id", KEY, autoincrement=False, nullable=False),
        sa.Column("group_type", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("init_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("max_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("read_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("receive_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("is_shield", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("is_top", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("is_quit", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("role", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("mute_until", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("at_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("joined_time", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("extra", sa.Text(), server_default="", nullable=False),
        sa.Column("update_time", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("uid", "group_id"),
        sqlite_with_rowid=False,
        postgresql_with=OFTEN_UPDATED,
    )
    op.create_index("x_conversation_group", "x_conversation", ["group_id", "uid"], unique=False)
    op.create_table(
        "x_group",
        sa.Column("group_id", KEY, autoincrement=False, nullable=False),
        sa.Column("group_type", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("group_name", sa.Text(), server_default="", nullable=False),
        sa.Column("avatar", sa.Text(), server_default="", nullable=False),
        sa.Column("owner_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("max_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("announcement", sa.Text(), server_default="", nullable=False),
        sa.Column("extra", sa.Text(), server_default="", nullable=False),
        sa.Column("mute_all", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("join_policy", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("is_dismissed", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("member_version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("member_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("update_time", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("group_id"),
        sqlite_with_rowid=False,
        postgresql_with=OFTEN_UPDATED,
    )
    op.create_table(
        "x_hidden",
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("group_id", KEY, autoincrement=False, nullable=False),
        sa.Column("seq_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hidden_time", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("uid", "group_id", "seq_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "x_inbox",
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("group_id", KEY, autoincrement=False, nullable=False),
        sa.Column("seq_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("uid", "group_id", "seq_id"),
        sqlite_with_rowid=False,
        postgresql_with=OFTEN_DELETED,
    )
    op.create_table(
        "x_message",
        sa.Column("group_id", KEY, autoincrement=False, nullable=False),
        sa.Column("seq_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("msg_id", KEY, nullable=False),
        sa.Column("msg_type", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("msg_body", sa.Text(), server_default="", nullable=False),
        sa.Column("send_time", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("sender_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("sender_name", sa.Text(), server_default="", nullable=False),
        sa.Column("sender_remark", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("msg_status", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("extra", sa.Text(), server_default="", nullable=False),
        sa.Column("attach_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("attach_type", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("attach_name", sa.Text(), server_default="", nullable=False),
        sa.Column("attach_url", sa.Text(), server_default="", nullable=False),
        sa.Column("attach_size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("whether_non_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("group_type", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("group_name", sa.Text(), server_default="", nullable=False),
        sa.Column("at_uids", sa.Text(), server_default="", nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("group_id", "seq_id"),
    )
    op.create_index("x_message_msg_id", "x_message", ["group_id", "msg_id"], unique=True)
    op.create_table(
        "x_notice",
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("notice_id", KEY, autoincrement=False, nullable=False),
        sa.Column("notice_type", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("sender", sa.Text(), server_default="", nullable=False),
        sa.Column("send_time", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("expire_time", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("uid", "notice_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("x_notice_expire_time", "x_notice", ["expire_time"], unique=False)
    op.create_table(
        "x_upstream",
        sa.Column("queue", KEY, autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("uid", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("message_id", sa.Text(), server_default="", nullable=False),
        sa.Column("content_type", sa.Text(), server_default="", nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("dead", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("queue", "id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "x_user",
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_seen", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("banned", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("void_before", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("push_tokens", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("uid"),
        sqlite_with_rowid=False,
    )
