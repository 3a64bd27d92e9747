import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from libs.clock import ManualClock, SystemClock
from libs.sql.engine import Database
from services.acquisition.soulseek.errors import SearchLimitReached
from services.acquisition.soulseek.search_gate import GAP, LIMIT, WINDOW, Budget, SearchGate, SearchLog
from services.acquisition.soulseek.search_log import MemorySearchLog, SqlSearchLog
from services.acquisition.tables import soulseek_search
from tests.support.database_clock import DatabaseClock

SECOND = timedelta(seconds=1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class BothClocks(ManualClock):
    """A process's clock and the database's, which move together."""

    def __init__(self) -> None:
        self.database = DatabaseClock()
        super().__init__(self.database.time)

    def advance(self, by: timedelta) -> None:
        super().advance(by)
        self.database.advance(by)


@pytest.fixture
def clock() -> BothClocks:
    return BothClocks()


@pytest.fixture(params=["memory", "sql"])
async def log(request: pytest.FixtureRequest, database: Database, clock: BothClocks) -> SearchLog:
    """The twin in memory counts only as long as it behaves like the real thing."""
    if request.param == "memory":
        return MemorySearchLog(clock)
    async with database.writing() as connection:
        await connection.run_sync(soulseek_search.create)
    return SqlSearchLog(database, soulseek_search, now=clock.database.now)


async def pass_through(gate: SearchGate) -> None:
    async with gate.turn():
        pass


async def test_no_more_searches_than_the_server_bears_in_a_window(log: SearchLog, clock: BothClocks) -> None:
    gate = SearchGate(log, clock=clock)
    for _ in range(LIMIT):
        await pass_through(gate)
        clock.advance(GAP)

    with pytest.raises(SearchLimitReached):
        await pass_through(gate)


async def test_a_search_leaves_the_window_after_its_time(log: SearchLog, clock: BothClocks) -> None:
    gate = SearchGate(log, clock=clock)
    for _ in range(LIMIT):
        await pass_through(gate)
        clock.advance(GAP)

    clock.advance(WINDOW - GAP * LIMIT)
    await pass_through(gate)


async def test_neither_a_restart_nor_another_replica_refills_the_budget(log: SearchLog, clock: BothClocks) -> None:
    for _ in range(LIMIT):
        await pass_through(SearchGate(log, clock=clock))
        clock.advance(GAP)

    with pytest.raises(SearchLimitReached):
        await pass_through(SearchGate(log, clock=clock))


async def test_a_refusal_tells_how_long_to_wait(log: SearchLog, clock: BothClocks) -> None:
    gate = SearchGate(log, clock=clock, limit=1)
    await pass_through(gate)
    clock.advance(100 * SECOND)

    with pytest.raises(SearchLimitReached) as caught:
        await pass_through(gate)
    assert caught.value.wait == 120 * SECOND


async def test_gates_that_ask_at_once_do_not_exceed_the_limit_together(log: SearchLog) -> None:
    budget = Budget(limit=5, gap=timedelta())

    waits = await asyncio.gather(*(log.admit(budget) for _ in range(20)))

    assert sum(wait == timedelta() for wait in waits) == 5


async def test_gates_that_ask_at_once_keep_their_distance(log: SearchLog) -> None:
    waits = await asyncio.gather(*(log.admit(Budget()) for _ in range(20)))

    assert sum(wait == timedelta() for wait in waits) == 1


async def test_what_is_left_is_told_and_not_taken(log: SearchLog, clock: BothClocks) -> None:
    gate = SearchGate(log, clock=clock, limit=2)
    await pass_through(gate)

    for _ in range(3):
        assert (await gate.room()).left == 1


async def test_a_wait_of_moments_is_waited_for() -> None:
    gate = SearchGate(MemorySearchLog(), clock=SystemClock(), gap=timedelta(milliseconds=20))

    await asyncio.gather(*(pass_through(gate) for _ in range(4)))

    assert (await gate.room()).left == LIMIT - 4


async def test_a_clock_that_is_set_back_neither_refills_the_budget_nor_blocks_it(
    log: SearchLog, clock: BothClocks
) -> None:
    gate = SearchGate(log, clock=clock, limit=1)
    await pass_through(gate)

    clock.advance(timedelta(days=-1))
    with pytest.raises(SearchLimitReached):
        await pass_through(gate)
    clock.advance(WINDOW)
    await pass_through(gate)


def test_searches_keep_their_distance() -> None:
    assert Budget().wait([NOW - GAP / 5], NOW) == GAP * 4 / 5
