"""Why a schema is left as it is.

FailedPrecondition
├── SchemaDrift       what was applied is not what this release would apply
├── SchemaUnknown     tables that no revision makes, in a database that nobody recorded
└── MigrationRefused  a step that was not allowed
Unavailable
└── MigrationLocked   somebody else migrates, or keeps the database from being migrated
"""

from libs.errors import FailedPrecondition, Unavailable


class SchemaDrift(FailedPrecondition):
    """A revision that was applied is not that of this release, or the tables are not those that it made."""

    reason = "SCHEMA_DRIFT"


class SchemaUnknown(FailedPrecondition):
    """The database has tables but no revision, and they are those of none."""

    reason = "SCHEMA_UNKNOWN"


class MigrationRefused(FailedPrecondition):
    """The step is not done without being allowed, or there is none."""

    reason = "MIGRATION_REFUSED"


class MigrationLocked(Unavailable):
    """Somebody else holds what the migration needs for itself."""

    reason = "MIGRATION_LOCKED"
