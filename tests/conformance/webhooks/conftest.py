"""The inbox in memory and on each database: every one passes the same suite."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import delete

from libs.sql.engine import Database, open_database
from libs.sql.migrations import migrate
from libs.work.interventions import SqlInterventions
from libs.work.outbox import SqlOutbox
from services.webhooks import migrations
from services.webhooks.dead_letters.store import SqlDeadLetters
from services.webhooks.tables import metadata, work
from tests.support.database_clock import DatabaseClock
from tests.support.event_store import TOKENS, EventStore, open_event_store
from tests.support.events import pass_time
from tests.support.memory_event_store import MemoryEventStore


@dataclass(frozen=True)
class Inbox:
    """A store with nothing in it, its time, and who decides about its dead letters."""

    store: EventStore
    pass_time: Callable[[timedelta], Awaitable[None]]
    discard: Callable[[str], Awaitable[object]]


def inbox_in_memory() -> Inbox:
    clock = DatabaseClock()

    async def pass_time(by: timedelta) -> None:
        clock.advance(by)

    store = MemoryEventStore(TOKENS, now=lambda: clock.time)
    return Inbox(store, pass_time, store.discard)


async def inbox_on(database: Database) -> Inbox:
    store = await open_event_store(database)
    interventions = SqlInterventions(work, SqlOutbox(database, work))
    dead_letters = SqlDeadLetters(database, interventions, tokens=TOKENS)
    discard = partial(dead_letters.discard, reason="nothing more is needed", actor="tester")
    return Inbox(store, partial(pass_time, database), discard)


async def clear(database: Database) -> None:
    async with database.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            await connection.execute(delete(table))


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
        await migrate(database, package=migrations.__name__, head=migrations.HEAD)
        yield database
        await clear(database)


@pytest.fixture
async def database(dialect: str, inbox_schema: Path, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """A database of each kind with the tables of the inbox, and nothing in them."""
    async with empty_database(dialect, inbox_schema, request) as database:
        yield database


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
