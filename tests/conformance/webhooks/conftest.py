"""The inbox in memory and on each database: every one passes the same suite."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete

from libs.sql.engine import Database, open_database
from services.webhooks.tables import metadata
from tests.support.database_clock import DatabaseClock
from tests.support.event_store import TOKENS, EventStore, open_event_store
from tests.support.events import pass_time
from tests.support.memory_event_store import MemoryEventStore

Pass = Callable[[timedelta], Awaitable[None]]


class Inbox:
    """A store with nothing in it, and its time."""

    def __init__(self, store: EventStore, pass_time: Pass) -> None:
        self.store = store
        self.pass_time = pass_time


def inbox_in_memory() -> Inbox:
    clock = DatabaseClock()

    async def pass_time(by: timedelta) -> None:
        clock.advance(by)

    return Inbox(MemoryEventStore(TOKENS, now=lambda: clock.time), pass_time)


async def inbox_on(database: Database) -> Inbox:
    return Inbox(await open_event_store(database), lambda by: pass_time(database, by))


@pytest.fixture(scope="session")
def inbox_schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One schema of each kind for all tests, which leave no rows in it: making one takes longer than most of them."""
    return tmp_path_factory.mktemp("inbox")


@asynccontextmanager
async def empty_database(kind: str, schema: Path, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    if kind == "sqlite":
        url = f"sqlite+aiosqlite:///{schema}/inbox.db"
    else:
        url = request.getfixturevalue("postgres").url().replace("postgresql://", "postgresql+asyncpg://")
    async with open_database(url, schema=schema.name) as database:
        yield database
        async with database.writing() as connection:
            for table in reversed(metadata.sorted_tables):
                await connection.execute(delete(table))


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def inbox(request: pytest.FixtureRequest, inbox_schema: Path) -> AsyncIterator[Inbox]:
    if request.param == "memory":
        yield inbox_in_memory()
        return
    async with empty_database(request.param, inbox_schema, request) as database:
        yield await inbox_on(database)


@pytest.fixture
def store(inbox: Inbox) -> EventStore:
    return inbox.store
