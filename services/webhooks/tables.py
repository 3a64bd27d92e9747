"""The tables of the inbox: a small ledger that dedups, bodies apart from it (they leave earlier), and the rest."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from libs.crypto.tables import data_key_table
from libs.leases.tables import lease_table
from libs.sql.types import Json, OrderedText, UtcMillis
from libs.sql.watermarks import watermark_table
from libs.work.tables import work_tables

KEPT = -1  # as `stored_on`: the day of bodies that retention must pass over

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
    Column("origin", Text, nullable=False, server_default="DELIVERY"),
    Column("reason", Text, nullable=False, server_default=""),
    Column("conflicting_event", OrderedText),
    Column("body_sha256", LargeBinary),  # absent where the event is older than the column
    Column("stored_on", Integer, nullable=False, server_default=str(KEPT)),  # of its body: days since 1970, UTC
    UniqueConstraint("source", "dedup_key", name="event_source_dedup_key"),
    Index("event_received_at", "received_at", "id"),
    Index("event_updated_at", "updated_at", "id"),
)
_given_up = event.c.reason != ""
Index("event_reason", event.c.reason, event.c.received_at, postgresql_where=_given_up, sqlite_where=_given_up)
_contradicts = event.c.conflicting_event.is_not(None)
Index("event_conflict", event.c.conflicting_event, postgresql_where=_contradicts, sqlite_where=_contradicts)

event_body = Table(
    "event_body",
    metadata,
    Column("stored_on", Integer, nullable=False, server_default=str(KEPT)),
    Column("event_id", OrderedText, nullable=False),
    Column("headers", Json, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("stored_on", "event_id", name="event_body_by_day"),
    postgresql_partition_by="RANGE (stored_on)",
)

event_acquisition = Table(
    "event_acquisition",
    metadata,
    Column("acquisition", OrderedText, primary_key=True),
    Column("event_id", OrderedText, ForeignKey("event.id", ondelete="CASCADE"), primary_key=True),
    Index("event_acquisition_by_event", "event_id"),
)

event_fact = Table(
    "event_fact",
    metadata,
    Column("event_id", OrderedText, ForeignKey("event.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),
    Index("event_fact_by_key", "key"),
)

source = Table(
    "source",
    metadata,
    Column("name", OrderedText, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("verification", Json, nullable=False),
    Column("dedup_paths", Json, nullable=False),
    Column("type_path", Text, nullable=False),
    Column("json_required", Boolean, nullable=False),
    Column("request_id", Text, unique=True),
    Column("version", BigInteger, nullable=False),
    Column("created", UtcMillis, nullable=False),
    Column("updated", UtcMillis, nullable=False),
)

source_secret = Table(
    "source_secret",
    metadata,
    Column("id", OrderedText, primary_key=True),
    Column("source", OrderedText, nullable=False),  # also of a source that has no row: `lidarr`
    Column("sealed", LargeBinary, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("created", UtcMillis, nullable=False),
    Column("expires", UtcMillis),
    Index("source_secret_by_source", "source"),
)

rejection = Table(
    "rejection",
    metadata,
    Column("id", OrderedText, primary_key=True),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("remote_address", Text, nullable=False),
    Column("body_size", Integer, nullable=False),
    Column("headers", Json, nullable=False),
    Column("received_at", UtcMillis, nullable=False),
    Index("rejection_received_at", "received_at", "id"),
)

replay = Table(
    "replay",
    metadata,
    Column("id", OrderedText, primary_key=True),  # of its work row too
    Column("filter", Text, nullable=False),
    Column("events", Json, nullable=False),
    Column("force", Boolean, nullable=False),
    Column("events_per_second", Integer, nullable=False),
    Column("since", UtcMillis),
    Column("until", UtcMillis),
    Column("matched", BigInteger, nullable=False),
    Column("replayed", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("last_received_at", UtcMillis),  # of the last event that was looked at, absent before the first
    Column("last_event", OrderedText),
    Column("actor", Text, nullable=False),
    Column("request_id", Text, unique=True),
    Column("created", UtcMillis, nullable=False),
)

work = work_tables(metadata)
lease = lease_table(metadata)
watermark = watermark_table(metadata)
data_key = data_key_table(metadata)
