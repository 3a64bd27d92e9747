"""What tests of every part share: a real database of each kind, fresh for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from libs import ids
from libs.sql.engine import Database, open_database
from tests.support.postgres import Postgres, run_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for the session (one per worker of pytest-xdist), started when first asked for."""
    with run_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """A fresh database on that server, as DATABASE_URL would name it."""
    name = ids.new("test")
    postgres.execute(f'CREATE DATABASE "{name}" STRATEGY file_copy')
    yield postgres.url(name)
    postgres.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database of each kind, by URL: what uses it runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/test.db"
    url: str = request.getfixturevalue("postgres_url")
    return url.replace("postgresql://", "postgresql+asyncpg://")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """That database, opened, with nothing in it."""
    async with open_database(database_url, schema="test") as database:
        yield database
