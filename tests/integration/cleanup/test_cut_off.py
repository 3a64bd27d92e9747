"""A clean-up that is cut off: by a kill, by another process that holds the file, by a disk that is full."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text, update

from libs.cleanup.metrics import CleanupMetrics
from libs.cleanup.report import Report
from libs.cleanup.run import Run
from libs.cleanup.schedule import USUAL
from libs.cleanup.worker import NAME, Daily, Schedule
from libs.clock import SystemClock
from libs.leases.hold import hold
from libs.leases.lease import Lease
from libs.leases.store import SqlLeaseStore
from libs.sql.engine import Database, open_database
from libs.sql.url import database_url
from libs.sql.watermarks import SqlWatermarks
from libs.telemetry.metrics import Metrics
from services.config.tables import automation_action as action
from services.config.tables import lease, watermark
from services.config.upkeep.removal import removers
from tests.support.full_disk import files_limited_to
from tests.support.new_home import make_schema
from tests.support.replicas import running_service
from tests.support.suite import suite_environment
from tests.support.waiting import eventually

OLD, NEW = 2000, 300


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """Actions of automations that have to go, and as many days before others that have to stay."""
    await make_schema("config", home=tmp_path)
    url = database_url(home=tmp_path, service="config", configured=None)
    async with open_database(url, schema="lockgroove_config", wait=0.1) as database:
        now = datetime.now(UTC)
        async with database.writing() as connection:
            old = [_action(f"old {number}", now - timedelta(days=91)) for number in range(OLD)]
            new = [_action(f"new {number}", now - timedelta(days=89)) for number in range(NEW)]
            await connection.execute(insert(action), [*old, *new])
        yield database


async def test_a_kill_in_the_middle_costs_nothing_and_the_next_start_goes_on(
    database: Database, tmp_path: Path
) -> None:
    environment = suite_environment(tmp_path, {})
    async with running_service("config", environment) as service:
        await eventually(lambda: _fewer(database), every=0.01)
        service.kill()
        await service.wait()
    assert NEW < sum(await _kept(database)) < OLD + NEW
    assert await _intact(database)
    assert await SqlWatermarks(database, watermark).find(NAME) is None
    await _half_a_minute(database)

    async with running_service("config", environment):
        report = await eventually(lambda: SqlWatermarks(database, watermark).find(NAME))

    assert await _kept(database) == (0, NEW)
    assert 0 < Report.from_json(report).removed["automation_actions"] < OLD
    assert await _intact(database)


async def test_a_run_that_another_writer_keeps_out_is_made_when_he_has_left(database: Database) -> None:
    daily = _daily(database)
    async with open_database(database.url, schema="", wait=5) as other:
        running = asyncio.create_task(daily.run_once())
        await eventually(lambda: _fewer(database), every=0.01)
        async with other.writing():
            assert not await running

    assert await _is_made_later(database, daily)


async def test_a_run_that_meets_a_full_disk_is_made_when_there_is_room(database: Database) -> None:
    daily = _daily(database)
    running = asyncio.create_task(daily.run_once())
    await eventually(lambda: _fewer(database), every=0.01)
    with files_limited_to(8192):
        assert not await running

    assert await _is_made_later(database, daily)


async def _is_made_later(database: Database, daily: Daily) -> bool:
    """Whether some was left and no report, and the next run removes the rest and nothing else."""
    assert 0 < (await _kept(database))[0] < OLD
    assert await daily.last() is None
    await _half_a_minute(database)

    assert await daily.run_once()

    return await _kept(database) == (0, NEW) and await _intact(database)


async def _half_a_minute(database: Database) -> None:
    """The lease of whoever could not give it back has run out."""
    async with database.writing() as connection:
        await connection.execute(update(lease).values(expires=datetime.now(UTC)))


async def _fewer(database: Database) -> bool:
    return (await _kept(database))[0] < OLD


async def _kept(database: Database) -> tuple[int, int]:
    """How many are left of those that have to go, and of those that have to stay."""
    async with database.reading() as connection:
        counts = [
            await connection.scalar(select(func.count()).where(action.c.target.like(f"{which} %")))
            for which in ("old", "new")
        ]
    return counts[0] or 0, counts[1] or 0


async def _intact(database: Database) -> bool:
    async with database.reading() as connection:
        return (await connection.scalars(text("PRAGMA integrity_check"))).all() == ["ok"]


def _daily(database: Database) -> Daily:
    kinds: Any = [each for each in removers(database, None, changed=lambda: None) if each.kind == "automation_actions"]  # type: ignore[arg-type] # keys are left alone
    counts = CleanupMetrics(Metrics(), [each.kind for each in kinds])
    run = Run(kinds, counts=counts, clock=SystemClock())

    def alone() -> AbstractAsyncContextManager[Lease]:
        return hold(SqlLeaseStore(database, lease), NAME, ttl=timedelta(seconds=30), clock=SystemClock())

    when = Schedule(at=lambda: USUAL, zone=UTC)
    return Daily(run, SqlWatermarks(database, watermark), alone, when, holder="us", metrics=counts)


def _action(name: str, acted_at: datetime) -> dict[str, Any]:
    texts = dict.fromkeys(("automation", "user_name", "description", "status"), "some")
    return {"id": name, "target": name, "idempotency_key": name, "acted_at": acted_at, **texts}
