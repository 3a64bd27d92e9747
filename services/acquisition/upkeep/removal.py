"""What retention removes, a bounded step each time: what ended long ago, and what has expired. Never a file."""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import Column, ColumnElement, Table, delete, select, tuple_

from libs.sql.engine import Database
from libs.sql.types import duration_ms, now_ms
from services.acquisition.tables import engine

STEP = 200  # rows a transaction: on SQLite others wait for its end

_job = engine.work


class EndedJobs:
    """Acquisitions or batches that ended more than so many days ago, with their work, children, signals and events.

    `now` is the database's clock in milliseconds, except in tests.
    """

    def __init__(
        self, database: Database, table: Table, *, days: Callable[[], int], now: ColumnElement[int] | None = None
    ) -> None:
        self._database = database
        self._table = table
        self._days = days
        self._now = now_ms() if now is None else now
        self.what = table.name

    async def step(self) -> int:
        """Removes some of the oldest; returns how many. One that somebody starts again right now stays."""
        own = self._table.c
        old = own.ended < self._now - duration_ms(timedelta(days=self._days()))
        oldest = (
            select(_job.c.id)
            .join(self._table, own.id == _job.c.id)
            .where(_job.c.done, old)
            .order_by(own.ended, own.id)
            .limit(STEP)
            .with_for_update(of=_job, skip_locked=True)
        )
        async with self._database.writing() as connection:
            ids = list((await connection.scalars(oldest)).all())
            if ids:
                await connection.execute(delete(engine.event).where(engine.event.c.job_id.in_(ids)))
                await connection.execute(delete(_job).where(_job.c.id.in_(ids)))
        return len(ids)


class Expired:
    """Rows that say themselves until when they hold."""

    def __init__(self, database: Database, table: Table) -> None:
        self._database = database
        self._table = table
        self.what = table.name

    async def step(self) -> int:
        """Removes some; returns how many."""
        key: list[Column[object]] = list(self._table.primary_key)
        gone: ColumnElement[bool] = self._table.c.expires < now_ms()
        some = select(*key).where(gone).limit(STEP)
        statement = delete(self._table).where(tuple_(*key).in_(some), gone)
        async with self._database.writing() as connection:
            return (await connection.execute(statement)).rowcount
