"""A service's schema at its start."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from libs.sql.engine import Database, open_database
from libs.sql.errors import MigrationFailed
from libs.sql.migrations import migrate

EXAMPLE = "tests.migration.sql.example"
BROKEN = "tests.migration.sql.broken"
STARTER = """
import asyncio, sys
from libs.sql.engine import open_database
from libs.sql.migrations import migrate
async def start():
    async with open_database(sys.argv[1], schema="test") as database:
        await migrate(database, package="tests.migration.sql.example", head="0002")
asyncio.run(start())
"""


async def tables(database: Database) -> set[str]:
    async with database.reading() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def test_an_empty_database_gets_every_revision(database: Database) -> None:
    await migrate(database, package=EXAMPLE, head="0002")

    async with database.writing() as connection:
        await connection.execute(text("INSERT INTO thing (id, name) VALUES ('1', 'one')"))
        assert await connection.scalar(text("SELECT version_num FROM alembic_version")) == "0002"


async def test_the_revision_pinned_by_head_is_the_last_one_applied(database: Database) -> None:
    await migrate(database, package=EXAMPLE, head="0001")

    async with database.reading() as connection:
        assert await connection.scalar(text("SELECT version_num FROM alembic_version")) == "0001"


async def test_migrating_again_changes_nothing(database: Database) -> None:
    await migrate(database, package=EXAMPLE, head="0002")

    await migrate(database, package=EXAMPLE, head="0002")

    assert await tables(database) == {"alembic_version", "schema_revision", "thing"}


async def test_old_code_starts_on_a_newer_schema(database: Database) -> None:
    await migrate(database, package=EXAMPLE, head="0002")

    await migrate(database, package=EXAMPLE, head="0001")

    async with database.reading() as connection:
        assert await connection.scalar(text("SELECT version_num FROM alembic_version")) == "0002"


async def test_a_failed_migration_names_the_database_and_leaves_nothing_behind(database: Database) -> None:
    with pytest.raises(MigrationFailed, match=r"database .* revision 0001: .*missing"):
        await migrate(database, package=BROKEN, head="0001")

    assert await tables(database) == set()


async def test_a_failed_migration_does_not_show_the_password(postgres_url: str) -> None:
    url = postgres_url.replace("postgresql://", "postgresql+asyncpg://")
    async with open_database(url, schema="test") as database:
        with pytest.raises(MigrationFailed) as failure:
            await migrate(database, package=BROKEN, head="0001")

    assert "secret" not in failure.value.message


async def test_processes_that_start_together_migrate_once(database_url: str) -> None:
    starts = [await asyncio.create_subprocess_exec(*starter(database_url), stderr=subprocess.PIPE) for _ in range(2)]

    ends = [await process.communicate() for process in starts]

    assert [(process.returncode, end[1]) for process, end in zip(starts, ends, strict=True)] == [(0, b"")] * 2


def starter(url: str) -> list[str]:
    root = str(Path(__file__).parents[3])
    return [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r})\n{STARTER}", url]
