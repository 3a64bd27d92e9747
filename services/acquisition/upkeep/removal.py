"""What the clean-up removes: acquisitions and batches that ended long ago, and what has expired. Never a file."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Table, and_, delete, func, select

from libs.cleanup.remover import STEP, OldRows
from libs.sql.engine import Database
from services.acquisition.tables import engine

_job = engine.work


class EndedJobs:
    """Acquisitions or batches that ended more than so many days ago, however they ended, with all that is theirs.

    That is their work, children, signals and events.
    """

    def __init__(
        self, database: Database, table: Table, *, kind: str, days: Callable[[], int], children: frozenset[str]
    ) -> None:
        self._database = database
        self._table = table
        self._days = days
        self.kind = kind
        self.tables = children | {table.name, _job.name, engine.event.name, engine.signal.name}

    @property
    def rule(self) -> str:
        """For how long they are kept."""
        return f"{self._days()} days after they ended"

    async def count(self, now: datetime) -> int:
        """How many ended long ago."""
        counted = select(func.count()).select_from(self._table.join(_job, _job.c.id == self._table.c.id))
        async with self._database.reading() as connection:
            return int((await connection.execute(counted.where(self._old(now)))).scalar_one())

    async def remove(self, now: datetime) -> AsyncIterator[int]:
        """Removes them, the oldest first; one that somebody starts again right now stays."""
        while count := await self._step(now):
            yield count

    def _old(self, now: datetime) -> ColumnElement[bool]:
        return and_(_job.c.done, self._table.c.ended < now - timedelta(days=self._days()))

    async def _step(self, now: datetime) -> int:
        own = self._table.c
        oldest = (
            select(_job.c.id)
            .join(self._table, own.id == _job.c.id)
            .where(self._old(now))
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


def expired(database: Database, table: Table, *, kind: str, rule: str) -> OldRows:
    """Rows that say themselves until when they hold."""
    return OldRows(database, table, lambda now: table.c.expires < now, kind=kind, rule=lambda: rule)
