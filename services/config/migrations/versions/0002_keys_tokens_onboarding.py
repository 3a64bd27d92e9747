"""Data keys, history that can be gone back to, keys with an end, tokens, automations, and the onboarding."""

import sqlalchemy as sa
from alembic import op

from libs.crypto import ddl
from libs.sql.types import Json, OrderedText, UtcMillis

revision = "0002"
down_revision = "0001"

_ADDED = {
    "api_key": (
        "user_name",
        "hint",
        "creator",
        "version",
        "updated_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
        "previous_digest",
        "previous_expires_at",
        "request_id",
    ),
    "setting_revision": ("sealed", "origin"),
    "config_state": ("data_key_epoch",),
}


def upgrade() -> None:
    _encryption()
    _history()
    _keys()
    _oauth()
    _oauth_failures()
    _automations()
    _onboarding()


def _encryption() -> None:
    ddl.create_v1(op)
    op.add_column("config_state", sa.Column("data_key_epoch", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "data_key_request",
        sa.Column("epoch", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("request_id", sa.Text, unique=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("requested_at", UtcMillis, nullable=False),
    )
    op.create_table(
        "keyring_report",
        sa.Column("service", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("root_key_id", sa.Text, nullable=False),
        sa.Column("previous_root_key", sa.Boolean, nullable=False),
        sa.Column("data_key_id", sa.Text, nullable=False),
        sa.Column("data_key_created_at", UtcMillis),
        sa.Column("data_key_epoch", sa.BigInteger, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("unreadable", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("reported_at", UtcMillis, nullable=False),
    )


def _history() -> None:
    op.add_column("setting_revision", sa.Column("sealed", sa.LargeBinary))
    op.add_column("setting_revision", sa.Column("origin", sa.Text))


def _keys() -> None:
    for column in (
        sa.Column("user_name", sa.Text),
        sa.Column("hint", sa.Text, nullable=False, server_default=""),
        sa.Column("creator", sa.Text, nullable=False, server_default=""),
        sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
        sa.Column("updated_at", UtcMillis),
        sa.Column("expires_at", UtcMillis),
        sa.Column("last_used_at", UtcMillis),
        sa.Column("revoked_at", UtcMillis),
        sa.Column("previous_digest", sa.LargeBinary),
        sa.Column("previous_expires_at", UtcMillis),
        sa.Column("request_id", sa.Text),
    ):
        op.add_column("api_key", column)
    op.create_index("api_key_request", "api_key", ["request_id"], unique=True)


def _oauth() -> None:
    op.create_table(
        "oauth_authorization",
        sa.Column("state_digest", sa.LargeBinary, primary_key=True),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("user_name", sa.Text, nullable=False),
        sa.Column("verifier", sa.LargeBinary, nullable=False),
        sa.Column("redirect_url", sa.Text, nullable=False),
        sa.Column("expires_at", UtcMillis, nullable=False),
    )
    op.create_index("oauth_authorization_expiry", "oauth_authorization", ["expires_at"])
    op.create_table(
        "oauth_token",
        sa.Column("id", OrderedText, primary_key=True),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("user_name", sa.Text, nullable=False),
        sa.Column("access_token", sa.LargeBinary),
        sa.Column("refresh_token", sa.LargeBinary),
        sa.Column("scope", sa.Text, nullable=False, server_default=""),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("expires_at", UtcMillis, nullable=False),
        sa.Column("last_refresh_at", UtcMillis),
        sa.Column("refresh_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("last_error", sa.Text, nullable=False, server_default=""),
        sa.Column("refreshing_until", UtcMillis),
        sa.Column("rest_until", UtcMillis),
        sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
        sa.Column("created_at", UtcMillis, nullable=False),
        sa.Column("updated_at", UtcMillis, nullable=False),
        sa.UniqueConstraint("provider", "user_name", name="oauth_token_owner"),
    )
    op.create_index("oauth_token_expiry", "oauth_token", ["expires_at"])


def _oauth_failures() -> None:
    op.create_table(
        "oauth_failure",
        sa.Column("id", OrderedText, primary_key=True),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("user_name", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("failed_at", UtcMillis, nullable=False),
    )
    op.create_index("oauth_failure_recent", "oauth_failure", ["user_name", "failed_at"])


def _automations() -> None:
    op.create_table(
        "automation",
        sa.Column("id", OrderedText, primary_key=True),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("interval_ms", sa.BigInteger, nullable=False),
        sa.Column("next_run_at", UtcMillis),
        sa.Column("last_run_at", UtcMillis),
        sa.Column("last_result", sa.Text, nullable=False, server_default=""),
        sa.Column("actor", sa.Text, nullable=False, server_default=""),
        sa.Column("claimed_until", UtcMillis),
        sa.Column("fence", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("runs", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
        sa.Column("updated_at", UtcMillis, nullable=False),
    )
    op.create_table(
        "automation_action",
        sa.Column("id", OrderedText, primary_key=True),
        sa.Column("automation", sa.Text, nullable=False),
        sa.Column("user_name", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("idempotency_key", sa.Text, nullable=False),
        sa.Column("etag", sa.Text, nullable=False, server_default=""),
        sa.Column("acted_at", UtcMillis, nullable=False),
        sa.UniqueConstraint("idempotency_key", name="automation_action_once"),
    )
    op.create_index("automation_action_of_user", "automation_action", ["user_name", "acted_at"])
    op.create_index("automation_action_on_target", "automation_action", ["target", "acted_at"])
    op.create_index("automation_action_by_time", "automation_action", ["acted_at", "id"])
    op.create_table(
        "automation_pause",
        sa.Column("user_name", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("paused_at", UtcMillis, nullable=False),
        sa.Column("resumed_at", UtcMillis),
    )


def _onboarding() -> None:
    op.create_table(
        "onboarding",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("progress", sa.Integer, nullable=False, server_default="0"),
        sa.Column("steps", Json, nullable=False),
        sa.Column("album", Json),
        sa.Column("acquisition", sa.Text, nullable=False, server_default=""),
        sa.Column("request_id", sa.Text, nullable=False, server_default=""),
        sa.Column("actor", sa.Text, nullable=False, server_default=""),
        sa.Column("claimed_until", UtcMillis),
        sa.Column("started_at", UtcMillis),
        sa.Column("ended_at", UtcMillis),
        sa.Column("updated_at", UtcMillis, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
    )


def downgrade() -> None:
    for table in (
        "onboarding",
        "automation_pause",
        "automation_action",
        "automation",
        "oauth_failure",
        "oauth_token",
        "oauth_authorization",
        "keyring_report",
        "data_key_request",
        "data_key",
    ):
        op.drop_table(table)
    op.drop_index("api_key_request", "api_key")
    for table, columns in _ADDED.items():
        for column in columns:
            op.drop_column(table, column)
