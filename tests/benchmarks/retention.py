"""How long senders wait for their commits while retention removes 50,000 old events, and while it does not."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from libs import ids
from libs.cleanup.metrics import CleanupMetrics
from libs.cleanup.remover import Remover
from libs.cleanup.run import Run
from libs.clock import SystemClock
from libs.sql.engine import Database, open_database
from libs.sql.migrations import migrate
from libs.sql.paging import PageTokens
from libs.telemetry.metrics import Metrics
from libs.work.outbox import SqlOutbox
from services.webhooks import migrations
from services.webhooks.admission import Admission, open_admission
from services.webhooks.domain.event import NewEvent
from services.webhooks.events.store import SqlEventStore
from services.webhooks.tables import work
from services.webhooks.upkeep import removal
from services.webhooks.upkeep.audit import OldRecords
from services.webhooks.upkeep.notes import Notes
from services.webhooks.upkeep.partitions import SqlPartitions, name_of
from tests.support.postgres import run_postgres

OLD_EVENTS = 50_000
SENDERS = 16
SECONDS = 8.0
BATCH = 500
KEY = b"benchmark"
DAYS = 30
_BODY = b'{"eventType": "Grab"}'.ljust(1024)
_DAY = timedelta(days=1)


async def measure() -> str:
    """The table, for both databases."""
    lines = ["| database | retention | p50 ms | p99 ms | ratio of p99 |", "| --- | --- | --- | --- | --- |"]
    with tempfile.TemporaryDirectory() as home, run_postgres(durable=True) as server:
        urls = {"SQLite": f"sqlite+aiosqlite:///{Path(home)}/bench.db", "PostgreSQL": server.url()}
        for name, url in urls.items():
            lines += await _lines(name, url.replace("postgresql://", "postgresql+asyncpg://"))
    return "\n".join(lines) + "\n"


async def _lines(name: str, url: str) -> list[str]:
    async with open_database(url, schema="bench") as database:
        await migrate(database, package=migrations.__name__, head=migrations.HEAD)
        outbox = SqlOutbox(database, work, chain_key=KEY)
        store = SqlEventStore(database, PageTokens(KEY), outbox=outbox)
        partitions = SqlPartitions(database, Notes(outbox))
        await _fill(database, store)
        retention = Run(_removers(database, partitions), counts=CleanupMetrics(Metrics(), []), clock=SystemClock())
        async with open_admission(store, committed=lambda _size: None) as admission:
            alone = await _latencies(admission, asyncio.create_task(asyncio.sleep(SECONDS)))
            start = time.perf_counter()
            beside = await _latencies(admission, asyncio.create_task(_retain(retention)))
            seconds = time.perf_counter() - start
    ratio = _p(beside, 0.99) / _p(alone, 0.99)
    return [
        f"| {name} | does not run | {_p(alone, 0.5):.1f} | {_p(alone, 0.99):.1f} | 1.0 |",
        f"| {name} | removes {OLD_EVENTS} in {seconds:.0f} s | {_p(beside, 0.5):.1f} | {_p(beside, 0.99):.1f}"
        f" | {ratio:.2f} |",
    ]


async def _retain(retention: Run) -> None:
    removals = await retention.make(datetime.now(UTC))
    assert removals[0].count == OLD_EVENTS, removals


def _removers(database: Database, partitions: SqlPartitions) -> list[Remover]:
    return [
        removal.EndedEvents(database, lambda: DAYS),
        OldRecords(database, KEY, lambda: DAYS),
        removal.OldDays(partitions, lambda: DAYS),
    ]


async def _latencies(admission: Admission, until: asyncio.Task[None]) -> list[float]:
    """Milliseconds from the arrival to the commit of each event that 16 senders deliver one after the other."""
    taken = list[float]()

    async def send() -> None:
        while not until.done():
            start = time.perf_counter()
            await admission.submit(_event())
            taken.append((time.perf_counter() - start) * 1000)

    await asyncio.gather(until, *(send() for _ in range(SENDERS)))
    return taken


async def _fill(database: Database, store: SqlEventStore) -> None:
    """Old events of one day, that are done."""
    for _ in range(OLD_EVENTS // BATCH):
        await store.add([_event() for _ in range(BATCH)])
    old = int((datetime.now(UTC) - 40 * _DAY).timestamp() * 1000)
    async with _writing(database) as run:
        if database.dialect == "postgresql":
            day = old // 86_400_000
            bounds = f"FOR VALUES FROM ({day}) TO ({day + 1})"
            await run(f"CREATE TABLE {name_of(day)} PARTITION OF event_body {bounds}")
        await run(f"UPDATE event SET received_at = {old}, stored_on = {old // 86_400_000}")
        await run(f"UPDATE event_body SET stored_on = {old // 86_400_000}")
        await run(f"UPDATE work SET done = true, state = 'DONE', updated = {old}")
        await run(f"UPDATE work_event SET at = {old}")


@asynccontextmanager
async def _writing(database: Database) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    async with database.writing() as connection:

        async def run(statement: str) -> None:
            await connection.execute(text(statement))

        yield run


def _event() -> NewEvent:
    event_id = ids.new("evt")
    return NewEvent(
        id=event_id,
        source="lidarr",
        type="Grab",
        key=event_id,
        headers={"content-type": "application/json"},
        body=_BODY,
        received_at=datetime.now(UTC),
    )


def _p(values: list[float], part: float) -> float:
    return sorted(values)[int(part * (len(values) - 1))]


if __name__ == "__main__":
    print(asyncio.run(measure()))  # noqa: T201 - what it is for
