"""Fallbacks, requesters and partial albums; peers, searches, providers' answers, and batches."""

import sqlalchemy as sa
from alembic import op

from libs.outbound import ddl as outbound
from libs.sql.types import Json, OrderedText, UtcMillis
from libs.work import ddl as work

revision = "0003"
down_revision = "0002"
not_additive = "the index by which jobs are claimed is made anew under its name, with their priority in it"


def upgrade() -> None:
    work.add_v3(op)
    _widen_acquisitions()
    _widen_attempts()
    _create_peer()
    _create_search()
    outbound.create_v1(op)
    _create_batches()


def downgrade() -> None:
    for table in ("batch_album", "batch", "cached_answer", "call_slot", "search", "peer"):
        op.drop_table(table)
    op.drop_index("attempt_running", "attempt")
    for column in ("peers", "score", "bytes_per_second", "files"):
        op.drop_column("attempt", column)
    op.drop_index("request_by_acquisition", "request")
    op.drop_index("acquisition_by_batch", "acquisition")
    op.drop_index("acquisition_by_ended", "acquisition")
    for column in ("current_source", "fallback", "owner", "batch", "missing"):
        op.drop_column("acquisition", column)
    work.drop_v3(op)


def _widen_acquisitions() -> None:
    op.add_column("acquisition", sa.Column("current_source", sa.Text, nullable=False, server_default=""))
    op.add_column("acquisition", sa.Column("fallback", sa.Text, nullable=False, server_default=""))
    op.add_column("acquisition", sa.Column("owner", sa.Text, nullable=False, server_default=""))
    op.add_column("acquisition", sa.Column("batch", OrderedText))
    op.add_column("acquisition", sa.Column("missing", Json))
    op.create_index("acquisition_by_ended", "acquisition", ["ended"])
    op.create_index("acquisition_by_batch", "acquisition", ["batch"])
    op.create_index("request_by_acquisition", "request", ["acquisition"])


def _widen_attempts() -> None:
    op.add_column("attempt", sa.Column("peers", Json))
    op.add_column("attempt", sa.Column("score", Json))
    op.add_column("attempt", sa.Column("bytes_per_second", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("attempt", sa.Column("files", Json))
    running = sa.column("state", sa.Text) == "RUNNING"  # followers are told their progress
    op.create_index("attempt_running", "attempt", ["acquisition"], sqlite_where=running, postgresql_where=running)


def _create_peer() -> None:
    op.create_table(
        "peer",
        sa.Column("name", OrderedText, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("successes", sa.BigInteger, nullable=False),
        sa.Column("received_bytes", sa.BigInteger, nullable=False),
        sa.Column("first_failure", UtcMillis),
        sa.Column("last_failure", UtcMillis),
        sa.Column("last_failure_reason", sa.Text, nullable=False),
        sa.Column("blocked_until", UtcMillis),
        sa.Column("manual", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("updated", UtcMillis, nullable=False),
    )


def _create_search() -> None:
    op.create_table(
        "search",
        sa.Column("id", OrderedText, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("album", Json),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("offers", Json, nullable=False),
        sa.Column("offer_count", sa.Integer, nullable=False),
        sa.Column("runner", sa.Text),
        sa.Column("created", UtcMillis, nullable=False),
        sa.Column("updated", UtcMillis, nullable=False),
        sa.Column("expires", UtcMillis, nullable=False),
    )
    op.create_index("search_by_request", "search", ["owner", "request_id"], unique=True)
    op.create_index("search_by_owner", "search", ["owner", "created"])
    op.create_index("search_by_expiry", "search", ["expires"])


def _create_batches() -> None:
    op.create_table(
        "batch",
        sa.Column("id", OrderedText, sa.ForeignKey("work.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("fallback", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("created", UtcMillis, nullable=False),
        sa.Column("ended", UtcMillis),
        sa.Column("failure_reason", sa.Text, nullable=False),
        sa.Column("failure_message", sa.Text, nullable=False),
        sa.Column("watch", Json, nullable=False),
    )
    op.create_index("batch_by_request", "batch", ["request_id"], unique=True)
    op.create_index("batch_by_created", "batch", ["created", "id"])
    op.create_index("batch_by_ended", "batch", ["ended"])
    op.create_table(
        "batch_album",
        sa.Column("batch", OrderedText, sa.ForeignKey("batch.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("album", Json, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("acquisition", OrderedText),
        sa.Column("own", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("failure_reason", sa.Text, nullable=False),
        sa.Column("failure_message", sa.Text, nullable=False),
    )
    op.create_index("batch_album_by_acquisition", "batch_album", ["acquisition"])
