"""What the clean-up removes: events that ended long ago with what belongs to them, and what nobody looks at again."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, and_, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.cleanup.remover import STEP, OldRows
from libs.sql.engine import Database
from libs.sql.types import from_millis
from services.webhooks.domain.event import State
from services.webhooks.tables import event, event_body, rejection, replay, source_secret, work
from services.webhooks.upkeep.partitions import SqlPartitions, day_of

Days = Callable[[], int]
"""How many days things are kept; raises AppError while that is not known."""

_job = work.work
_REMOVABLE = (State.DONE, State.IGNORED)  # a dead letter waits for a decision
_PAGES = 1_000  # of a file, given back in one transaction
_INCREMENTAL = 2


class EndedEvents:
    """Events that ended long ago, with their work, facts, acquisitions and bodies. Dead ones stay."""

    kind: ClassVar[str] = "events"
    tables: ClassVar[frozenset[str]] = frozenset(
        ["event", "event_body", "event_fact", "event_acquisition", "work", "work_signal"]
    )

    def __init__(self, database: Database, days: Days) -> None:
        self._database = database
        self._days = days
        self._parted = database.dialect == "postgresql"

    @property
    def rule(self) -> str:
        """For how long they are kept."""
        return f"{self._days()} days after they ended; dead ones until somebody decides"

    async def count(self, now: datetime) -> int:
        """How many ended long ago."""
        before = limit(now, self._days())
        old = select(func.count()).select_from(event.join(_job, _job.c.id == event.c.id))
        async with self._database.reading() as connection:
            return int((await connection.execute(old.where(event.c.received_at < before, _ended(before)))).scalar_one())

    async def remove(self, now: datetime) -> AsyncIterator[int]:
        """Goes through the ledger in the order of arrival, and leaves what stays behind."""
        before, after = limit(now, self._days()), (from_millis(0), "")
        while found := await self._some(before, after):
            after = found[-1].received_at, found[-1].id
            old = [row.id for row in found if _is_old(row, before)]
            if old:
                yield await self._remove(old, before)

    async def _some(self, before: datetime, after: tuple[datetime, str]) -> list[Any]:
        ledger = event.c
        behind = and_(ledger.received_at >= after[0], or_(ledger.received_at > after[0], ledger.id > after[1]))
        statement = (
            select(ledger.id, ledger.received_at, _job.c.done, _job.c.state, _job.c.updated)
            .join(_job, _job.c.id == ledger.id)
            .where(behind, ledger.received_at < before)
            .order_by(ledger.received_at, ledger.id)
            .limit(STEP)
        )
        async with self._database.reading() as connection:
            return list((await connection.execute(statement)).all())

    async def _remove(self, ids: Sequence[str], before: datetime) -> int:
        still = (
            select(event.c.id, event.c.stored_on)
            .join(_job, _job.c.id == event.c.id)
            .where(event.c.id.in_(ids), _ended(before))
            .order_by(event.c.id)
            .with_for_update(skip_locked=True)
        )
        async with self._database.writing() as connection:
            old: list[Any] = list((await connection.execute(still)).all())
            if old:
                await self._delete(connection, old, before)
        return len(old)

    async def _delete(self, connection: AsyncConnection, old: Sequence[Any], before: datetime) -> None:
        ids = [row.id for row in old]
        await connection.execute(delete(_job).where(_job.c.id.in_(ids)))
        await connection.execute(delete(event).where(event.c.id.in_(ids)))
        for day in sorted({row.stored_on for row in old}):
            if self._parted and 0 <= day < day_of(before):
                continue  # the whole day is dropped
            of_day = [row.id for row in old if row.stored_on == day]
            bodies = (event_body.c.stored_on == day) & event_body.c.event_id.in_(of_day)
            await connection.execute(delete(event_body).where(bodies))


class OldDays:
    """Partitions of bodies, of days before the limit; what must stay of them is moved first."""

    kind: ClassVar[str] = "partitions"
    tables: ClassVar[frozenset[str]] = frozenset(["event_body"])

    def __init__(self, partitions: SqlPartitions, days: Days) -> None:
        self._partitions = partitions
        self._days = days

    @property
    def rule(self) -> str:
        """For how long they are kept."""
        return f"{self._days()} days, PostgreSQL only"

    async def count(self, now: datetime) -> int:
        """How many days have passed the limit."""
        return len(await self._old(now))

    async def remove(self, now: datetime) -> AsyncIterator[int]:
        """Drops a day each time; one that is in use stays until the next run."""
        for day in await self._old(now):
            async for _ in self._partitions.keep(day):
                yield 0
            yield int(await self._partitions.drop(day))

    async def _old(self, now: datetime) -> list[int]:
        return await self._partitions.older_than(day_of(limit(now, self._days())))


def rejections(database: Database, days: Days) -> OldRows:
    """The log of refused deliveries."""
    return OldRows(
        database,
        rejection,
        lambda now: rejection.c.received_at < limit(now, days()),
        kind="rejections",
        rule=lambda: f"{days()} days",
    )


def expired_secrets(database: Database) -> OldRows:
    """Secrets that were replaced and whose time has passed: nobody can deliver with them, and none is kept for that."""
    return OldRows(
        database,
        source_secret,
        lambda now: source_secret.c.expires < now,
        kind="secrets",
        rule=lambda: "until those that replaced them are alone in force",
    )


class EndedReplays:
    """Replays that ended long ago, with their work."""

    kind: ClassVar[str] = "replays"
    tables: ClassVar[frozenset[str]] = frozenset(["replay", "work", "work_signal"])

    def __init__(self, database: Database, days: Days) -> None:
        self._database = database
        self._days = days

    @property
    def rule(self) -> str:
        """For how long they are kept."""
        return f"{self._days()} days after they ended"

    async def count(self, now: datetime) -> int:
        """How many ended long ago."""
        old = select(func.count()).select_from(replay.join(_job, _job.c.id == replay.c.id)).where(self._old(now))
        async with self._database.reading() as connection:
            return int((await connection.execute(old)).scalar_one())

    async def remove(self, now: datetime) -> AsyncIterator[int]:
        """Removes old ones."""
        while count := await self._delete(self._old(now)):
            yield count

    def _old(self, now: datetime) -> ColumnElement[bool]:
        return and_(_job.c.done, _job.c.updated < limit(now, self._days()))

    async def _delete(self, old: ColumnElement[bool]) -> int:
        some = select(replay.c.id).join(_job, _job.c.id == replay.c.id).where(old).order_by(replay.c.id).limit(STEP)
        async with self._database.writing() as connection:
            ids = list((await connection.scalars(some.with_for_update(of=_job, skip_locked=True))).all())
            await connection.execute(delete(replay).where(replay.c.id.in_(ids)))
            await connection.execute(delete(_job).where(_job.c.id.in_(ids)))
        return len(ids)


class FreePages:
    """Pages of an SQLite file that hold nothing: given back where the file is set up for it, else used again."""

    kind: ClassVar[str] = "pages"
    rule: ClassVar[str] = "until a clean-up has made them free, SQLite only"
    tables: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, now: datetime) -> int:
        """How many are free already."""
        return await self._pragma("freelist_count") if await self._shrinks() else 0

    async def remove(self, now: datetime) -> AsyncIterator[int]:
        """Gives them back, some each time."""
        while await self._shrinks() and (freed := await self._give_back()):
            yield freed

    async def _shrinks(self) -> bool:
        return self._database.dialect == "sqlite" and await self._pragma("auto_vacuum") == _INCREMENTAL

    async def _give_back(self) -> int:
        async with self._database.writing() as connection:
            free = await _pragma(connection, "freelist_count")
            # It gives back one page for each row that is fetched, though its rows have no columns: only the driver can.
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.execute_fetchall(f"PRAGMA incremental_vacuum({_PAGES})")
            return free - await _pragma(connection, "freelist_count")

    async def _pragma(self, name: str) -> int:
        async with self._database.reading() as connection:
            return await _pragma(connection, name)


async def _pragma(connection: AsyncConnection, name: str) -> int:
    return int((await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one())


def limit(now: datetime, days: int) -> datetime:
    """What ended before this is removed."""
    return now - timedelta(days=days)


def _ended(before: datetime) -> ColumnElement[bool]:
    return and_(_job.c.done, _job.c.state.in_(_REMOVABLE), _job.c.updated < before)


def _is_old(row: Any, before: datetime) -> bool:
    return bool(row.done) and row.state in _REMOVABLE and row.updated < before
