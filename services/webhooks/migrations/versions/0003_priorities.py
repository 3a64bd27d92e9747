"""Durable work with priorities, and jobs that can be paused one by one."""

from alembic import op

from libs.work import ddl

revision = "0003"
down_revision = "0002"
not_additive = "the index by which jobs are claimed is made anew under its name, with their priority in it"


def upgrade() -> None:
    ddl.add_v3(op)


def downgrade() -> None:
    ddl.drop_v3(op)
