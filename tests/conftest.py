"""What tests of every part share: a real database of each kind, fresh for each test."""

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

import tests.support.grpc_without_fork  # noqa: F401 (before anything that imports grpc)
from libs import ids
from libs.sql.engine import Database, open_database
from libs.telemetry.logger import structlog
from tests.support.new_home import moved_in
from tests.support.postgres import Postgres, run_postgres


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """No test leaves logs that go to its own stdout, which is closed at its end, to those after it."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
    root.setLevel(level)


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


@pytest.fixture
async def settled_postgres_url(postgres: Postgres) -> AsyncIterator[str]:
    """A fresh database that has the schemas of all services, for tests that are not about how those are made."""
    name = await moved_in(postgres)
    yield postgres.url(name)
    postgres.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    """What uses this, or a fixture below, runs once on SQLite and once on PostgreSQL."""
    return str(request.param)


@pytest.fixture
def database_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database of each kind, by the URL that `open_database` takes: for tests that start processes."""
    if dialect == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/test.db"
    url: str = request.getfixturevalue("postgres_url")
    return url.replace("postgresql://", "postgresql+asyncpg://")


@pytest.fixture
async def database(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database of each kind with nothing in it; on PostgreSQL a schema of its own, which is made in no time."""
    schema = ids.new("test")
    if dialect == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path}/test.db"
    else:
        url = request.getfixturevalue("postgres").url().replace("postgresql://", "postgresql+asyncpg://")
    async with open_database(url, schema=schema) as database:
        yield database
        if dialect == "postgresql":
            async with database.writing() as connection:
                await connection.execute(text(f'DROP SCHEMA "{schema}" CASCADE'))
