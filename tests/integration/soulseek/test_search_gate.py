import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from libs.clock import ManualClock, SystemClock
from libs.sql.engine import Database
from services.acquisition.soulseek.errors import SearchLimitReached
from services.acquisition.soulseek.search_gate import GAP, LIMIT, WINDOW, SearchGate, SearchLog
from services.acquisition.soulseek.search_log import MemorySearchLog, SqlSearchLog
from services.acquisition.tables import soulseek_search

START = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
async def sql_log(database: Database) -> SqlSearchLog:
    async with database.writing() as connection:
        await connection.run_sync(soulseek_search.create)
    return SqlSearchLog(database, soulseek_search)


@pytest.fixture
def memory_log() -> MemorySearchLog:
    return MemorySearchLog()


@pytest.fixture
def logs(memory_log: MemorySearchLog, sql_log: SqlSearchLog) -> list[SearchLog]:
    """The twin in memory counts only as long as it behaves like the real thing."""
    return [memory_log, sql_log]


async def pass_through(gate: SearchGate) -> None:
    async with gate.turn():
        pass


async def test_a_log_tells_what_was_sent_from_a_moment_on(logs: list[SearchLog]) -> None:
    for log in logs:
        for seconds in (2, 1, 3):
            await log.add(START + seconds * SECOND, forget_before=START)

        assert list(await log.since(START + 2 * SECOND)) == [START + 2 * SECOND, START + 3 * SECOND]


async def test_a_log_forgets_what_is_too_old(logs: list[SearchLog]) -> None:
    for log in logs:
        await log.add(START, forget_before=START)
        await log.add(START + SECOND, forget_before=START + SECOND)

        assert list(await log.since(START)) == [START + SECOND]


async def test_no_more_searches_than_the_server_bears_in_a_window(memory_log: MemorySearchLog) -> None:
    clock = ManualClock(START)
    gate = SearchGate(memory_log, clock=clock)
    for _ in range(LIMIT):
        await pass_through(gate)
        clock.advance(GAP)

    with pytest.raises(SearchLimitReached):
        await pass_through(gate)


async def test_a_search_leaves_the_window_after_its_time(memory_log: MemorySearchLog) -> None:
    clock = ManualClock(START)
    gate = SearchGate(memory_log, clock=clock)
    for _ in range(LIMIT):
        await pass_through(gate)
        clock.advance(GAP)

    clock.advance(WINDOW - GAP * LIMIT)
    await pass_through(gate)


async def test_a_restart_does_not_refill_the_budget(memory_log: MemorySearchLog) -> None:
    clock = ManualClock(START)
    for _ in range(LIMIT):
        await pass_through(SearchGate(memory_log, clock=clock))
        clock.advance(GAP)

    with pytest.raises(SearchLimitReached):
        await pass_through(SearchGate(memory_log, clock=clock))


async def test_a_refusal_tells_how_long_to_wait(memory_log: MemorySearchLog) -> None:
    clock = ManualClock(START)
    gate = SearchGate(memory_log, clock=clock, limit=1)
    await pass_through(gate)
    clock.advance(100 * SECOND)

    with pytest.raises(SearchLimitReached) as caught:
        await pass_through(gate)
    assert caught.value.wait_seconds == 120


async def test_searches_keep_their_distance(memory_log: MemorySearchLog) -> None:
    gate = SearchGate(memory_log, clock=SystemClock(), gap=timedelta(milliseconds=50))

    await asyncio.gather(*(pass_through(gate) for _ in range(4)))

    sent = list(await memory_log.since(START))
    assert all(later - earlier >= timedelta(milliseconds=50) for earlier, later in pairwise(sent))


async def test_a_clock_that_was_set_back_does_not_block_searches(memory_log: MemorySearchLog) -> None:
    await memory_log.add(START + timedelta(days=1), forget_before=START)

    await pass_through(SearchGate(memory_log, clock=ManualClock(START), limit=1))
