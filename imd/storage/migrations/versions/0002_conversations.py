"""Counters of unread messages, the floor of retention, mutes of whole groups, notices, the broadcast stream."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the columns, and fill them from the messages that are there."""
    for name in ("send_time", "counted", "floor_seq", "mute_until"):
        op.add_column("x_group", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False))
    op.drop_column("x_group", "mute_all")
    for name in ("left_time", "seen"):
        op.add_column("x_conversation", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("x_user", sa.Column("name", sa.Text(), server_default="", nullable=False))
    op.add_column("x_user", sa.Column("badge_from", sa.BigInteger(), server_default="0", nullable=False))
    op.execute(
        "UPDATE x_group SET send_time = update_time, counted = (SELECT count(*) FROM x_message AS m"
        " WHERE m.group_id = x_group.group_id AND m.whether_non_count = 0)"
    )
    op.execute(
        "UPDATE x_conversation SET seen = (SELECT g.counted FROM x_group AS g"
        " WHERE g.group_id = x_conversation.group_id) - (SELECT count(*) FROM x_message AS m"
        " WHERE m.group_id = x_conversation.group_id AND m.seq_id > x_conversation.read_seq"
        " AND m.seq_id > x_conversation.init_seq AND m.sender_id <> x_conversation.uid"
        " AND m.whether_non_count = 0 AND m.msg_status = 0)"
    )
    op.drop_table("x_notice")  # nothing was kept in it yet
    op.create_table(
        "x_notice",
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("send_time", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("notice_id", KEY, autoincrement=False, nullable=False),
        sa.Column("notice_type", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("sender", sa.Text(), server_default="", nullable=False),
        sa.Column("expire_time", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("uid", "send_time", "notice_id"),
    )
    op.create_index("x_notice_notice_id", "x_notice", ["notice_id", "uid"], unique=True)
    op.create_index("x_notice_expire_time", "x_notice", ["expire_time"], unique=False)
    op.execute("UPDATE x_conversation SET left_time = update_time WHERE is_quit <> 0")
    op.execute("INSERT INTO x_group (group_id, group_type) VALUES ('system', 3)")
    op.execute(
        "INSERT INTO x_conversation (uid, group_id, group_type, joined_time, update_time)"
        " SELECT uid, 'system', 3, first_seen, first_seen FROM x_user"
    )
