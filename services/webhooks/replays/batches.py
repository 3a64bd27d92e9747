"""The batches of a replay: which events come next, and their reset in the transaction that ends the step."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, case, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.sql.engine import Database
from libs.work.interventions import SqlInterventions, Standing
from services.webhooks.domain.event import State
from services.webhooks.domain.replays import Replay
from services.webhooks.replays import rows
from services.webhooks.tables import event, replay

LOOK_AHEAD = 256  # events that are looked at for one batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The next events of a replay: how many were looked at, up to which one, and those to take.

    `is_last` where there is nothing behind it.
    """

    looked_at: int
    taken: Sequence[str]
    last_received_at: datetime | None
    last_event: str | None
    is_last: bool


class SqlBatches:
    """Finds the batches of replays, and says how to apply them."""

    def __init__(self, database: Database, interventions: SqlInterventions) -> None:
        self._database = database
        self._interventions = interventions

    async def next(self, subject: Replay, limit: int) -> Batch:
        """The next batch, with at most `limit` events to take; raises InvalidArgument for a filter of other days."""
        selection, began = subject.selection, subject.created
        statement = rows.events_of(rows.selected(selection, began), rows.replayable(selection, began))
        position = select(replay.c.last_received_at, replay.c.last_event).where(replay.c.id == subject.id)
        async with self._database.reading() as connection:
            received_at, event_id = (await connection.execute(position)).one()
            if event_id is not None:
                statement = statement.where(rows.OLDEST_FIRST.after((received_at, event_id)))
            found = (await connection.execute(statement.limit(LOOK_AHEAD))).all()
        looked_at = _share(found, limit)
        if looked_at:
            received_at, event_id = looked_at[-1].received_at, looked_at[-1].id
        return Batch(
            looked_at=len(looked_at),
            taken=[row.id for row in looked_at if row.taken],
            last_received_at=received_at,
            last_event=event_id,
            is_last=len(looked_at) == len(found) < LOOK_AHEAD,
        )

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
        await self._interventions.restart(
            connection, free, state=State.RECEIVED, actor=self._subject.actor, detail={"replay": self._subject.id}
        )
        revived = event.c.id.in_([job.id for job in free]) & (event.c.reason != "")
        await connection.execute(update(event).where(revived).values(reason=""))
        self.replayed, self.skipped = len(free), self._batch.looked_at - len(free)
        await connection.execute(self._counted())

    def _counted(self) -> Any:
        replayed: ColumnElement[int] = replay.c.replayed + self.replayed
        skipped: ColumnElement[int] = replay.c.skipped + self.skipped
        if self._batch.is_last:  # what matched at the start and is gone, or matches no more, was passed over as well
            rest = replay.c.matched - replayed
            skipped = case((rest > skipped, rest), else_=skipped)
        position = {"last_received_at": self._batch.last_received_at, "last_event": self._batch.last_event}
        this = update(replay).where(replay.c.id == self._subject.id)
        return this.values(replayed=replayed, skipped=skipped, **position)


def _share(found: Sequence[Row[Any]], limit: int) -> Sequence[Row[Any]]:
    """The first of these events, up to the last one before more than `limit` would be taken."""
    taken = 0
    for position, row in enumerate(found):
        taken += row.taken
        if taken > limit:
            return found[:position]
    return found


def _is_free(job: Standing, subject: Replay) -> bool:
    """Whether it is still as it was when the batch was read; who came first may have changed it."""
    unchanged = job.done and job.updated <= subject.created
    return not job.leased and (unchanged or job.state == State.UNMATCHED)
