"""The history of the kill switch."""

import sqlalchemy as sa
from alembic import op

from libs.sql.types import UtcMillis

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "switch_change",
        sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("changed", UtcMillis, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("switch_change")
