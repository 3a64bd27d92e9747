"""Databases with the tables of the inbox and nothing in them: fixtures for the folders whose conftest names them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import delete

from libs.sql.engine import Database, open_database
from libs.sql.migrations import migrate
from services.webhooks import migrations
from services.webhooks.tables import metadata


async def clear(database: Database) -> None:
    """Takes out all rows."""
    async with database.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            await connection.execute(delete(table))


@pytest.fixture(scope="session")
def inbox_schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One schema of each kind for all tests, which leave no rows in it: making one takes longer than most of them."""
    return tmp_path_factory.mktemp("inbox")


@asynccontextmanager
async def empty_database(kind: str, schema: Path, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """A database of a kind, emptied at the exit."""
    if kind == "sqlite":
        url = f"sqlite+aiosqlite:///{schema}/inbox.db"
    else:
        url = request.getfixturevalue("postgres").url().replace("postgresql://", "postgresql+asyncpg://")
    async with open_database(url, schema=schema.name) as database:
        await migrate(database, package=migrations.__name__, head=migrations.HEAD)
        yield database
        await clear(database)


@pytest.fixture
async def database(dialect: str, inbox_schema: Path, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """A database of each kind with the tables of the inbox, and nothing in them."""
    async with empty_database(dialect, inbox_schema, request) as database:
        yield database
