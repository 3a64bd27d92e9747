"""A worker is killed before or after each commit: the job ends exactly once, and only the open step repeats."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from libs.sql.engine import open_database
from tests.integration.work.album_job import work_until_done

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
        env={**os.environ, "KILL_AT": kill_at},
    )
    assert await killed.wait() == -signal.SIGKILL  # else nothing was killed, and this would show nothing

    async with open_database(database_url, schema="test") as database:
        assert await work_until_done(database, log) == "COMPLETED"

    assert log.read_text().split() == steps
