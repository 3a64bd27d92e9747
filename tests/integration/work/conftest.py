"""A work store on each database, by the database's own clock, and workers with short leases."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import MetaData

from libs.clock import SystemClock
from libs.sql.engine import Database
from libs.work.context import Context
from libs.work.endings import Endings, Step
from libs.work.job import Claim, Done
from libs.work.store import SqlWorkStore
from libs.work.tables import WorkTables, work_tables
from libs.work.worker import Worker
from tests.support.jobs import Jobs

MakeWorker = Callable[..., Worker]


@pytest.fixture
def tables() -> WorkTables:
    return work_tables(MetaData())


@pytest.fixture
async def work_database(database: Database, tables: WorkTables) -> Database:
    async with database.writing() as connection:
        await connection.run_sync(tables.work.metadata.create_all)
    return database


@pytest.fixture
def store(work_database: Database, tables: WorkTables) -> SqlWorkStore:
    return SqlWorkStore(work_database, tables)


@pytest.fixture
def jobs(work_database: Database, tables: WorkTables, store: SqlWorkStore) -> Jobs:
    return Jobs(work_database, tables, store)


async def cancelled(claim: Claim, context: Context) -> Done:
    return Done(state="CANCELLED")


async def crash_loop(claim: Claim, context: Context) -> Done:
    return Done(state="FAILED", error="crash loop")


@pytest.fixture
def make_worker(store: SqlWorkStore) -> MakeWorker:
    def make(step: Step, **changes: Any) -> Worker:
        arguments: dict[str, Any] = {
            "queue": "albums",
            "endings": Endings(cancelled=cancelled, crash_loop=crash_loop),
            "clock": SystemClock(),
            "poll": timedelta(milliseconds=50),
            "grace": timedelta(seconds=5),
        }
        return Worker(changes.pop("store", store), {"soulseek": step}, **(arguments | changes))

    return make
