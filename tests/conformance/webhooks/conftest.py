"""The inbox in memory and on each database: every one passes the same suite."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from libs.sql.engine import Database
from libs.work.interventions import SqlInterventions
from libs.work.outbox import SqlOutbox
from services.webhooks.dead_letters.store import SqlDeadLetters
from services.webhooks.tables import work
from tests.support.database_clock import DatabaseClock
from tests.support.event_store import TOKENS, EventStore, open_event_store
from tests.support.events import pass_time
from tests.support.inbox_database import database as database
from tests.support.inbox_database import empty_database
from tests.support.inbox_database import inbox_schema as inbox_schema
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
