"""A service's database is brought up to date by another process, and opened by this one."""

import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from libs.schema.upgrade import open_service_database
from libs.sql.errors import MigrationFailed
from tests.support.commands import run

SERVICE = """
import asyncio, pathlib, sys
from libs.schema.upgrade import open_service_database
from libs.sql.migrations import revision
async def start():
    home, package = pathlib.Path(sys.argv[1]), "tests.migration.sql.example"
    async with open_service_database("s", home=home, configured=None, package=package, head="0002") as database:
        async with database.reading() as connection:
            print(await revision(connection))
asyncio.run(start())
print(*(name for name in sys.modules if name in ("alembic", "mako")))
"""


@pytest.fixture
def configured(dialect: str, request: pytest.FixtureRequest) -> str | None:
    return None if dialect == "sqlite" else str(request.getfixturevalue("postgres_url"))


async def test_a_database_is_up_to_date_when_it_opens(configured: str | None, tmp_path: Path) -> None:
    package = "tests.migration.sql.example"

    async with (
        open_service_database(
            "example", home=tmp_path, configured=configured, package=package, head="0002"
        ) as database,
        database.reading() as connection,
    ):
        assert await connection.scalar(text("SELECT version_num FROM alembic_version")) == "0002"
        assert not await connection.scalar(text("SELECT count(*) FROM thing"))


async def test_a_migration_that_fails_stops_the_start_with_the_reason(configured: str | None, tmp_path: Path) -> None:
    package = "tests.migration.sql.broken"

    with pytest.raises(MigrationFailed, match="cannot be brought to revision 0001"):
        async with open_service_database("broken", home=tmp_path, configured=configured, package=package, head="0001"):
            pass


async def test_a_service_does_not_carry_the_tools_of_migration(tmp_path: Path) -> None:
    ran = await run(sys.executable, "-c", SERVICE, str(tmp_path))

    assert ran.output.split() == ["0002"]
