"""The tables of the inbox: a small ledger that dedups, bodies apart from it (they may leave earlier), and the work."""

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint

from libs.sql.types import Json, OrderedText, UtcMillis
from libs.work.tables import work_tables

metadata = MetaData()

event = Table(
    "event",
    metadata,
    Column("id", OrderedText, primary_key=True),  # of its work row too
    Column("source", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("dedup_key", Text, nullable=False),
    Column("body_size", Integer, nullable=False),
    Column("duplicates", Integer, nullable=False, default=0),
    Column("received_at", UtcMillis, nullable=False),
    Column("updated_at", UtcMillis, nullable=False),
    UniqueConstraint("source", "dedup_key", name="event_source_dedup_key"),
    Index("event_received_at", "received_at", "id"),
    Index("event_updated_at", "updated_at", "id"),
)

event_body = Table(
    "event_body",
    metadata,
    Column("event_id", OrderedText, ForeignKey("event.id", ondelete="CASCADE"), primary_key=True),
    Column("headers", Json, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

work = work_tables(metadata)
