"""Who cleans up now, and when it was done last."""

import sqlalchemy as sa
from alembic import op

from libs.leases import ddl as leases
from libs.sql.types import Json, UtcMillis

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    leases.create_v1(op)
    op.create_table(
        "watermark",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("position", Json, nullable=False),
        sa.Column("updated", UtcMillis, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("watermark")
    op.drop_table("lease")
