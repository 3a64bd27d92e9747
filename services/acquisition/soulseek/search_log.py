"""When searches were sent: in the service's database, or in memory."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.clock import Clock, SystemClock
from libs.sql.engine import Database
from libs.sql.types import from_millis, now_ms
from services.acquisition.domain.searching import Room
from services.acquisition.soulseek.search_gate import Budget

_NOTHING = timedelta()


class SqlSearchLog:
    """Remembers searches over restarts and for all replicas, by the database's clock: those of hosts disagree.

    At most a window's worth of rows is kept.
    """

    def __init__(self, database: Database, table: Table, *, now: ColumnElement[int] | None = None) -> None:
        self._database = database
        self._table = table
        self._sent: Column[Any] = table.c.sent
        self._now = select(now_ms() if now is None else now)

    async def admit(self, budget: Budget) -> timedelta:
        """Zero: one more is sent now, and remembered. Else how long to wait."""
        async with self._database.writing() as connection:
            await self._lock(connection)
            now = await self._time(connection)
            # After a clock was set back, so that they leave the window after its time, and not once it has caught up.
            await connection.execute(update(self._table).where(self._sent > now).values(sent=now))
            wait = budget.wait(await self._since(connection, now - budget.window), now)
            if wait == _NOTHING:
                await connection.execute(delete(self._table).where(self._sent <= now - budget.window))
                await connection.execute(insert(self._table).values(sent=now))
            return wait

    async def room(self, budget: Budget) -> Room:
        """What is left, for those who only want to know."""
        async with self._database.reading() as connection:
            now = await self._time(connection)
            sent = await self._since(connection, now - budget.window)
        return Room(left=budget.left(sent, now), wait=budget.wait(sent, now))

    async def _lock(self, connection: AsyncConnection) -> None:
        """One admission at a time; on SQLite there is one writer anyhow."""
        if self._database.dialect == "postgresql":
            await connection.execute(text(f"LOCK TABLE {self._table.name} IN SHARE ROW EXCLUSIVE MODE"))

    async def _time(self, connection: AsyncConnection) -> datetime:
        return from_millis((await connection.execute(self._now)).scalar_one())

    async def _since(self, connection: AsyncConnection, moment: datetime) -> Sequence[datetime]:
        rows = await connection.execute(select(self._sent).where(self._sent > moment).order_by(self._sent))
        return [row.sent for row in rows]


class MemorySearchLog:
    """Forgets everything at the end of the process."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._sent: list[datetime] = []

    async def admit(self, budget: Budget) -> timedelta:
        """Zero: one more is sent now, and remembered. Else how long to wait."""
        now = self._clock.now()
        self._sent = [min(moment, now) for moment in self._sent]
        if (wait := budget.wait(self._sent, now)) == _NOTHING:
            self._sent = [*(moment for moment in self._sent if moment > now - budget.window), now]
        return wait

    async def room(self, budget: Budget) -> Room:
        """What is left, for those who only want to know."""
        now = self._clock.now()
        return Room(left=budget.left(self._sent, now), wait=budget.wait(self._sent, now))
