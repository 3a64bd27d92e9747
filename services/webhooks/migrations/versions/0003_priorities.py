"""Durable work with priorities, and jobs that can be paused one by one."""

from alembic import op

from libs.work import ddl

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    ddl.add_v3(op)
