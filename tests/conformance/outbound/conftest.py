"""Turns and answers in memory and on each database, all with a clock that the test moves."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import MetaData

from libs.clock import ManualClock
from libs.outbound.answers import Answers, MemoryAnswers, SqlAnswers
from libs.outbound.slots import CallSlots, MemoryCallSlots, SqlCallSlots
from libs.outbound.tables import cached_answer_table, call_slot_table
from libs.sql.engine import Database
from tests.support.database_clock import DatabaseClock


@dataclass(frozen=True)
class Stores:
    """Both stores, and their clocks, which show the same."""

    slots: CallSlots
    answers: Answers
    clocks: tuple[DatabaseClock, ManualClock]

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        for clock in self.clocks:
            clock.advance(by)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def dialect(kind: str) -> str:
    """Of the database that is opened: none is needed in memory, and SQLite's costs nothing."""
    return "sqlite" if kind == "memory" else kind


@pytest.fixture
async def stores(kind: str, database: Database) -> AsyncIterator[Stores]:
    clock = DatabaseClock()
    manual = ManualClock(clock.time)
    if kind == "memory":
        yield Stores(slots=MemoryCallSlots(manual), answers=MemoryAnswers(manual), clocks=(clock, manual))
        return
    metadata = MetaData()
    slots, answers = call_slot_table(metadata), cached_answer_table(metadata)
    async with database.writing() as connection:
        await connection.run_sync(metadata.create_all)
    yield Stores(
        slots=SqlCallSlots(database, slots, now=clock.now),
        answers=SqlAnswers(database, answers, now=clock.now),
        clocks=(clock, manual),
    )
