"""What clients report to the business: how it is found again, counted, and carried on by one node."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table of reports anew, in which nothing was kept yet, and that of their destinations."""
    op.drop_table("x_upstream")
    op.create_table(
        "x_upstream",
        sa.Column("queue", KEY, autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("uid", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("message_id", KEY, nullable=False),
        sa.Column("content_type", sa.Text(), server_default="", nullable=False),
        sa.Column("created", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("dead", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("queue", "id"),
        postgresql_with={"autovacuum_vacuum_threshold": 10_000, "autovacuum_vacuum_scale_factor": 0.01},
    )
    op.create_index("x_upstream_message_id", "x_upstream", ["queue", "message_id", "uid"], unique=True)
    dead = sa.text("dead <> 0")
    op.create_index("x_upstream_dead", "x_upstream", ["queue", "id"], sqlite_where=dead, postgresql_where=dead)
    op.create_table(
        "x_upstream_queue",
        sa.Column("queue", KEY, autoincrement=False, nullable=False),
        sa.Column("last_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("kept", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("node", sa.Text(), server_default="", nullable=False),
        sa.Column("lease_until", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("queue"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 50},
    )
