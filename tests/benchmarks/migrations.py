"""How long the webhook service's schema takes from its first revision to its last with 1,000,000 events in it."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy import text

from libs.schema.keeping import keeper
from libs.sql.engine import Database, open_database
from libs.sql.migrations import Keep, migrate, upgrade
from services.webhooks import migrations
from tests.support.postgres import run_postgres

EVENTS = 1_000_000
DAYS = 30
BODY = 1024  # bytes
REWRITES = "0002, which rewrites every body"

_NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {events})",
    "postgresql": "WITH numbers AS (SELECT n FROM generate_series(1, {events}) n)",
}
_BLOB = {"sqlite": "zeroblob({size})", "postgresql": "convert_to(repeat('x', {size}), 'UTF8')"}
_FIRST = 1_750_000_000_000
_AT = f"{_FIRST} + n % {DAYS} * CAST(86400000 AS BIGINT)"
_ROWS = (
    "INSERT INTO event (id, source, type, dedup_key, body_size, duplicates, received_at, updated_at) {numbers}"
    f" SELECT 'evt-' || n, 'lidarr', 'Grab', 'key-' || n, {BODY}, 0, {_AT}, {_AT} FROM numbers",
    "INSERT INTO event_body (event_id, headers, body) {numbers} SELECT 'evt-' || n, '{{}}', {blob} FROM numbers",
    "INSERT INTO work (id, queue, kind, state, done, version, data, data_schema, due, fence, attempt, crashes, error,"
    " cancel_requested, signal_seq, request_id, traceparent, created, updated) {numbers}"
    " SELECT 'evt-' || n, 'webhooks', 'event', 'DONE', true, 2, '{{\"acquisitions\": []}}', 1, 0, 1, 0, 0, '', false,"
    f" 0, '', '', {_AT}, {_AT} FROM numbers",
)


async def measure() -> str:
    """The table, for both databases."""
    lines = [
        f"| database with {EVENTS:,} events of {BODY} bytes | {REWRITES}, s | all later ones, s | the copy before, s |",
        "| --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as home, run_postgres(durable=True) as server:
        urls = {"SQLite": f"sqlite+aiosqlite:///{Path(home)}/bench.db", "PostgreSQL": server.url()}
        for name, url in urls.items():
            took = await _seconds(url.replace("postgresql://", "postgresql+asyncpg://"), Path(home))
            lines.append(f"| {name} | {' | '.join(f'{seconds:.1f}' for seconds in took)} |")
    return "\n".join(lines) + "\n"


async def _seconds(url: str, home: Path) -> tuple[float, float, float]:
    """Of the revision that rewrites bodies, of all later ones, and of the copy before them."""
    async with open_database(url, schema="bench") as database:
        await migrate(database, package=migrations.__name__, head="0001")
        await _fill(database)
        keep = keeper(database, schema="bench", service="webhooks", home=home, environment={})
        assert keep is not None
        kept = list[float]()
        done = await upgrade(database, package=migrations.__name__, head=migrations.HEAD, keep=_timed(keep, kept))
    rewriting, *later = [step.took.total_seconds() for step in done.steps]
    return rewriting, sum(later), sum(kept)


def _timed(keep: Keep, kept: list[float]) -> Callable[[str, str], Awaitable[None]]:
    async def timed(before: str, after: str) -> None:
        start = time.perf_counter()
        await keep(before, after)
        kept.append(time.perf_counter() - start)

    return timed


async def _fill(database: Database) -> None:
    numbers = _NUMBERS[database.dialect].format(events=EVENTS)
    blob = _BLOB[database.dialect].format(size=BODY)
    async with database.writing() as connection:
        for statement in _ROWS:
            await connection.execute(text(statement.format(numbers=numbers, blob=blob)))


if __name__ == "__main__":
    print(asyncio.run(measure()))  # noqa: T201 - what it is for
