"""Sources made at run time, what events are about, replays, upkeep, and bodies that leave by the day."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from libs.leases import ddl as leases
from libs.sql.types import Json, OrderedText, UtcMillis
from libs.work import ddl as work

revision = "0002"
down_revision = "0001"
not_additive = (
    "bodies move to a table that is parted by days, under the same name and with all columns of the one before;"
    " events are told their day and why they are dead"
)

_DAY_MS = 86_400_000
_KEPT = "-1"  # as the day of what replicas of the older version store meanwhile
_TELL_DAYS = {
    "sqlite": "UPDATE event SET stored_on = received_at / 86400000",
    # Writes the table and its indexes anew in one go: an UPDATE takes four times as long.
    "postgresql": "ALTER TABLE event ALTER COLUMN stored_on TYPE INTEGER USING (received_at / 86400000)::INTEGER",
}
_RELATE = {
    "sqlite": (
        "INSERT INTO event_acquisition (acquisition, event_id) SELECT DISTINCT a.value, e.id"
        " FROM event e JOIN work w ON w.id = e.id CROSS JOIN json_each(w.data, '$.acquisitions') a"
    ),
    "postgresql": (
        "INSERT INTO event_acquisition (acquisition, event_id) SELECT DISTINCT a.name, e.id"
        " FROM event e JOIN work w ON w.id = e.id"
        " CROSS JOIN jsonb_array_elements_text(w.data->'acquisitions') a(name)"
    ),
}


def upgrade() -> None:
    _widen_events()
    _part_bodies()
    _create_relations()
    _create_sources()
    _create_upkeep()
    work.add_v2(op)
    leases.create_v1(op)


def downgrade() -> None:
    for table in ("lease", "watermark", "replay", "rejection", "source_secret", "source"):
        op.drop_table(table)
    op.drop_table("event_fact")
    op.drop_table("event_acquisition")
    work.drop_v2(op)
    _gather_bodies()
    op.drop_index("event_conflict", "event")
    op.drop_index("event_reason", "event")
    for column in ("origin", "reason", "conflicting_event", "body_sha256", "stored_on"):
        op.drop_column("event", column)


def _gather_bodies() -> None:
    """One table of bodies again; those whose events are gone go, too."""
    op.rename_table("event_body", "event_body_v2")
    op.create_table(
        "event_body",
        sa.Column("event_id", OrderedText, sa.ForeignKey("event.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("headers", Json, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.execute(
        "INSERT INTO event_body (event_id, headers, body)"
        " SELECT b.event_id, b.headers, b.body FROM event_body_v2 b JOIN event e ON e.id = b.event_id"
    )
    op.drop_table("event_body_v2")


def _widen_events() -> None:
    op.add_column("event", sa.Column("origin", sa.Text, nullable=False, server_default="DELIVERY"))
    op.add_column("event", sa.Column("reason", sa.Text, nullable=False, server_default=""))
    op.add_column("event", sa.Column("conflicting_event", OrderedText))
    op.add_column("event", sa.Column("body_sha256", sa.LargeBinary))
    op.add_column("event", sa.Column("stored_on", sa.Integer, nullable=False, server_default=_KEPT))
    op.execute(_TELL_DAYS[op.get_bind().dialect.name])
    _name_reasons()
    given_up = sa.column("reason", sa.Text) != ""
    op.create_index(
        "event_reason", "event", ["reason", "received_at"], postgresql_where=given_up, sqlite_where=given_up
    )
    contradicts = sa.column("conflicting_event", OrderedText).is_not(None)
    op.create_index(
        "event_conflict", "event", ["conflicting_event"], postgresql_where=contradicts, sqlite_where=contradicts
    )


def _name_reasons() -> None:
    """Why events are dead that died before there were reasons, as far as their errors tell."""
    op.execute(
        "UPDATE event SET reason = (SELECT CASE"
        " WHEN w.error LIKE 'refused: %' THEN 'REJECTED'"
        " WHEN w.error LIKE 'crash loop: %' THEN 'CRASH_LOOP'"
        " WHEN w.error LIKE 'the body is %' OR w.error LIKE '% is not a%' OR w.error LIKE '% holds a NUL%'"
        " THEN 'UNREADABLE' ELSE 'HANDLER_ERROR' END FROM work w WHERE w.id = event.id)"
        " WHERE id IN (SELECT id FROM work WHERE state = 'DEAD')"
    )


def _part_bodies() -> None:
    """Bodies by the day on which they were stored; those that must stay move to the days before 0."""
    op.rename_table("event_body", "event_body_v1")
    op.create_table(
        "event_body",
        sa.Column("stored_on", sa.Integer, nullable=False, server_default=_KEPT),
        sa.Column("event_id", OrderedText, nullable=False),
        sa.Column("headers", Json, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("stored_on", "event_id", name="event_body_by_day"),
        postgresql_partition_by="RANGE (stored_on)",
    )
    if op.get_bind().dialect.name == "postgresql":
        _create_partitions()
    op.execute(
        "INSERT INTO event_body (stored_on, event_id, headers, body)"
        " SELECT e.stored_on, b.event_id, b.headers, b.body FROM event_body_v1 b JOIN event e ON e.id = b.event_id"
    )
    op.drop_table("event_body_v1")


def _create_partitions() -> None:
    today = int(datetime.now(UTC).timestamp() * 1000) // _DAY_MS
    days = set(op.get_bind().scalars(sa.text("SELECT DISTINCT stored_on FROM event")))
    op.execute("CREATE TABLE event_body_kept PARTITION OF event_body FOR VALUES FROM (MINVALUE) TO (0)")
    for day in sorted(days | set(range(today - 1, today + 8))):
        name = datetime.fromtimestamp(day * _DAY_MS / 1000, UTC).strftime("event_body_%Y%m%d")
        op.execute(f"CREATE TABLE {name} PARTITION OF event_body FOR VALUES FROM ({day}) TO ({day + 1})")


def _create_relations() -> None:
    op.create_table(
        "event_acquisition",
        sa.Column("acquisition", OrderedText, primary_key=True),
        sa.Column("event_id", OrderedText, sa.ForeignKey("event.id", ondelete="CASCADE"), primary_key=True),
    )
    op.create_index("event_acquisition_by_event", "event_acquisition", ["event_id"])
    _relate_events()
    op.create_table(
        "event_fact",
        sa.Column("event_id", OrderedText, sa.ForeignKey("event.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
    )
    op.create_index("event_fact_by_key", "event_fact", ["key"])


def _relate_events() -> None:
    """Whom events belong to, out of the data of their work."""
    op.execute(_RELATE[op.get_bind().dialect.name])


def _create_sources() -> None:
    op.create_table(
        "source",
        sa.Column("name", OrderedText, primary_key=True),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("verification", Json, nullable=False),
        sa.Column("dedup_paths", Json, nullable=False),
        sa.Column("type_path", sa.Text, nullable=False),
        sa.Column("json_required", sa.Boolean, nullable=False),
        sa.Column("request_id", sa.Text, unique=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created", UtcMillis, nullable=False),
        sa.Column("updated", UtcMillis, nullable=False),
    )
    op.create_table(
        "source_secret",
        sa.Column("id", OrderedText, primary_key=True),
        sa.Column("source", OrderedText, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("created", UtcMillis, nullable=False),
        sa.Column("expires", UtcMillis),
    )
    op.create_index("source_secret_by_source", "source_secret", ["source"])
    op.create_table(
        "rejection",
        sa.Column("id", OrderedText, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("remote_address", sa.Text, nullable=False),
        sa.Column("body_size", sa.Integer, nullable=False),
        sa.Column("headers", Json, nullable=False),
        sa.Column("received_at", UtcMillis, nullable=False),
    )
    op.create_index("rejection_received_at", "rejection", ["received_at", "id"])


def _create_upkeep() -> None:
    op.create_table(
        "replay",
        sa.Column("id", OrderedText, primary_key=True),  # of its work row too
        sa.Column("filter", sa.Text, nullable=False),
        sa.Column("events", Json, nullable=False),
        sa.Column("force", sa.Boolean, nullable=False),
        sa.Column("events_per_second", sa.Integer, nullable=False),
        sa.Column("since", UtcMillis),
        sa.Column("until", UtcMillis),
        sa.Column("matched", sa.BigInteger, nullable=False),
        sa.Column("replayed", sa.BigInteger, nullable=False),
        sa.Column("skipped", sa.BigInteger, nullable=False),
        sa.Column("last_received_at", UtcMillis),
        sa.Column("last_event", OrderedText),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, unique=True),
        sa.Column("created", UtcMillis, nullable=False),
    )
    op.create_table(
        "watermark",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("position", Json, nullable=False),
        sa.Column("updated", UtcMillis, nullable=False),
    )
