"""The table of leases as it was first made: services' Alembic revisions call this, so it never changes."""

import sqlalchemy as sa

from libs.sql.ddl import Ddl
from libs.sql.types import UtcMillis


def create_v1(op: Ddl) -> None:
    """Makes `lease`."""
    op.create_table(
        "lease",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("expires", UtcMillis, nullable=False),
    )
