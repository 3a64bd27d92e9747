"""The tables that services' migrations make are those that the code works with."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, MetaData

from libs.leases import ddl as leases
from libs.leases.tables import lease_table
from libs.sql.engine import Database
from libs.work import ddl as work
from libs.work.tables import work_tables


def differences(connection: Connection) -> list[object]:
    metadata = MetaData()
    work_tables(metadata)
    lease_table(metadata)
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    operations = Operations(context)
    work.create_v1(operations)
    work.add_v2(operations)
    work.add_v3(operations)
    leases.create_v1(operations)
    return list(compare_metadata(context, metadata))


async def test_the_steps_make_exactly_the_tables(database: Database) -> None:
    async with database.writing() as connection:
        assert await connection.run_sync(differences) == []
