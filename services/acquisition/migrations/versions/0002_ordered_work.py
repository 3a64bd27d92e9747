"""Durable work that keeps an order, and whose history can be proved."""

from alembic import op

from libs.work import ddl

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    ddl.add_v2(op)


def downgrade() -> None:
    ddl.drop_v2(op)
