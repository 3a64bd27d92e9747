"""When the clean-up ran last."""

import sqlalchemy as sa
from alembic import op

from libs.sql.types import Json, UtcMillis

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "watermark",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("position", Json, nullable=False),
        sa.Column("updated", UtcMillis, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("watermark")
