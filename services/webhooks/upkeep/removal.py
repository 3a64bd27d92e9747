"""What retention removes: events that ended long ago with all that belongs to them, and what nobody looks at again."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Select, and_, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.sql.engine import Database
from libs.sql.types import from_millis, now_ms
from services.webhooks.domain.event import State
from services.webhooks.domain.retention import STEP
from services.webhooks.tables import event, event_body, rejection, replay, source_secret, work
from services.webhooks.upkeep.partitions import SqlPartitions, day_of

_job = work.work
_REMOVABLE = (State.DONE, State.IGNORED)  # a dead letter waits for a decision
_PAGES = 1_000  # of a file, given back in one transaction
_INCREMENTAL = 2


class EndedEvents:
    """Events that ended long ago, with their work, facts, acquisitions and bodies. Dead ones stay."""

    what: ClassVar[str] = "events"

    def __init__(self, database: Database) -> None:
        self._database = database
        self._parted = database.dialect == "postgresql"

    async def remove(self, before: datetime) -> AsyncIterator[int]:
        """Goes through the ledger in the order of arrival, and leaves what stays behind."""
        after = from_millis(0), ""
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
            .where(event.c.id.in_(ids), _job.c.done, _job.c.state.in_(_REMOVABLE), _job.c.updated < before)
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

    what: ClassVar[str] = "partitions"

    def __init__(self, partitions: SqlPartitions) -> None:
        self._partitions = partitions

    async def remove(self, before: datetime) -> AsyncIterator[int]:
        """Drops a day each time; one that is in use stays until the next run."""
        for day in await self._partitions.older_than(day_of(before)):
            async for _ in self._partitions.keep(day):
                yield 0
            yield int(await self._partitions.drop(day))


class Rejections:
    """The log of refused deliveries."""

    what: ClassVar[str] = "rejections"

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remove(self, before: datetime) -> AsyncIterator[int]:
        """Removes old ones."""
        old = rejection.c.received_at < before
        some = select(rejection.c.id).where(old).order_by(rejection.c.received_at).limit(STEP)
        while count := await self._delete(some):
            yield count

    async def _delete(self, some: Select[tuple[str]]) -> int:
        async with self._database.writing() as connection:
            return (await connection.execute(delete(rejection).where(rejection.c.id.in_(some)))).rowcount


class ExpiredSecrets:
    """Secrets that were replaced and whose time has passed: nobody can deliver with them any more."""

    what: ClassVar[str] = "secrets"

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remove(self, before: datetime) -> AsyncIterator[int]:
        """Removes them however young they are: a secret is not kept for its own sake."""
        async with self._database.writing() as connection:
            expired = delete(source_secret).where(source_secret.c.expires < now_ms())
            count = (await connection.execute(expired)).rowcount
        yield count


class EndedReplays:
    """Replays that ended long ago, with their work."""

    what: ClassVar[str] = "replays"

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remove(self, before: datetime) -> AsyncIterator[int]:
        """Removes old ones."""
        old = and_(_job.c.done, _job.c.updated < before)
        while count := await self._delete(old):
            yield count

    async def _delete(self, old: ColumnElement[bool]) -> int:
        some = select(replay.c.id).join(_job, _job.c.id == replay.c.id).where(old).order_by(replay.c.id).limit(STEP)
        async with self._database.writing() as connection:
            ids = list((await connection.scalars(some.with_for_update(of=_job, skip_locked=True))).all())
            await connection.execute(delete(replay).where(replay.c.id.in_(ids)))
            await connection.execute(delete(_job).where(_job.c.id.in_(ids)))
        return len(ids)


class FreePages:
    """Pages of an SQLite file that hold nothing: given back where the file is set up for it, else used again."""

    what: ClassVar[str] = "pages"

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remove(self, before: datetime) -> AsyncIterator[int]:
        """Gives them back, some each time."""
        if self._database.dialect != "sqlite" or await self._pragma("auto_vacuum") != _INCREMENTAL:
            return
        while freed := await self._give_back():
            yield freed

    async def _give_back(self) -> int:
        free = await self._pragma("freelist_count")
        async with self._database.writing() as connection:
            # It gives back one page for each row that is fetched, though its rows have no columns: only the driver can.
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.execute_fetchall(f"PRAGMA incremental_vacuum({_PAGES})")
        return free - await self._pragma("freelist_count")

    async def _pragma(self, name: str) -> int:
        async with self._database.reading() as connection:
            return int((await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one())


def _is_old(row: Any, before: datetime) -> bool:
    return bool(row.done) and row.state in _REMOVABLE and row.updated < before
