"""A work store on each database, with a clock that the test moves."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import MetaData, text

from libs.sql.engine import Database, open_database
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
async def work_database(
    dialect: str, request: pytest.FixtureRequest, tmp_path: Path, tables: WorkTables
) -> AsyncIterator[Database]:
    """A database of each kind with the engine's tables, empty: on PostgreSQL all tests have the same in turn."""
    url = f"sqlite+aiosqlite:///{tmp_path}/test.db"
    if dialect == "postgresql":
        url = request.getfixturevalue("postgres").url().replace("postgresql://", "postgresql+asyncpg://")
    async with open_database(url, schema="work_of_tests") as database:
        async with database.writing() as connection:
            await connection.run_sync(tables.work.metadata.create_all)
            if dialect == "postgresql":
                names = ", ".join(table.name for table in tables.work.metadata.sorted_tables)
                await connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))
        yield database


@pytest.fixture
def store(work_database: Database, tables: WorkTables, clock: DatabaseClock) -> SqlWorkStore:
    return SqlWorkStore(work_database, tables, now=clock.now)


@pytest.fixture
def jobs(work_database: Database, tables: WorkTables, store: SqlWorkStore) -> Jobs:
    return Jobs(work_database, tables, store)
