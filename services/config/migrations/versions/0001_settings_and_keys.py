"""Settings with their history, and API keys."""

import sqlalchemy as sa
from alembic import op

from libs.sql.types import Json, UtcMillis

revision = "0001"
down_revision = None


def upgrade() -> None:
    state = op.create_table(
        "config_state",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("canary", sa.LargeBinary),
        sa.Column("fallbacks", sa.Text, nullable=False),
    )
    op.bulk_insert(state, [{"id": 1, "version": 0, "fallbacks": ""}])
    op.create_table(
        "setting",
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("value", sa.Text),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("updated_at", UtcMillis, nullable=False),
        sa.CheckConstraint("(value IS NULL) <> (sealed IS NULL)", name="plain_or_sealed"),
    )
    op.create_table(
        "setting_revision",
        sa.Column("revision", sa.BigInteger, primary_key=True),
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("changed_at", UtcMillis, nullable=False),
        sa.Column("value", sa.Text),
        sa.Column("fingerprint", sa.Text),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("scopes", Json, nullable=False),
        sa.Column("created_at", UtcMillis, nullable=False),
    )
