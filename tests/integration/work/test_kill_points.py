"""A worker is killed or frozen around its commits: the job ends exactly once, and only the open step repeats."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest
from sqlalchemy import MetaData

from libs.sql.engine import Database, open_database
from libs.work.store import SqlWorkStore
from libs.work.tables import work_tables
from tests.integration.work.album_job import work_until_done
from tests.integration.work.running import until

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("kill_at", "steps"),
    [
        ("before:1", ["QUEUED", "QUEUED", "DOWNLOADING"]),
        ("after:1", ["QUEUED", "DOWNLOADING"]),
        ("before:2", ["QUEUED", "DOWNLOADING", "DOWNLOADING"]),
        ("after:2", ["QUEUED", "DOWNLOADING"]),
    ],
)
async def test_a_killed_worker_loses_nothing_and_repeats_only_the_open_step(
    database_url: str, tmp_path: Path, kill_at: str, steps: list[str]
) -> None:
    log = tmp_path / "steps"
    killed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.work.album_job", database_url, str(log)),
        cwd=ROOT,
        env={**os.environ, "SIGKILL_AT": kill_at},
    )
    assert await killed.wait() == -signal.SIGKILL  # else nothing was killed, and this would show nothing

    async with open_database(database_url, schema="test") as database:
        assert await work_until_done(database, log) == "COMPLETED"

    assert log.read_text().split() == steps


async def test_a_frozen_worker_that_wakes_up_after_its_job_was_taken_over_changes_nothing(
    database_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "steps"
    frozen = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.work.album_job", database_url, str(log)),
        cwd=ROOT,
        env={**os.environ, "SIGSTOP_AT": "before:1"},
    )
    try:
        await stopped(frozen.pid)
        async with open_database(database_url, schema="test") as database:
            assert await work_until_done(database, log) == "COMPLETED"
            before = await history(database)
            frozen.send_signal(signal.SIGCONT)
            assert await asyncio.wait_for(frozen.wait(), 30) == 0
            assert await history(database) == before
    finally:
        if frozen.returncode is None:
            frozen.kill()
            await frozen.wait()

    assert log.read_text().split() == ["QUEUED", "QUEUED", "DOWNLOADING"]


async def stopped(pid: int) -> None:
    async def is_stopped() -> bool:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED

    await until(is_stopped, seconds=30)


async def history(database: Database) -> list[tuple[int, str]]:
    """Every change that was ever made to the job."""
    events = await SqlWorkStore(database, work_tables(MetaData())).events_after(0, 100)
    return [(event.version, event.to_state) for event in events]
