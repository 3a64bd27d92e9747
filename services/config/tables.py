"""The tables of the config service."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from libs.crypto.tables import data_key_table
from libs.leases.tables import lease_table
from libs.sql.types import Json, OrderedText, UtcMillis
from libs.sql.watermarks import watermark_table

metadata = MetaData()

# One row. `version` grows with every change; `canary` is a sealed record that only the right root key opens;
# `fallbacks` is a fingerprint of what the environment and the defaults said at the last start. `data_key_epoch` is how
# often somebody asked for new data keys.
config_state = Table(
    "config_state",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("canary", LargeBinary),
    Column("fallbacks", Text, nullable=False),
    Column("data_key_epoch", BigInteger, nullable=False, server_default="0"),
)

# Who asked for new data keys: one row for each epoch but the first.
data_key_request = Table(
    "data_key_request",
    metadata,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("request_id", Text, unique=True),
    Column("actor", Text, nullable=False),
    Column("requested_at", UtcMillis, nullable=False),
)

# A value is plain (`value`) or a secret (`sealed`), never both.
setting = Table(
    "setting",
    metadata,
    Column("path", Text, primary_key=True),
    Column("value", Text),
    Column("sealed", LargeBinary),
    Column("updated_at", UtcMillis, nullable=False),
)

# Who changed what when: neither `value` nor `fingerprint` when the setting went back to its fallback. `sealed` is the
# secret itself, for a rollback; `origin` is how the change came about.
setting_revision = Table(
    "setting_revision",
    metadata,
    Column("revision", BigInteger, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("changed_at", UtcMillis, nullable=False),
    Column("value", Text),
    Column("fingerprint", Text),
    Column("sealed", LargeBinary),
    Column("origin", Text),
)

# Of a key there are digests only: `digest` of the secret in force, `previous_digest` of the one before it, which is
# good until `previous_expires_at`. A user of NULL means the title.
api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("scopes", Json, nullable=False),
    Column("created_at", UtcMillis, nullable=False),
    Column("user_name", Text),
    Column("hint", Text, nullable=False, server_default=""),
    Column("creator", Text, nullable=False, server_default=""),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("updated_at", UtcMillis),
    Column("expires_at", UtcMillis),
    Column("last_used_at", UtcMillis),
    Column("revoked_at", UtcMillis),
    Column("previous_digest", LargeBinary),
    Column("previous_expires_at", UtcMillis),
    Column("request_id", Text),
    Index("api_key_request", "request_id", unique=True),
)

# A browser that was signed in. `key_handle` is how its credential names the key; `ended_at` is when it was signed out.
browser_session = Table(
    "browser_session",
    metadata,
    Column("id", OrderedText, primary_key=True),
    Column("key_handle", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("created_at", UtcMillis, nullable=False),
    Column("expires_at", UtcMillis, nullable=False),
    Column("ended_at", UtcMillis),
    Index("browser_session_of_user", "user_name", "expires_at"),
    Index("browser_session_expiry", "expires_at"),
)

# What a ticket opens, by the digest of the ticket; the row goes when it is used.
stream_ticket = Table(
    "stream_ticket",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("session_id", Text, nullable=False),
    Column("key_handle", Text, nullable=False),
    Column("session_expires_at", UtcMillis, nullable=False),
    Column("expires_at", UtcMillis, nullable=False),
    Index("stream_ticket_expiry", "expires_at"),
)

# What each service told of its keys last.
keyring_report = Table(
    "keyring_report",
    metadata,
    Column("service", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("root_key_id", Text, nullable=False),
    Column("previous_root_key", Boolean, nullable=False),
    Column("data_key_id", Text, nullable=False),
    Column("data_key_created_at", UtcMillis),
    Column("data_key_epoch", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("unreadable", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("reported_at", UtcMillis, nullable=False),
)

# An authorization that was begun, by the digest of its state; the row goes when the state is used. `session_id` is the
# session of the browser that began it and alone may end it.
oauth_authorization = Table(
    "oauth_authorization",
    metadata,
    Column("state_digest", LargeBinary, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("verifier", LargeBinary, nullable=False),  # sealed
    Column("redirect_url", Text, nullable=False),
    Column("expires_at", UtcMillis, nullable=False),
    Column("session_id", Text),
    Index("oauth_authorization_expiry", "expires_at"),
)

# The tokens of one user at one provider, sealed. `refreshing_until` is the lease of whoever refreshes them, fenced by
# `version`, which grows with every change but not when tokens are sealed anew: a refresh under way must not be lost by
# that. `rest_until` is how long the provider asked to be left alone.
oauth_token = Table(
    "oauth_token",
    metadata,
    Column("id", OrderedText, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("access_token", LargeBinary),
    Column("refresh_token", LargeBinary),
    Column("scope", Text, nullable=False, server_default=""),
    Column("state", Text, nullable=False),
    Column("expires_at", UtcMillis, nullable=False),
    Column("last_refresh_at", UtcMillis),
    Column("refresh_count", Integer, nullable=False, server_default="0"),
    Column("last_error", Text, nullable=False, server_default=""),
    Column("refreshing_until", UtcMillis),
    Column("rest_until", UtcMillis),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("created_at", UtcMillis, nullable=False),
    Column("updated_at", UtcMillis, nullable=False),
    UniqueConstraint("provider", "user_name", name="oauth_token_owner"),
    Index("oauth_token_expiry", "expires_at"),
)

# One row for each refresh that failed.
oauth_failure = Table(
    "oauth_failure",
    metadata,
    Column("id", OrderedText, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("failed_at", UtcMillis, nullable=False),
    Index("oauth_failure_recent", "user_name", "failed_at"),
)

# What the suite does of its own accord; off unless somebody turned it on. `claimed_until` is the lease of who runs it,
# `fence` guards what he writes, and `runs` is how many runs ended. `version` counts what people change.
automation = Table(
    "automation",
    metadata,
    Column("id", OrderedText, primary_key=True),
    Column("enabled", Boolean, nullable=False),
    Column("interval_ms", BigInteger, nullable=False),
    Column("next_run_at", UtcMillis),
    Column("last_run_at", UtcMillis),
    Column("last_result", Text, nullable=False, server_default=""),
    Column("actor", Text, nullable=False, server_default=""),
    Column("claimed_until", UtcMillis),
    Column("fence", BigInteger, nullable=False, server_default="0"),
    Column("runs", BigInteger, nullable=False, server_default="0"),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("updated_at", UtcMillis, nullable=False),
)

# What automations did, or would have done; limits are counted here. `etag` is what the target was when it was reserved.
automation_action = Table(
    "automation_action",
    metadata,
    Column("id", OrderedText, primary_key=True),
    Column("automation", Text, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("idempotency_key", Text, nullable=False),
    Column("etag", Text, nullable=False, server_default=""),
    Column("acted_at", UtcMillis, nullable=False),
    UniqueConstraint("idempotency_key", name="automation_action_once"),
    Index("automation_action_of_user", "user_name", "acted_at"),
    Index("automation_action_on_target", "target", "acted_at"),
    Index("automation_action_by_time", "acted_at", "id"),
)

# Users whose automations were paused after failures: they go on once `resumed_at` is set, and failures before it count
# no more.
automation_pause = Table(
    "automation_pause",
    metadata,
    Column("user_name", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("paused_at", UtcMillis, nullable=False),
    Column("resumed_at", UtcMillis),
)

# One row: the onboarding of this installation. `claimed_until` is the lease of who works on it, fenced by `version`.
onboarding = Table(
    "onboarding",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("state", Text, nullable=False),
    Column("progress", Integer, nullable=False, server_default="0"),
    Column("steps", Json, nullable=False),
    Column("album", Json),
    Column("acquisition", Text, nullable=False, server_default=""),
    Column("request_id", Text, nullable=False, server_default=""),
    Column("actor", Text, nullable=False, server_default=""),
    Column("claimed_until", UtcMillis),
    Column("started_at", UtcMillis),
    Column("ended_at", UtcMillis),
    Column("updated_at", UtcMillis, nullable=False),
    Column("version", BigInteger, nullable=False, server_default="1"),
)

data_key = data_key_table(metadata)
lease = lease_table(metadata)
watermark = watermark_table(metadata)
