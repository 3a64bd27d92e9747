"""The table of data keys, for a service's own metadata."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, Table, Text

from libs.sql.types import UtcMillis


def data_key_table(metadata: MetaData) -> Table:
    """Adds the table of data keys.

    `sealed` is the key under the root key of who wrote it last, `sealed_before` the same under the root key before,
    while that one is known. Of each purpose one key is ACTIVE; RETIRING ones open what is not sealed anew yet.
    """
    table = Table(
        "data_key",
        metadata,
        Column("id", Text, primary_key=True),
        Column("purpose", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("sealed", LargeBinary, nullable=False),
        Column("sealed_before", LargeBinary),
        Column("created_at", UtcMillis, nullable=False),
    )
    active = table.c.state == "ACTIVE"
    Index("data_key_active", table.c.purpose, unique=True, postgresql_where=active, sqlite_where=active)
    return table
