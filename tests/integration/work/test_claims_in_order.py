"""Claims of one order key that meet on PostgreSQL, where each sees only what was committed before it began."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import text

from libs.sql.engine import Database, open_database
from libs.sql.types import now_ms
from libs.work import statements
from libs.work.job import Next
from libs.work.store import SqlWorkStore
from libs.work.tables import WorkTables
from tests.conformance.work.ends import HOURS, end
from tests.support.jobs import TTL, Jobs
from tests.support.waiting import eventually

CLAIM = {"p_queue": "albums", "p_owner": "one", "p_ttl": 30_000, "p_limit": 5}
WAITING = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")


@pytest.fixture
async def database(postgres_url: str, tables: WorkTables) -> AsyncIterator[Database]:
    async with open_database(postgres_url.replace("postgresql", "postgresql+asyncpg"), schema="test") as database:
        async with database.writing() as connection:
            await connection.run_sync(tables.work.metadata.create_all)
        yield database


async def test_a_claim_waits_for_one_that_is_not_committed_and_leaves_its_key_alone(
    database: Database, tables: WorkTables
) -> None:
    store = SqlWorkStore(database, tables, parked=["UNMATCHED"])
    jobs = Jobs(database, tables, store)
    await jobs.create("a1", order_key="a")
    await jobs.create("a2", order_key="a")
    await end(store, await jobs.claimed(), Next(state="UNMATCHED", delay=HOURS))

    async with AsyncExitStack() as first:
        connection = await first.enter_async_context(database.writing())
        await connection.execute(statements.ORDER_LOCK)
        taken = (await connection.execute(statements.claim(tables, now_ms(), ["UNMATCHED"]), CLAIM)).all()
        await jobs.signal("event-1", "a1")  # the parked one is due now
        second = asyncio.create_task(store.claim("albums", "two", 5, TTL))
        await eventually(lambda: _met(database, second))

    assert [row.id for row in taken] == ["a2"]
    assert await second == []


async def _met(database: Database, claim: "asyncio.Task[object]") -> bool:
    async with database.reading() as connection:
        return claim.done() or bool(await connection.scalar(WAITING))
