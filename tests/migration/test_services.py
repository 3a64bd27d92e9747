"""The migrations of each service make the tables that its code uses."""

from importlib import import_module

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from libs.sql.engine import Database
from libs.sql.migrations import migrate


def differences(connection: Connection, metadata: MetaData) -> list[object]:
    context = MigrationContext.configure(connection, opts={"include_name": _is_of_the_service})
    return list(compare_metadata(context, metadata))


def _is_of_the_service(name: str | None, kind: str, parents: object) -> bool:
    """Partitions come and go with the days, and the record of revisions is the runner's."""
    return not (kind == "table" and (name or "").startswith(("event_body_", "schema_revision")))


@pytest.mark.parametrize("service", ["acquisition", "webhooks", "config"])
async def test_the_migrated_schema_is_the_one_of_the_tables(database: Database, service: str) -> None:
    migrations = import_module(f"services.{service}.migrations")
    tables = import_module(f"services.{service}.tables")

    await migrate(database, package=migrations.__name__, head=migrations.HEAD)

    async with database.writing() as connection:
        assert await connection.run_sync(differences, tables.metadata) == []
