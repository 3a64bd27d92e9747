"""The days of bodies: on PostgreSQL each is a partition, made ahead of its day and dropped as a whole."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.cleanup.remover import STEP
from libs.sql.engine import Database
from services.webhooks.domain.event import NewEvent, Receipt
from services.webhooks.domain.reconciling import Finding, Kind
from services.webhooks.rows import TODAY
from services.webhooks.tables import KEPT, event, event_body
from services.webhooks.upkeep.notes import Notes

AHEAD = 7  # days beyond today
DROP_TRIES = 20
DROP_PAUSE = timedelta(milliseconds=500)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PREFIX = "event_body_"
_NAMES = text(
    "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = 'event_body'::regclass"
)
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 4))")
# Who waits for a table makes all others wait who come after: so nobody waits for long.
_SHORTLY = text("SET LOCAL lock_timeout = '50ms'")
_LOCK_NOT_AVAILABLE, _NO_PARTITION = "55P03", "23514"


class SqlPartitions:
    """The partitions of bodies; on SQLite there are none, and none is missing."""

    def __init__(self, database: Database, notes: Notes) -> None:
        self._database = database
        self._notes = notes
        self._parted = database.dialect == "postgresql"

    async def missing(self) -> list[int]:
        """The days from today on that have no partition, by the database's clock."""
        if not self._parted:
            return []
        async with self._database.reading() as connection:
            return await _missing(connection)

    async def make(self) -> list[int]:
        """Makes those that are missing, and returns them; nobody who stores events waits for it."""
        if not await self.missing():
            return []
        async with self._database.writing() as connection:
            await connection.execute(_ONE_AT_A_TIME)
            missing = await _missing(connection)
            for day in missing:
                # Unlike CREATE TABLE ... PARTITION OF, this lets others insert meanwhile.
                await connection.execute(text(f"CREATE TABLE {name_of(day)} (LIKE event_body INCLUDING ALL)"))
                await connection.execute(
                    text(
                        f"ALTER TABLE event_body ATTACH PARTITION {name_of(day)} FOR VALUES FROM ({day}) TO ({day + 1})"
                    )
                )
            self._notes.of_subjects(connection, map(_subject, missing), "it was made")
        return missing

    async def find(self) -> Sequence[Finding]:
        """The missing ones, for the reconciler."""
        return _findings(await self.missing(), "it is made")

    async def correct(self) -> Sequence[Finding]:
        """Makes the missing ones, for the reconciler."""
        return _findings(await self.make(), "it was made")

    async def older_than(self, day: int) -> list[int]:
        """The days before that day which have a partition, the oldest first."""
        if not self._parted:
            return []
        async with self._database.reading() as connection:
            return sorted(found for found in await _days(connection) if found < day)

    async def keep(self, day: int) -> AsyncIterator[int]:
        """Moves the bodies of a day whose events stay to where they are kept, a bounded step each time."""
        after = ""
        while True:
            step = select(event_body.c.event_id).where(event_body.c.stored_on == day, event_body.c.event_id > after)
            async with self._database.reading() as connection:
                ids = list((await connection.scalars(step.order_by(event_body.c.event_id).limit(STEP))).all())
            if not ids:
                return
            yield await self._move(day, ids)
            after = ids[-1]

    async def drop(self, day: int) -> bool:
        """Drops a day of which nothing is to stay; False when it was in use whenever it was tried."""
        for _ in range(DROP_TRIES):
            if await self._drop(day):
                return True
            await asyncio.sleep(DROP_PAUSE.total_seconds())
        return False

    async def _move(self, day: int, ids: Sequence[str]) -> int:
        still = (event.c.id.in_(ids)) & (event.c.stored_on == day)
        lock = select(event.c.id).where(still).order_by(event.c.id).with_for_update()
        async with self._database.writing() as connection:
            kept = list((await connection.scalars(lock)).all())
            if kept:
                await connection.execute(update(event).where(event.c.id.in_(kept)).values(stored_on=KEPT))
                here = (event_body.c.stored_on == day) & event_body.c.event_id.in_(kept)
                await connection.execute(update(event_body).where(here).values(stored_on=KEPT))
        return len(kept)

    async def _drop(self, day: int) -> bool:
        if await self._holds_bodies_of_events(day):
            return False
        try:
            async with self._database.writing() as connection:
                await connection.execute(_SHORTLY)
                await connection.execute(text(f"DROP TABLE {name_of(day)}"))
                self._notes.of_retention(connection, _subject(day), {"removed": "bodies"})
        except DBAPIError as error:
            if _state(error) != _LOCK_NOT_AVAILABLE:
                raise
            return False
        return True

    async def _holds_bodies_of_events(self, day: int) -> bool:
        of_events = select(event.c.id).join(event_body, event.c.id == event_body.c.event_id)
        there = of_events.where(event_body.c.stored_on == day, event.c.stored_on == day).limit(1)
        async with self._database.reading() as connection:
            return (await connection.execute(there)).first() is not None


class EventSink(Protocol):
    """Where events are stored."""

    async def add(self, events: Sequence[NewEvent]) -> Sequence[Receipt]:
        """Store events in one commit, in order; raises AppError when none was stored."""
        ...


class RoomForBodies:
    """Stores events, and makes the day's partition should it be missing: as when the clock was set far ahead."""

    def __init__(self, sink: EventSink, make: Callable[[], Awaitable[Sequence[int]]]) -> None:
        self._sink = sink
        self._make = make

    async def add(self, events: Sequence[NewEvent]) -> Sequence[Receipt]:
        """Store events in one commit, in order; raises AppError when none was stored."""
        try:
            return await self._sink.add(events)
        except IntegrityError as error:
            if _state(error) != _NO_PARTITION:
                raise
        await self._make()
        return await self._sink.add(events)


def name_of(day: int) -> str:
    """The partition of a day, counted from 1970."""
    return f"{_PREFIX}{_EPOCH + timedelta(days=day):%Y%m%d}"


def day_of(moment: datetime) -> int:
    """The day of a moment, in UTC, counted from 1970."""
    return (moment - _EPOCH).days


async def _missing(connection: AsyncConnection) -> list[int]:
    there = await _days(connection)
    today: int = (await connection.execute(select(TODAY))).scalar_one()
    return [day for day in range(today, today + AHEAD + 1) if day not in there]


async def _days(connection: AsyncConnection) -> set[int]:
    names = [name.removeprefix(_PREFIX) for name in await connection.scalars(_NAMES)]
    return {day_of(datetime.strptime(name, "%Y%m%d").replace(tzinfo=UTC)) for name in names if name.isdecimal()}


def _subject(day: int) -> str:
    return f"partitions/{name_of(day)}"


def _findings(days: Sequence[int], correction: str) -> list[Finding]:
    return [Finding(kind=Kind.PARTITION_MISSING, subject=_subject(day), correction=correction) for day in days]


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""
