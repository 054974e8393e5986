"""When an account was changed last, so that every node learns of it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column and the index by which the few changed accounts are found."""
    op.add_column("x_user", sa.Column("account_time", sa.BigInteger(), server_default="0", nullable=False))
    judged = sa.text("account_time > 0")
    op.create_index(
        "x_user_account_time", "x_user", ["account_time", "uid"], sqlite_where=judged, postgresql_where=judged
    )
