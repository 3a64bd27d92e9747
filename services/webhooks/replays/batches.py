"""The batches of a replay: which events come next, and their reset in the transaction that ends the step."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, case, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.sql.engine import Database
from libs.work.interventions import SqlInterventions, Standing
from services.webhooks.domain.event import Progress, State
from services.webhooks.domain.replays import Replay
from services.webhooks.replays import rows
from services.webhooks.rows import data_of
from services.webhooks.tables import event, replay

WINDOW = 256  # events that one statement looks at
WINDOWS = 32  # for one batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The next events of a replay: how many match, those of them to take, and the place of the last one looked at.

    `is_full` where no more may be taken, `is_last` where there is nothing behind it.
    """

    place: tuple[datetime, str] | None
    matching: int = 0
    taken: tuple[str, ...] = ()
    is_full: bool = False
    is_last: bool = False


class SqlBatches:
    """Finds the batches of replays, and says how to apply them."""

    def __init__(self, database: Database, interventions: SqlInterventions) -> None:
        self._database = database
        self._interventions = interventions

    async def next(self, subject: Replay, limit: int) -> Batch:
        """The next batch, with at most `limit` events to take; raises InvalidArgument for a filter of other days."""
        position = select(replay.c.last_received_at, replay.c.last_event).where(replay.c.id == subject.id)
        async with self._database.reading() as connection:
            received_at, event_id = (await connection.execute(position)).one()
            batch = Batch(place=None if event_id is None else (received_at, event_id))
            for _ in range(WINDOWS):
                batch = _joined(batch, await self._window(connection, subject, batch.place), limit)
                if batch.is_full or batch.is_last:
                    break
        return batch

    async def _window(
        self, connection: AsyncConnection, subject: Replay, place: tuple[datetime, str] | None
    ) -> Sequence[Row[Any]]:
        selection, began = subject.selection, subject.created
        seen = rows.window(selection, place, WINDOW)
        statement = rows.judged(seen, rows.selected(selection, began), rows.replayable(selection, began))
        found: Sequence[Row[Any]] = (await connection.execute(statement)).all()
        return found

    def resetting(self, subject: Replay, batch: Batch) -> "Reset":
        """What goes into the transaction that ends the step."""
        return Reset(self._interventions, subject, batch)


class Reset:
    """Lets the events of a batch begin anew and counts them. Afterwards it knows how many were `replayed`."""

    def __init__(self, interventions: SqlInterventions, subject: Replay, batch: Batch) -> None:
        self._interventions = interventions
        self._subject = subject
        self._batch = batch
        self.replayed = 0
        self.skipped = 0

    async def __call__(self, connection: AsyncConnection) -> None:
        """Does it in this transaction."""
        standing = await self._interventions.lock(connection, self._batch.taken)
        free = [job for job in standing.values() if _is_free(job, self._subject)]
        data, detail = data_of(Progress(again=self._subject.selection.force)), {"replay": self._subject.id}
        await self._interventions.restart(
            connection, free, state=State.RECEIVED, data=data, actor=self._subject.actor, detail=detail
        )
        revived = event.c.id.in_([job.id for job in free]) & (event.c.reason != "")
        await connection.execute(update(event).where(revived).values(reason=""))
        self.replayed, self.skipped = len(free), self._batch.matching - len(free)
        await connection.execute(self._counted())

    def _counted(self) -> Any:
        replayed: ColumnElement[int] = replay.c.replayed + self.replayed
        skipped: ColumnElement[int] = replay.c.skipped + self.skipped
        if self._batch.is_last:  # what matched at the start and is gone, or matches no more, was passed over as well
            rest = replay.c.matched - replayed
            skipped = case((rest > 0, rest), else_=0)
        this = update(replay).where(replay.c.id == self._subject.id).values(replayed=replayed, skipped=skipped)
        if self._batch.place is None:
            return this
        received_at, event_id = self._batch.place
        return this.values(last_received_at=received_at, last_event=event_id)


def _joined(batch: Batch, seen: Sequence[Row[Any]], limit: int) -> Batch:
    """The batch with what was seen behind it, as far as there is room for what is to be taken."""
    taken = list(batch.taken)
    matching, place = batch.matching, batch.place
    for row in seen:
        if row.matches and row.taken:
            if len(taken) == limit:
                return Batch(place=place, matching=matching, taken=tuple(taken), is_full=True)
            taken.append(row.id)
        matching += bool(row.matches)
        place = row.received_at, row.id
    return Batch(place=place, matching=matching, taken=tuple(taken), is_last=len(seen) < WINDOW)


def _is_free(job: Standing, subject: Replay) -> bool:
    """Whether it is still as it was when the batch was read; who came first may have changed it."""
    unchanged = job.done and job.updated <= subject.created
    return not job.leased and (unchanged or job.state == State.UNMATCHED)
