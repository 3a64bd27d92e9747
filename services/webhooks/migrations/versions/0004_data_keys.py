"""Data keys, which seal the secrets of sources."""

from alembic import op

from libs.crypto import ddl

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    ddl.create_v1(op)


def downgrade() -> None:
    op.drop_table("data_key")
