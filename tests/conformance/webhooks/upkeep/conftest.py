"""An inbox on an empty database of each kind, whose rows a test may break on purpose."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Table, select, text, update

from libs import ids
from libs.sql.engine import Database
from libs.sql.types import duration_ms, now_ms
from libs.work.outbox import SqlOutbox
from libs.work.store import SqlWorkStore
from services.webhooks.domain.event import DeadReason, NewEvent, Progress, State
from services.webhooks.domain.lifecycle import Settlement
from services.webhooks.domain.processing import Settled
from services.webhooks.events.store import SqlEventStore
from services.webhooks.tables import event, metadata, work
from services.webhooks.upkeep.notes import Notes
from services.webhooks.upkeep.partitions import SqlPartitions, name_of
from tests.support.event_store import open_event_store

LEASE = timedelta(seconds=60)
STATES = (State.DONE, State.IGNORED, State.DEAD, State.RETRY, State.UNMATCHED)


@dataclass
class Inbox:
    """The store, what upkeep needs of it, and ways to break it."""

    database: Database
    store: SqlEventStore
    jobs: SqlWorkStore
    notes: Notes
    woken: int = 0

    def wake(self) -> None:
        """What upkeep calls when there is work."""
        self.woken += 1

    async def receive(self, **changes: Any) -> str:
        """A new event; its id."""
        [receipt] = await self.store.add([new_event(**changes)])
        return receipt.event_id

    async def receive_in(self, state: State, *, ago: timedelta = timedelta(), **changes: Any) -> str:
        """An event that got into a state so long ago, and was stored a moment before; its id."""
        event_id = await self.receive(**changes)
        if state is not State.RECEIVED:
            await self._settle(event_id, state)
        await self.age(event_id, ago)
        return event_id

    async def age(self, event_id: str, ago: timedelta) -> None:
        """Let an event be older than it is, with all that belongs to it."""
        async with self.database.writing() as connection:
            then = datetime.now(UTC) - ago
            await connection.execute(update(event).where(event.c.id == event_id).values(received_at=then))
            job = work.work
            older = {"updated": then, "created": then}
            await connection.execute(update(job).where(job.c.id == event_id).values(older))

    async def store_on(self, event_id: str, day: int) -> None:
        """Let an event's body lie among those of a day, which is made when missing."""
        if self.database.dialect == "postgresql":
            await self.make_day(day)
        async with self.database.writing() as connection:
            parameters = {"day": day, "id": event_id}
            await connection.execute(text("UPDATE event SET stored_on = :day WHERE id = :id"), parameters)
            await connection.execute(text("UPDATE event_body SET stored_on = :day WHERE event_id = :id"), parameters)

    async def make_day(self, day: int) -> None:
        """Make the partition of a day."""
        name = f"event_body_{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day):%Y%m%d}"
        bounds = f"FOR VALUES FROM ({day}) TO ({day + 1})"
        await self.execute(f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF event_body {bounds}")

    async def execute(self, statement: str, **parameters: Any) -> None:
        """Do it."""
        async with self.database.writing() as connection:
            await connection.execute(text(statement), parameters)

    async def scalar(self, statement: str, **parameters: Any) -> Any:
        """Read one value."""
        async with self.database.reading() as connection:
            return await connection.scalar(text(statement), parameters)

    async def ids(self) -> set[str]:
        """The events of the ledger."""
        async with self.database.reading() as connection:
            return set(await connection.scalars(select(event.c.id)))

    async def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table."""
        return {table.name: await self._rows(table) for table in metadata.sorted_tables}

    async def notes_by(self, actor: str) -> list[str]:
        """What the audit trail says that somebody acted upon."""
        async with self.database.reading() as connection:
            acted = select(work.event.c.job_id).where(work.event.c.actor == actor).order_by(work.event.c.seq)
            return list(await connection.scalars(acted))

    async def restore_days(self) -> None:
        """Let there be the partitions that are always there, and no others."""
        partitions = SqlPartitions(self.database, self.notes)
        today = await self.today()
        for day in await partitions.older_than(today):
            await self.execute(f"DROP TABLE {name_of(day)}")
        await partitions.make()

    async def today(self) -> int:
        """The day of the database's clock."""
        async with self.database.reading() as connection:
            now: int = (await connection.execute(select(now_ms()))).scalar_one()
        return now // duration_ms(timedelta(days=1))

    async def _rows(self, table: Table) -> list[tuple[Any, ...]]:
        async with self.database.reading() as connection:
            rows = (await connection.execute(select(table))).all()
        return sorted((tuple(row) for row in rows), key=repr)

    async def _settle(self, event_id: str, state: State) -> None:
        claims = await self.store.claim(64, LEASE)
        for claimed in claims:
            if claimed.event.id == event_id:
                await self.store.settle([Settled(claimed=claimed, settlement=_settlement(state), seconds=0)])
            else:
                await self.store.release([claimed])


def _settlement(state: State) -> Settlement:
    delay = None if state.ended else timedelta(hours=1)
    settlement = Settlement(state=state, progress=Progress(tries=1), delay=delay)
    return replace(settlement, reason=DeadReason.HANDLER_ERROR) if state is State.DEAD else settlement


def new_event(**changes: Any) -> NewEvent:
    """An event of Lidarr that nobody has sent before."""
    event_id = ids.new("evt")
    given = NewEvent(
        id=event_id,
        source="lidarr",
        type="Grab",
        key=event_id,
        headers={},
        body=b'{"eventType": "Grab"}',
        received_at=datetime.now(UTC),
    )
    return replace(given, **changes)


@pytest.fixture
async def inbox(database: Database) -> AsyncIterator[Inbox]:
    """The inbox, empty."""
    store = await open_event_store(database)
    outbox = SqlOutbox(database, work, now=now_ms())
    inbox = Inbox(database, store, SqlWorkStore(database, work), Notes(outbox))
    yield inbox
    await inbox.restore_days()
