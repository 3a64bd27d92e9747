"""Says where it is on a pipe, and goes on when the other one is closed."""

import os
from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Engine, event

revision = "0002"
down_revision = "0001"

STOP_AT, PIPES = os.environ.get("TEST_STOP_AT"), Path(os.environ.get("TEST_PIPES", "."))


def stop(where: str) -> None:
    if where == STOP_AT:
        (PIPES / "here").write_text(where)
        (PIPES / "go").read_text()


@event.listens_for(Engine, "commit")
def stop_at_commit(connection: sa.Connection) -> None:
    if connection.dialect.has_table(connection, "other"):
        stop("commit")


def upgrade() -> None:
    op.add_column("thing", sa.Column("name", sa.Text, nullable=False, server_default=""))
    stop("middle")
    op.create_table("other", sa.Column("id", sa.Text, primary_key=True))
    stop("end")


def downgrade() -> None:
    op.drop_table("other")
    op.drop_column("thing", "name")
