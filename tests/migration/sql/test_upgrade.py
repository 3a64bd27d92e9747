"""A service's database is brought up to date by another process, and opened by this one."""

import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from libs.schema.upgrade import open_service_database
from libs.sql.errors import MigrationFailed


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
    before = set(sys.modules)

    async with open_service_database(
        "config", home=tmp_path, configured=None, package="services.config.migrations", head="0001"
    ):
        assert not {name for name in set(sys.modules) - before if name.startswith(("alembic", "mako"))}
