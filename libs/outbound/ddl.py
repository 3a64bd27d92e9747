"""The tables of turns and answers as they were first made: Alembic revisions call this, so it never changes."""

import sqlalchemy as sa

from libs.sql.ddl import Ddl
from libs.sql.types import Json, UtcMillis


def create_v1(op: Ddl) -> None:
    """Makes `call_slot` and `cached_answer`."""
    op.create_table(
        "call_slot",
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("next", UtcMillis, nullable=False),
    )
    op.create_table(
        "cached_answer",
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("body", Json),
        sa.Column("stored", UtcMillis, nullable=False),
        sa.Column("expires", UtcMillis, nullable=False),
    )
    op.create_index("ix_cached_answer_expires", "cached_answer", ["expires"])
