"""The inbox: a ledger of events, their bodies, and the work on them."""

import sqlalchemy as sa
from alembic import op

from libs.sql.types import Json, OrderedText, UtcMillis
from libs.work import ddl

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "event",
        sa.Column("id", OrderedText, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("dedup_key", sa.Text, nullable=False),
        sa.Column("body_size", sa.Integer, nullable=False),
        sa.Column("duplicates", sa.Integer, nullable=False),
        sa.Column("received_at", UtcMillis, nullable=False),
        sa.Column("updated_at", UtcMillis, nullable=False),
        sa.UniqueConstraint("source", "dedup_key", name="event_source_dedup_key"),
    )
    op.create_index("event_received_at", "event", ["received_at", "id"])
    op.create_index("event_updated_at", "event", ["updated_at", "id"])
    op.create_table(
        "event_body",
        sa.Column("event_id", OrderedText, sa.ForeignKey("event.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("headers", Json, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    ddl.create_v1(op)
