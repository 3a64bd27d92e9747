"""What people do to jobs from outside their steps: start many once more, or put one into another state.

Whoever works on such a job loses its claim, so that what its step was about to write is dropped. The caller locks jobs
first, decides by how they stand, and acts within the same transaction.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Update, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.sql.types import duration_ms, now_ms
from libs.telemetry import correlation
from libs.work.job import NOW, Data
from libs.work.outbox import SqlOutbox
from libs.work.tables import WorkTables


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A job as it stands; `leased` while somebody works on it."""

    id: str
    state: str
    version: int
    done: bool
    leased: bool
    updated: datetime


class SqlInterventions:
    """Changes of jobs by people, each with its row in the outbox."""

    def __init__(self, tables: WorkTables, outbox: SqlOutbox, *, now: ColumnElement[int] | None = None) -> None:
        self._table = tables.work
        self._outbox = outbox
        self._now = now_ms() if now is None else now

    async def lock(self, connection: AsyncConnection, job_ids: Collection[str]) -> dict[str, Standing]:
        """Those of the jobs that exist, locked until the end of the transaction."""
        work = self._table
        leased = work.c.lease_until.is_not(None) & (work.c.lease_until >= self._now)
        statement = (
            select(work.c.id, work.c.state, work.c.version, work.c.done, leased.label("leased"), work.c.updated)
            .where(work.c.id.in_(sorted(job_ids)))
            .order_by(work.c.id)  # as heartbeats and batches do, so that nobody waits for each other
            .with_for_update()
        )
        return {row["id"]: Standing(**row) for row in (await connection.execute(statement)).mappings()}

    async def restart(
        self,
        connection: AsyncConnection,
        jobs: Collection[Standing],
        *,
        state: str,
        data: Data | None = None,
        actor: str = "",
        detail: Data | None = None,
    ) -> None:
        """Starts locked jobs from the beginning, due at once: nothing is left of what their steps had come to."""
        anew: dict[str, Any] = {"done": False, "data": data or {}, "attempt": 0, "crashes": 0, "error": ""}
        anew |= {
            "cancel_requested": False,
            "paused": False,
            "request_id": correlation.request_id.get() or "",
            "traceparent": _trace(),
        }
        statement = self._changed().values(state=state, due=self._now, **anew)
        await self._apply(connection, statement, jobs, state, actor, detail)

    async def move(
        self,
        connection: AsyncConnection,
        job: Standing,
        *,
        state: str,
        done: bool = False,
        delay: timedelta = NOW,
        actor: str = "",
        detail: Data | None = None,
    ) -> None:
        """Puts a locked job into a state, in which it has ended, or is due after a delay; its data stays."""
        due = self._now + duration_ms(delay)
        statement = self._changed().values(state=state, done=done, due=due)
        await self._apply(connection, statement, [job], state, actor, detail)

    def _changed(self) -> Update:
        work = self._table
        return update(work).values(version=work.c.version + 1, updated=self._now, lease_owner=None, lease_until=None)

    async def _apply(
        self,
        connection: AsyncConnection,
        statement: Update,
        jobs: Collection[Standing],
        state: str,
        actor: str,
        detail: Data | None,
    ) -> None:
        if not jobs:
            return
        await connection.execute(statement.where(self._table.c.id.in_([job.id for job in jobs])))
        for job in jobs:
            change = {"job_id": job.id, "version": job.version + 1, "from_state": job.state, "to_state": state}
            self._outbox.append(connection, change | {"actor": actor, "detail": detail or {}})


def _trace() -> str:
    trace = correlation.trace.get()
    return trace.traceparent if trace else ""
