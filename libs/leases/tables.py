"""The table of leases, for a service's own metadata. Its rows are never deleted: a fence must not start again."""

from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from libs.sql.types import UtcMillis


def lease_table(metadata: MetaData) -> Table:
    """Adds the table of leases."""
    return Table(
        "lease",
        metadata,
        Column("name", Text, primary_key=True),
        Column("holder", Text),
        Column("fence", BigInteger, nullable=False),
        Column("expires", UtcMillis, nullable=False),
    )
