"""How many jobs a second the work engine brings to their ends, beside one claim and one commit per job."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from sqlalchemy import MetaData

from libs import ids
from libs.clock import SystemClock
from libs.sql.engine import Database, open_database
from libs.work.context import Context
from libs.work.endings import Endings
from libs.work.job import Claim, Done, NewJob
from libs.work.store import SqlWorkStore
from libs.work.tables import WorkTables, work_tables
from libs.work.worker import Worker
from tests.support.postgres import run_postgres

_JOBS = 1_280
_ROUNDS = 3
_AT_ONCE = 64
_MANY = 8
_TTL = timedelta(seconds=30)

Run = Callable[[SqlWorkStore], Awaitable[None]]


async def measure() -> str:
    """The table: both databases, medians of rounds in which the rows take turns."""
    rows = ["| jobs of one step | SQLite: jobs/s | the engine is | PostgreSQL: jobs/s | the engine is |"]
    rows.append("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as home, run_postgres(durable=True) as server:
        urls = (f"sqlite+aiosqlite:///{Path(home)}/bench.db", server.url().replace("postgresql", "postgresql+asyncpg"))
        rates = [await _rates(url) for url in urls]
    for name in RUNS:
        cells = [f"{rate[name]:.0f} | {next(iter(rate.values())) / rate[name]:.1f} x" for rate in rates]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


async def _rates(url: str) -> dict[str, float]:
    tables = work_tables(MetaData())
    async with open_database(url, schema="bench") as database:
        async with database.writing() as connection:
            await connection.run_sync(tables.work.metadata.create_all)
        store = SqlWorkStore(database, tables)
        rounds: dict[str, list[float]] = {name: [] for name in RUNS}
        for _ in range(_ROUNDS):
            for name, run in RUNS.items():
                await _add(database, store)
                begun = time.monotonic()
                await run(store)
                rounds[name].append(_JOBS / (time.monotonic() - begun))
                assert not await store.depth("bench")
                await _clear(database, tables)
    return {name: statistics.median(rates) for name, rates in rounds.items()}


async def _add(database: Database, store: SqlWorkStore) -> None:
    jobs = [NewJob(id=ids.new("job"), queue="bench", kind="bench", state="QUEUED") for _ in range(_JOBS)]
    async with database.writing() as connection:
        await store.create_many(connection, jobs)


async def _clear(database: Database, tables: WorkTables) -> None:
    async with database.writing() as connection:
        for table in (tables.work, tables.event):
            await connection.execute(table.delete())


async def _step(claim: Claim, context: Context) -> Done:
    return Done(state="DONE")


async def _engine(store: SqlWorkStore) -> None:
    """The engine's own worker, as services run it."""
    ended = asyncio.Event()
    left = _JOBS

    async def step(claim: Claim, context: Context) -> Done:
        nonlocal left
        left -= 1
        if not left:
            ended.set()
        return await _step(claim, context)

    endings = Endings(cancelled=_step, crash_loop=_step)
    worker = Worker(
        store, {"bench": step}, queue="bench", endings=endings, clock=SystemClock(), concurrency=_AT_ONCE, ttl=_TTL
    )
    running = asyncio.create_task(worker.run())
    await ended.wait()
    worker.stop()
    await running  # until the last ends are stored


async def _one_by_one(store: SqlWorkStore) -> None:
    """The same statements for one job at a time: a transaction that claims it, and one that ends it."""
    while claims := await store.claim("bench", ids.new("owner"), 1, _TTL):
        async with store.commit(claims[0], Done(state="DONE")):
            pass


async def _many_one_by_one(store: SqlWorkStore) -> None:
    """Several such loops beside each other: on PostgreSQL they share the waits for the disk."""
    await asyncio.gather(*[_one_by_one(store) for _ in range(_MANY)])


RUNS: dict[str, Run] = {
    f"the engine, {_AT_ONCE} steps at once": _engine,
    "one claim and one commit per job": _one_by_one,
    f"the same, {_MANY} loops at once": _many_one_by_one,
}
