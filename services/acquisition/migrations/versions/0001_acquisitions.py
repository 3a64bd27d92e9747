"""Acquisitions with their attempts and files, on durable work and leases."""

import sqlalchemy as sa
from alembic import op

from libs.leases import ddl as leases
from libs.sql.types import Json, OrderedText, Serial, UtcMillis
from libs.work import ddl as work

revision = "0001"
down_revision = None


def upgrade() -> None:
    work.create_v1(op)
    leases.create_v1(op)
    _create_acquisition()
    _create_attempt()
    op.create_table(
        "library_file",
        _owner(),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
    )
    op.create_table(
        "request",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("acquisition", OrderedText, sa.ForeignKey("acquisition.id", ondelete="CASCADE"), nullable=False),
        sa.Column("created", UtcMillis, nullable=False),
    )
    _create_lidarr()
    op.create_table(
        "soulseek_search",
        sa.Column("id", Serial, primary_key=True),
        sa.Column("sent", UtcMillis, nullable=False),
    )
    op.create_index("ix_soulseek_search_sent", "soulseek_search", ["sent"])


def _owner() -> sa.Column[str]:
    return sa.Column("acquisition", OrderedText, sa.ForeignKey("acquisition.id", ondelete="CASCADE"), primary_key=True)


def _create_acquisition() -> None:
    op.create_table(
        "acquisition",
        sa.Column("id", OrderedText, sa.ForeignKey("work.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("artist", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("release_group_mbid", sa.Text, nullable=False),
        sa.Column("album", Json, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("created", UtcMillis, nullable=False),
        sa.Column("ended", UtcMillis),
        sa.Column("failure_reason", sa.Text, nullable=False),
        sa.Column("failure_message", sa.Text, nullable=False),
    )
    op.create_index("acquisition_by_created", "acquisition", ["created", "id"])
    op.create_index("acquisition_by_release_group", "acquisition", ["release_group_mbid"])


def _create_attempt() -> None:
    op.create_table(
        "attempt",
        _owner(),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("peer", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("received_bytes", sa.BigInteger, nullable=False),
        sa.Column("total_bytes", sa.BigInteger, nullable=False),
        sa.Column("finished_count", sa.Integer, nullable=False),
        sa.Column("total_count", sa.Integer, nullable=False),
        sa.Column("started", UtcMillis, nullable=False),
        sa.Column("ended", UtcMillis),
        sa.CheckConstraint("number > 0", name="attempt_number_counts_from_one"),
        sa.CheckConstraint("(state = 'RUNNING') = (ended IS NULL)", name="attempt_ends_when_it_stops_running"),
    )


def _create_lidarr() -> None:
    op.create_table(
        "lidarr_album",
        _owner(),
        sa.Column("album_id", sa.BigInteger, nullable=False),
        sa.Column("release_group_mbid", sa.Text, nullable=False),
    )
    op.create_index("lidarr_album_by_album", "lidarr_album", ["album_id"])
    op.create_index("lidarr_album_by_release_group", "lidarr_album", ["release_group_mbid"])
    op.create_table("lidarr_download", _owner(), sa.Column("download_id", sa.Text, primary_key=True))
    op.create_index("lidarr_download_by_download", "lidarr_download", ["download_id"])
