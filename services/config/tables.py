"""The tables of the config service."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text

from libs.sql.types import Json, UtcMillis

metadata = MetaData()

# One row. `version` grows with every change; `canary` is a sealed record that only the right root key opens;
# `fallbacks` is a fingerprint of what the environment and the defaults said at the last start.
config_state = Table(
    "config_state",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("canary", LargeBinary),
    Column("fallbacks", Text, nullable=False),
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

# Who changed what when: neither `value` nor `fingerprint` when the setting went back to its fallback.
setting_revision = Table(
    "setting_revision",
    metadata,
    Column("revision", BigInteger, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("changed_at", UtcMillis, nullable=False),
    Column("value", Text),
    Column("fingerprint", Text),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("scopes", Json, nullable=False),
    Column("created_at", UtcMillis, nullable=False),
)
