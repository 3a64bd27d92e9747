"""A work store on each database, with a clock that the test moves."""

import pytest
from sqlalchemy import MetaData

from libs.sql.engine import Database
from libs.work.store import SqlWorkStore
from libs.work.tables import WorkTables, work_tables
from tests.support.database_clock import DatabaseClock
from tests.support.jobs import Jobs


@pytest.fixture
def clock() -> DatabaseClock:
    return DatabaseClock()


@pytest.fixture
def tables() -> WorkTables:
    return work_tables(MetaData())


@pytest.fixture
async def work_database(database: Database, tables: WorkTables) -> Database:
    async with database.writing() as connection:
        await connection.run_sync(tables.work.metadata.create_all)
    return database


@pytest.fixture
def store(work_database: Database, tables: WorkTables, clock: DatabaseClock) -> SqlWorkStore:
    return SqlWorkStore(work_database, tables, now=clock.now)


@pytest.fixture
def jobs(work_database: Database, tables: WorkTables, store: SqlWorkStore) -> Jobs:
    return Jobs(work_database, tables, store)
