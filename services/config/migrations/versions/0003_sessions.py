"""Sessions of browsers, tickets for streams, and authorizations that only the browser which began them may end."""

import sqlalchemy as sa
from alembic import op

from libs.sql.types import OrderedText, UtcMillis

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "browser_session",
        sa.Column("id", OrderedText, primary_key=True),
        sa.Column("key_handle", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("user_name", sa.Text, nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
        sa.Column("created_at", UtcMillis, nullable=False),
        sa.Column("expires_at", UtcMillis, nullable=False),
        sa.Column("ended_at", UtcMillis),
    )
    op.create_index("browser_session_of_user", "browser_session", ["user_name", "expires_at"])
    op.create_index("browser_session_expiry", "browser_session", ["expires_at"])
    op.create_table(
        "stream_ticket",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("key_handle", sa.Text, nullable=False),
        sa.Column("session_expires_at", UtcMillis, nullable=False),
        sa.Column("expires_at", UtcMillis, nullable=False),
    )
    op.create_index("stream_ticket_expiry", "stream_ticket", ["expires_at"])
    op.add_column("oauth_authorization", sa.Column("session_id", sa.Text))


def downgrade() -> None:
    op.drop_column("oauth_authorization", "session_id")
    op.drop_table("stream_ticket")
    op.drop_table("browser_session")
