"""`lockgroove migrate`, on both databases: what it says, what it refuses, and how it ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from deploy.cli.exits import Exit
from deploy.cli.main import app
from libs.schema.upgrade import schema_of
from libs.sql.engine import Database, open_database
from libs.sql.migrations import migrate
from libs.sql.url import database_url
from services.webhooks import migrations

Answer = tuple[int, dict[str, Any]]
Migrate = Callable[..., Awaitable[Answer]]


@pytest.fixture
def configured(dialect: str, request: pytest.FixtureRequest) -> str | None:
    return None if dialect == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def url(configured: str | None, tmp_path: Path) -> str:
    return database_url(home=tmp_path, service="webhooks", configured=configured)


@pytest.fixture
def lockgroove(configured: str | None, tmp_path: Path) -> Migrate:
    """Runs the command on the webhook service's database, and reads what it prints."""
    environment = {"LOCKGROOVE_HOME": str(tmp_path), "DATABASE_URL": configured or ""}

    async def run(*arguments: str) -> Answer:
        command = ["migrate", *arguments, "--service", "webhooks", "--json"]
        ran = await asyncio.to_thread(CliRunner().invoke, app, command, env=environment)
        return ran.exit_code, json.loads(ran.stdout)

    return run


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """At the revision of this release, and open as long as the test."""
    async with open_database(url, schema=schema_of("webhooks")) as database:
        await migrate(database, package=migrations.__name__, head=migrations.HEAD)
        yield database


@pytest.fixture
async def closed(url: str) -> None:
    """At the revision of this release, and used by nobody."""
    async with open_database(url, schema=schema_of("webhooks")) as database:
        await migrate(database, package=migrations.__name__, head=migrations.HEAD)


async def test_a_dry_run_shows_the_sql_and_changes_nothing(lockgroove: Migrate, dialect: str) -> None:
    status, report = await lockgroove("up", "--dry-run")

    statements = [statement for step in report["steps"] for statement in step["statements"]]
    assert (status, report["success"], report["steps_completed"]) == (Exit.DONE, True, 0)
    assert any(statement.startswith("CREATE TABLE event ") for statement in statements)
    assert any("PARTITION OF" in statement for statement in statements) == (dialect == "postgresql")
    assert (await lockgroove("status"))[1]["services"][0]["revision"] is None


async def test_what_was_applied_is_told_step_by_step_and_once(lockgroove: Migrate) -> None:
    first, second = await lockgroove("up"), await lockgroove("up")

    assert first[0] == second[0] == Exit.DONE
    assert {step["direction"] for step in first[1]["steps"]} == {"up"}
    assert (first[1]["revisions"], second[1]["skipped"]) == ({"webhooks": migrations.HEAD}, ["webhooks"])


@pytest.mark.usefixtures("closed")
async def test_the_way_back_has_to_be_wanted_and_its_losses_allowed(lockgroove: Migrate) -> None:
    back = ["down", "--to", "0003"]

    refusals = [await lockgroove(*back), await lockgroove(*back, "--yes")]
    done = await lockgroove(*back, "--yes", "--allow-data-loss")

    assert [(status, report["error_code"]) for status, report in refusals] == [(Exit.REFUSED, "MIGRATION_REFUSED")] * 2
    assert "DROP TABLE data_key" in refusals[1][1]["error"]
    assert (done[0], done[1]["revisions"]) == (Exit.DONE, {"webhooks": "0003"})


@pytest.mark.usefixtures("database")
async def test_nobody_goes_back_under_a_service_that_runs(lockgroove: Migrate) -> None:
    status, report = await lockgroove("down", "--to", "0003", "--yes", "--allow-data-loss")

    assert (status, report["error_code"]) == (Exit.REFUSED, "DATABASE_IN_USE")


async def test_who_finds_another_one_migrating_gives_up_soon(lockgroove: Migrate, database: Database) -> None:
    async with database.writing() as connection:
        if database.dialect == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 1))"))
        status, report = await lockgroove("up", "--wait", "0.1")

    assert (status, report["error_code"]) == (Exit.REFUSED, "MIGRATION_LOCKED")


async def test_a_changed_revision_is_drift(lockgroove: Migrate, database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(text("UPDATE schema_revision SET checksum = 'other' WHERE revision = '0002'"))

    status, found = await lockgroove("status")

    assert (status, "revision 0002" in found["services"][0]["drift"]) == (Exit.REFUSED, True)
    assert (await lockgroove("up"))[1]["error_code"] == "SCHEMA_DRIFT"


async def test_tables_that_somebody_changed_are_drift_and_those_added_are_told(
    lockgroove: Migrate, database: Database
) -> None:
    async with database.writing() as connection:
        await connection.execute(text("ALTER TABLE replay ADD COLUMN mine TEXT"))
    added = await lockgroove("status")
    async with database.writing() as connection:
        await connection.execute(text("DROP INDEX event_received_at"))

    status, found = await lockgroove("status")

    assert (added[0], added[1]["services"][0]["additions"]) == (Exit.DONE, ["column replay.mine"])
    assert (status, "event_received_at is missing" in found["services"][0]["drift"]) == (Exit.REFUSED, True)
