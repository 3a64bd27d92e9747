"""The migrations make the tables that the store uses."""

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from libs.sql.engine import Database
from libs.sql.migrations import migrate
from services.acquisition import migrations
from services.acquisition.tables import metadata


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


async def test_the_migrated_schema_is_the_one_of_the_tables(database: Database) -> None:
    await migrate(database, package=migrations.__name__, head=migrations.HEAD)

    async with database.writing() as connection:
        assert await connection.run_sync(differences) == []
