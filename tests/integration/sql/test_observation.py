"""What a database tells of its transactions, and that it changes nothing about them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from libs.sql.engine import Database, open_database
from libs.sql.errors import DatabaseUnavailable
from libs.telemetry import Telemetry
from libs.telemetry.correlation import new_trace
from libs.telemetry.tracing import entered
from tests.support.spans import RecordingTracer

SECRET = "5ecr3t"


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry("config", tracer=RecordingTracer())


@pytest.fixture
async def observed(tmp_path: Path, telemetry: Telemetry) -> AsyncIterator[Database]:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'a.db'}", schema="a") as database:
        database.observe(telemetry)
        yield database


def count(telemetry: Telemetry, name: str, **labels: str) -> float:
    return telemetry.metrics.registry.get_sample_value(f"lockgroove_{name}", labels) or 0.0


async def test_transactions_waits_and_statements_are_counted(observed: Database, telemetry: Telemetry) -> None:
    async with observed.writing() as connection:
        await connection.execute(text("CREATE TABLE t (x TEXT)"))
        await connection.execute(text("INSERT INTO t VALUES (:x)"), {"x": SECRET})
    async with observed.reading() as connection:
        await connection.execute(text("SELECT x FROM t"))

    for mode in ("read", "write"):
        assert count(telemetry, "sql_transaction_duration_seconds_count", mode=mode) == 1
        assert count(telemetry, "sql_wait_seconds_count", mode=mode) == 1
    verbs = {"select": 1, "insert": 1, "begin": 2, "other": 1}
    assert {verb: count(telemetry, "sql_statement_duration_seconds_count", verb=verb) for verb in verbs} == verbs


async def test_a_span_tells_how_many_statements_and_none_of_their_text(
    observed: Database, telemetry: Telemetry
) -> None:
    with entered(new_trace()):
        async with observed.reading() as connection:
            await connection.execute(text("SELECT :x"), {"x": SECRET})

    assert isinstance(telemetry.tracer, RecordingTracer)
    told = telemetry.tracer.told
    assert {"sql read", "db.statements=2"} <= set(told)  # with BEGIN
    assert not [text for text in told if SECRET in text or "SELECT" in text]


async def test_without_a_request_there_is_no_span(observed: Database, telemetry: Telemetry) -> None:
    await observed.ping()

    assert isinstance(telemetry.tracer, RecordingTracer)
    assert telemetry.tracer.told == []


async def test_a_request_that_nobody_records_costs_no_span(observed: Database, telemetry: Telemetry) -> None:
    with entered(replace(new_trace(), sampled=False)):
        await observed.ping()

    assert isinstance(telemetry.tracer, RecordingTracer)
    assert telemetry.tracer.told == []


async def test_what_ends_because_of_the_database_is_counted_with_the_reason(
    observed: Database, telemetry: Telemetry
) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with observed.reading():
            raise ConnectionResetError

    assert count(telemetry, "sql_failures_total", reason="database_unavailable") == 1


SLOW = {
    "sqlite": "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(30)",
}


@pytest.mark.parametrize("mode", ["reading", "writing"])
async def test_a_transaction_that_is_cancelled_in_a_statement_ends_as_cancelled(
    database: Database, telemetry: Telemetry, mode: str
) -> None:
    database.observe(telemetry)
    begun = asyncio.Event()

    async def work() -> None:
        async with getattr(database, mode)() as connection:
            asyncio.get_running_loop().call_soon(begun.set)  # while the statement runs
            await connection.execute(text(SLOW[database.dialect]))

    await cancelled_once(begun, work())
    await database.ping()


async def test_a_transaction_whose_connection_breaks_off_while_it_is_cancelled_ends_as_cancelled(
    database: Database, telemetry: Telemetry
) -> None:
    database.observe(telemetry)
    begun = asyncio.Event()

    async def work() -> None:
        async with database.writing() as connection:
            await connection.invalidate()
            begun.set()
            await asyncio.Event().wait()

    await cancelled_once(begun, work())


async def cancelled_once(begun: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Cancels work once it has begun; it ends as cancelled."""
    task = asyncio.create_task(work)
    await begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
