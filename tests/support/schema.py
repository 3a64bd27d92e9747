"""The tables of the acquisition service, empty at the beginning of each test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import text

from libs.sql.engine import Database, open_database
from libs.sql.migrations import migrate
from services.acquisition import migrations, tables
from tests.support.postgres import Postgres

_EMPTY = text(f"TRUNCATE {', '.join(table.name for table in tables.metadata.sorted_tables)} RESTART IDENTITY")


@asynccontextmanager
async def open_migrated(postgres: Postgres | None, folder: Path) -> AsyncIterator[Database]:
    """A database as the migrations make it: a new file, or on a PostgreSQL one schema that all tests empty in turn.

    To make it there anew takes longer than most tests do.
    """
    url = f"sqlite+aiosqlite:///{folder}/test.db"
    if postgres is not None:
        url = postgres.url().replace("postgresql://", "postgresql+asyncpg://")
    async with open_database(url, schema="acquisition_of_tests") as database:
        await migrate(database, package=migrations.__name__, head=migrations.HEAD)
        if postgres is not None:
            async with database.writing() as connection:
                await connection.execute(_EMPTY)
        yield database
