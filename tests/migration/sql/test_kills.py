"""Whoever is killed while it migrates leaves the old schema or the new one, and the next start goes on from there."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from libs.schema.upgrade import open_service_database, schema_of
from libs.sql.engine import Database, open_database
from libs.sql.migrations import migrate, revision
from libs.sql.url import database_url

PACKAGE = "tests.migration.sql.stopping"


@pytest.fixture
def configured(dialect: str, request: pytest.FixtureRequest) -> str | None:
    return None if dialect == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def url(configured: str | None, tmp_path: Path) -> str:
    return database_url(home=tmp_path, service="stopping", configured=configured)


@pytest.fixture
async def old(url: str) -> None:
    async with open_database(url, schema=schema_of("stopping")) as database:
        await migrate(database, package=PACKAGE, head="0001")
        async with database.writing() as connection:
            await connection.execute(text("INSERT INTO thing (id) VALUES ('kept')"))


@asynccontextmanager
async def stopped(url: str, home: Path, where: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A start whose migration stands still there."""
    for pipe in ("here", "go"):
        os.mkfifo(home / pipe)
    command = [sys.executable, "-m", "libs.schema.upgrade", "stopping", str(home), PACKAGE, "0002"]
    environment = {**os.environ, "TEST_STOP_AT": where, "TEST_PIPES": str(home)}
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdin is not None
        process.stdin.write(url.encode())
        process.stdin.close()
        assert await asyncio.to_thread((home / "here").read_text) == where
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def state(database: Database) -> tuple[str, bool, int]:
    async with database.reading() as connection:
        there = await connection.run_sync(lambda sync: inspect(sync).has_table("other"))
        return await revision(connection), there, await connection.scalar(text("SELECT count(*) FROM thing")) or 0


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("where", ["middle", "commit"])
async def test_a_killed_migration_leaves_the_old_schema_and_the_next_start_migrates(
    url: str, configured: str | None, tmp_path: Path, where: str
) -> None:
    async with stopped(url, tmp_path, where) as process:
        process.kill()
        await process.wait()

    async with open_database(url, schema=schema_of("stopping")) as database:
        assert await state(database) == ("0001", False, 1)
    async with open_service_database(
        "stopping", home=tmp_path, configured=configured, package=PACKAGE, head="0002"
    ) as database:
        assert await state(database) == ("0002", True, 1)
    assert list((tmp_path / "backups" / "before-migration").glob("stopping-0001-0002-*"))


@pytest.mark.usefixtures("old")
async def test_who_starts_meanwhile_waits_until_the_schema_is_there(
    url: str, configured: str | None, tmp_path: Path
) -> None:
    async def start() -> tuple[str, bool, int]:
        async with open_service_database(
            "stopping", home=tmp_path, configured=configured, package=PACKAGE, head="0002"
        ) as database:
            return await state(database)

    async with stopped(url, tmp_path, "end"):
        second = asyncio.create_task(start())
        await asyncio.wait([second], timeout=0.5)
        assert not second.done()
        await asyncio.to_thread((tmp_path / "go").write_text, "")

        assert await second == ("0002", True, 1)
