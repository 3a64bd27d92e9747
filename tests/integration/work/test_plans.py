"""What the planners make of the engine's statements, with many waiting rows (numbers: the pitfalls)."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import Update, text

from libs.sql.engine import Database, open_database
from libs.sql.types import now_ms
from libs.work import statements
from libs.work.job import NewJob
from libs.work.store import SqlWorkStore
from libs.work.tables import WorkTables
from tests.support.jobs import TTL
from tests.support.postgres import Postgres

MANY = 10_000


_FILL = text(
    "INSERT INTO work (id, queue, kind, state, done, version, data, data_schema, due, fence, attempt, crashes, error,"
    " cancel_requested, signal_seq, request_id, traceparent, created, updated)"
    " WITH RECURSIVE counted(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM counted WHERE number < :many)"
    " SELECT 'job-' || number, 'albums', 'soulseek', 'WAITING', number % 2 = 0, 1, '{}', 1, :later, 1, 0, 0, '',"
    " false, 0, '', '', :later, :later FROM counted"
)


@pytest.fixture
async def full_database(work_database: Database) -> Database:
    """Many jobs wait for later, and as many have ended."""
    later = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000)
    async with work_database.writing() as connection:
        await connection.execute(_FILL, {"many": 2 * MANY, "later": later})
        await connection.execute(text("ANALYZE"))
    return work_database


async def plan(database: Database, statement: Update, parameters: dict[str, object]) -> str:
    explain = "EXPLAIN QUERY PLAN" if database.dialect == "sqlite" else "EXPLAIN"
    async with database.writing() as connection:
        compiled = statement.compile(dialect=connection.dialect)
        values = compiled.construct_params(parameters)
        ordered = tuple(values[name] for name in compiled.positiontup or ())
        rows = await connection.exec_driver_sql(f"{explain} {compiled}", ordered)
        return "\n".join(str(tuple(row)) for row in rows)


async def test_a_claim_reads_in_order_what_is_due_of_each_priority(
    full_database: Database, tables: WorkTables
) -> None:  # 6, 7
    parameters: dict[str, object] = {"p_queue": "albums", "p_owner": "me", "p_ttl": 1000, "p_limit": 5}

    shown = await plan(full_database, statements.claim(tables, now_ms()), parameters)

    ordered = {"sqlite": "queue=? AND priority=? AND due<?", "postgresql": "(priority = ANY ("}
    assert "work_claim" in shown
    assert ordered[full_database.dialect] in shown
    assert not any(word in shown for word in ("Sort", "B-TREE", "Seq Scan on work ", "SCAN w"))


async def test_what_is_to_be_cancelled_is_found_by_an_index_of_its_own(
    full_database: Database, tables: WorkTables
) -> None:
    parameters: dict[str, object] = {"p_queue": "albums", "p_owner": "me", "p_ttl": 1000, "p_limit": 5}

    shown = await plan(full_database, statements.claim(tables, now_ms(), ending=True), parameters)

    assert "work_cancel" in shown


async def test_a_claim_in_order_looks_for_what_is_in_the_way_by_index(
    full_database: Database, tables: WorkTables
) -> None:
    parameters: dict[str, object] = {"p_queue": "albums", "p_owner": "me", "p_ttl": 1000, "p_limit": 5}

    shown = await plan(full_database, statements.claim(tables, now_ms(), ["UNMATCHED"]), parameters)

    assert "work_claim" in shown
    assert "work_order" in shown
    assert "Seq Scan on work " not in shown


async def test_a_heartbeat_finds_its_rows_by_index(full_database: Database, tables: WorkTables) -> None:
    parameters: dict[str, object] = {"p_owner": "me", "p_ttl": 1000}

    shown = await plan(full_database, statements.heartbeat(tables, now_ms()), parameters)

    assert "work_lease" in shown


async def test_a_claim_takes_its_limit_whatever_the_planner_prefers(
    postgres: Postgres, postgres_url: str, tables: WorkTables
) -> None:  # 5
    async with open_database(postgres_url.replace("postgresql", "postgresql+asyncpg"), schema="test") as database:
        store = SqlWorkStore(database, tables)
        async with database.writing() as connection:
            await connection.run_sync(tables.work.metadata.create_all)
            jobs = [NewJob(id=f"job-{i:02}", queue="albums", kind="x", state="QUEUED") for i in range(50)]
            await store.create_many(connection, jobs)
            for setting in ("hashjoin", "mergejoin", "hashagg", "sort", "material"):
                await connection.execute(text(f"ALTER ROLE postgres SET enable_{setting} = off"))
    try:
        async with open_database(postgres_url.replace("postgresql", "postgresql+asyncpg"), schema="test") as database:
            store = SqlWorkStore(database, tables)
            taken = await asyncio.gather(*[store.claim("albums", f"owner-{i}", 5, TTL) for i in range(4)])
    finally:
        postgres.execute("ALTER ROLE postgres RESET ALL")

    assert [len(claims) for claims in taken] == [5, 5, 5, 5]


async def test_heartbeats_stay_in_their_page(postgres_url: str, tables: WorkTables) -> None:  # 11
    async with open_database(postgres_url.replace("postgresql", "postgresql+asyncpg"), schema="test") as database:
        store = SqlWorkStore(database, tables)
        async with database.writing() as connection:
            await connection.run_sync(tables.work.metadata.create_all)
            jobs = [NewJob(id=f"job-{i:03}", queue="albums", kind="x", state="QUEUED") for i in range(100)]
            await store.create_many(connection, jobs)
        await store.claim("albums", "me", 100, TTL)
        async with database.writing() as connection:
            await connection.execute(text("SELECT pg_stat_force_next_flush()"))
            await connection.execute(text("SELECT pg_stat_reset()"))
        for _ in range(10):
            await store.heartbeat("me", TTL)
        async with database.writing(reserved=True) as connection:
            await connection.execute(text("SELECT pg_stat_force_next_flush()"))
        async with database.reading() as connection:
            counted = text("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'work'")
            updates, in_page = (await connection.execute(counted)).one()

    assert updates >= 900
    assert in_page >= 0.8 * updates
