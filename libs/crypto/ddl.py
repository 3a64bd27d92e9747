"""The table of data keys as it was first made: services' Alembic revisions call this, so it never changes."""

import sqlalchemy as sa

from libs.sql.ddl import Ddl
from libs.sql.types import UtcMillis


def create_v1(op: Ddl) -> None:
    """Makes `data_key`."""
    op.create_table(
        "data_key",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("sealed_before", sa.LargeBinary),
        sa.Column("created_at", UtcMillis, nullable=False),
    )
    active = sa.column("state", sa.Text) == "ACTIVE"
    op.create_index(
        "data_key_active", "data_key", ["purpose"], unique=True, postgresql_where=active, sqlite_where=active
    )
