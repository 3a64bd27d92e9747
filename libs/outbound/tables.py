"""The tables of turns and answers, for a service's own metadata."""

from sqlalchemy import Column, MetaData, Table, Text

from libs.sql.types import Json, UtcMillis


def call_slot_table(metadata: MetaData) -> Table:
    """Adds the table of when each provider may be called next."""
    return Table(
        "call_slot",
        metadata,
        Column("provider", Text, primary_key=True),
        Column("next", UtcMillis, nullable=False),
    )


def cached_answer_table(metadata: MetaData) -> Table:
    """Adds the table of what providers answered, and for how long that holds; no body is a known absence."""
    return Table(
        "cached_answer",
        metadata,
        Column("provider", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("body", Json),
        Column("stored", UtcMillis, nullable=False),
        Column("expires", UtcMillis, nullable=False, index=True),
    )
