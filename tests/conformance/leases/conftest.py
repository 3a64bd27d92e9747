"""A lease store on each database, with a clock that the test moves."""

import pytest
from sqlalchemy import MetaData, Table

from libs.leases.store import SqlLeaseStore
from libs.leases.tables import lease_table
from libs.sql.engine import Database
from tests.support.database_clock import DatabaseClock


@pytest.fixture
def clock() -> DatabaseClock:
    return DatabaseClock()


@pytest.fixture
def table() -> Table:
    return lease_table(MetaData())


@pytest.fixture
async def lease_database(database: Database, table: Table) -> Database:
    async with database.writing() as connection:
        await connection.run_sync(table.metadata.create_all)
    return database


@pytest.fixture
def store(lease_database: Database, table: Table, clock: DatabaseClock) -> SqlLeaseStore:
    return SqlLeaseStore(lease_database, table, now=clock.now)
