"""A database made by any release comes up on this one with all its rows, and goes back with them."""

from collections.abc import Sequence
from importlib import import_module
from itertools import chain

import pytest
from sqlalchemy import text

from libs.sql.engine import Database
from libs.sql.migrating.revisions import Revision, read_revisions
from libs.sql.migrating.scratch import shapes
from libs.sql.migrating.shape import Shape, shape
from libs.sql.migrating.stock import fitting
from libs.sql.migrations import downgrade, migrate, upgrade
from tests.support.rows_of_revisions import Written, lost, reflected, write_rows

SERVICES = ["acquisition", "webhooks", "config"]
FORGET = ("DROP TABLE alembic_version", "DROP TABLE schema_revision")


def package_of(service: str) -> tuple[str, Sequence[Revision]]:
    package = f"services.{service}.migrations"
    return package, read_revisions(package)


async def all_there(database: Database, *written: list[Written]) -> bool:
    async with database.reading() as connection:
        metadata = await connection.run_sync(reflected)
        return await connection.run_sync(lost, metadata, list(chain(*written))) == []


async def fill(database: Database, number: int, *before: list[Written]) -> list[Written]:
    """Rows of the newest tables; those from before are there."""
    async with database.writing() as connection:
        metadata = await connection.run_sync(reflected)
        assert await connection.run_sync(lost, metadata, list(chain(*before))) == []
        return await connection.run_sync(write_rows, metadata, number)


@pytest.mark.parametrize("service", SERVICES)
async def test_rows_of_every_revision_outlive_all_later_ones_and_the_way_back(database: Database, service: str) -> None:
    package, revisions = package_of(service)
    written: list[list[Written]] = []
    for number, revision in enumerate(revisions, start=1):
        await migrate(database, package=package, head=revision.id)
        written.append(await fill(database, number, *written))

    for revision in reversed(revisions[:-1]):
        await downgrade(database, package=package, target=revision.id, losses_allowed=True)
        assert await all_there(database, *written)

    await migrate(database, package=package, head=revisions[-1].id)
    assert await all_there(database, written[0])


@pytest.mark.parametrize("service", SERVICES)
async def test_what_every_earlier_release_writes_can_be_written_today(database: Database, service: str) -> None:
    package, revisions = package_of(service)
    known = []
    for revision in revisions:
        await migrate(database, package=package, head=revision.id)
        async with database.reading() as connection:
            known.append(await connection.run_sync(reflected))

    async with database.writing() as connection:
        written = [
            row
            for number, metadata in enumerate(known, start=1)
            for row in await connection.run_sync(write_rows, metadata, number)
        ]

    assert await all_there(database, written)


@pytest.mark.parametrize("service", SERVICES)
async def test_tables_without_a_record_are_recognised_by_what_they_are(database: Database, service: str) -> None:
    package, revisions = package_of(service)
    found: dict[str, Shape] = {}
    for revision in revisions:
        await migrate(database, package=package, head=revision.id)
        async with database.reading() as connection:
            found[revision.id] = await connection.run_sync(shape)
    async with database.writing() as connection:
        made = await connection.run_sync(shapes, revisions)
        for statement in FORGET:
            await connection.execute(text(statement))

    recognised = await upgrade(database, package=package, head=revisions[-1].id)

    assert [fitting(real, made) for real in found.values()] == list(found)
    assert (recognised.before, recognised.steps) == (revisions[-1].id, [])


@pytest.mark.parametrize("service", SERVICES)
def test_the_newest_revision_is_the_head(service: str) -> None:
    package, revisions = package_of(service)

    assert revisions[-1].id == import_module(package).HEAD
