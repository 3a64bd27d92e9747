"""Holes: events, work and bodies are written together, so one without the others was lost or made by a foreign hand."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Row,
    Table,
    and_,
    delete,
    exists,
    insert,
    or_,
    select,
    true,
    tuple_,
    update,
)

from libs.sql.engine import Database
from libs.work.job import NewJob
from libs.work.store import SqlWorkStore
from services.webhooks.domain.event import State
from services.webhooks.domain.reconciling import Finding, Kind
from services.webhooks.rows import KIND, QUEUE, TODAY
from services.webhooks.tables import KEPT, event, event_body, work
from services.webhooks.upkeep.notes import RECONCILER, Notes
from services.webhooks.upkeep.stuck import FINDINGS, subject_of

CHUNK = 5_000  # rows a read
PASS = 100_000  # rows in a pass; the next one goes on from there

_job = work.work
_NO_WORK = ~exists().where(_job.c.id == event.c.id)
_NO_EVENT = ~exists().where(event.c.id == _job.c.id)
_NO_BODY = ~exists().where(event_body.c.stored_on == event.c.stored_on, event_body.c.event_id == event.c.id)
_NO_LEDGER = ~exists().where(event.c.id == event_body.c.event_id, event.c.stored_on == event_body.c.stored_on)


class Walk:
    """Reads a table in the order of its keys, a bounded piece each time."""

    def __init__(
        self,
        database: Database,
        key: Sequence[Column[Any]],
        *,
        start: tuple[Any, ...],
        wrong: ColumnElement[bool],
        among: Callable[[], ColumnElement[bool]] = true,
    ) -> None:
        self._database = database
        self.key = key
        self._start = self._after = start
        self._wrong = wrong
        self._among = among

    async def look(self, *, stay: bool) -> list[Row[Any]]:
        """The keys of what is wrong in the next piece; with `stay` the next look is at the same piece."""
        after, found = self._after, list[Row[Any]]()
        for _ in range(PASS // CHUNK):
            last, wrong = await self._chunk(after)
            found += wrong[: FINDINGS - len(found)]
            after = self._start if last is None else tuple(last)
            if last is None or len(found) == FINDINGS:
                break
        if not stay:
            self._after = tuple(found[-1]) if len(found) == FINDINGS else after
        return found

    def still_wrong(self, found: Sequence[Row[Any]]) -> ColumnElement[bool]:
        """Those of the found rows that are still wrong."""
        one = self.key[0].in_([row[0] for row in found])
        return and_(one if len(self.key) == 1 else tuple_(*self.key).in_([tuple(row) for row in found]), self._wrong)

    async def _chunk(self, after: tuple[Any, ...]) -> tuple[Row[Any] | None, list[Row[Any]]]:
        key = tuple_(*self.key)
        behind = and_(key > _bound(self.key, after), self._among())
        chunk = select(*self.key).where(behind).order_by(*self.key).limit(CHUNK).subquery()
        ends = select(*chunk.c).order_by(*(column.desc() for column in chunk.c)).limit(1)
        async with self._database.reading() as connection:
            last = (await connection.execute(ends)).first()
            if last is None:
                return None, []
            upto = and_(behind, key <= _bound(self.key, tuple(last)), self._wrong)
            found = await connection.execute(select(*self.key).where(upto).order_by(*self.key).limit(FINDINGS))
            return last, list(found.all())


class MissingWork:
    """Events without work on them: they would never be handled."""

    _correction = "work on it was made: it is handled, perhaps once more, or waits among the dead letters again"

    def __init__(self, database: Database, jobs: SqlWorkStore) -> None:
        self._database = database
        self._jobs = jobs
        self._walk = Walk(database, [event.c.id], start=("",), wrong=_NO_WORK)

    async def find(self) -> Sequence[Finding]:
        """Events without work."""
        return _findings(Kind.WORK_MISSING, [row.id for row in await self._walk.look(stay=True)], self._correction)

    async def correct(self) -> Sequence[Finding]:
        """Makes the work; that is a record of the audit trail by itself."""
        found = [row.id for row in await self._walk.look(stay=False)]
        if not found:
            return []
        still = select(event.c.id, event.c.reason).where(event.c.id.in_(found), _NO_WORK).order_by(event.c.id)
        async with self._database.writing() as connection:
            missing = (await connection.execute(still.with_for_update())).all()
            if missing:
                await self._jobs.create_many(connection, [_work_on(*row) for row in missing])
            if dead := [row.id for row in missing if row.reason]:
                await connection.execute(update(_job).where(_job.c.id.in_(dead)).values(done=True))
        return _findings(Kind.WORK_MISSING, [row.id for row in missing], self._correction)


class MissingBodies:
    """Events whose body is lost: they could neither be read nor handled, and would stop those beside them."""

    _correction = "an empty body was put in its place: what was sent is lost"

    def __init__(self, database: Database, notes: Notes) -> None:
        self._database = database
        self._notes = notes
        self._walk = Walk(database, [event.c.id], start=("",), wrong=_NO_BODY)

    async def find(self) -> Sequence[Finding]:
        """Events without a body."""
        return _findings(Kind.BODY_MISSING, [row.id for row in await self._walk.look(stay=True)], self._correction)

    async def correct(self) -> Sequence[Finding]:
        """Puts an empty body among those that are kept, where there is always room."""
        found = [row.id for row in await self._walk.look(stay=False)]
        if not found:
            return []
        still = select(event.c.id).where(event.c.id.in_(found), _NO_BODY).order_by(event.c.id).with_for_update()
        async with self._database.writing() as connection:
            missing = list((await connection.scalars(still)).all())
            if missing:
                await connection.execute(update(event).where(event.c.id.in_(missing)).values(stored_on=KEPT))
                empty = {"stored_on": KEPT, "headers": {}, "body": b""}
                await connection.execute(insert(event_body), [empty | {"event_id": each} for each in missing])
                self._notes.of_subjects(connection, missing, self._correction)
        return _findings(Kind.BODY_MISSING, missing, self._correction)


class Orphans:
    """Rows whose event is not there: nobody can reach them."""

    _correction = "it was removed"

    def __init__(self, database: Database, notes: Notes, walk: Walk, *, table: Table, kind: Kind) -> None:
        self._database = database
        self._notes = notes
        self._walk = walk
        self._table = table
        self._kind = kind

    async def find(self) -> Sequence[Finding]:
        """Orphans."""
        return _findings(self._kind, [row[-1] for row in await self._walk.look(stay=True)], self._correction)

    async def correct(self) -> Sequence[Finding]:
        """Removes them."""
        found = await self._walk.look(stay=False)
        if not found:
            return []
        orphans = delete(self._table).where(self._walk.still_wrong(found)).returning(self._walk.key[-1])
        async with self._database.writing() as connection:
            removed = sorted((await connection.scalars(orphans)).all())
            self._notes.of_subjects(connection, removed, self._correction)
        return _findings(self._kind, removed, self._correction)


def orphaned_work(database: Database, notes: Notes) -> Orphans:
    """Work on events that are not there: whoever claimed it would find nothing."""
    walk = Walk(database, [_job.c.id], start=("",), wrong=_NO_EVENT, among=lambda: _job.c.kind == KIND)
    return Orphans(database, notes, walk, table=_job, kind=Kind.WORK_ORPHANED)


def orphaned_bodies(database: Database, notes: Notes, days: Callable[[], int]) -> Orphans:
    """Bodies of events that are not there. Those older than `days` leave with their day."""
    key = [event_body.c.stored_on, event_body.c.event_id]

    def young() -> ColumnElement[bool]:
        return or_(event_body.c.stored_on == KEPT, event_body.c.stored_on >= TODAY - days())

    walk = Walk(database, key, start=(KEPT, ""), wrong=_NO_LEDGER, among=young)
    return Orphans(database, notes, walk, table=event_body, kind=Kind.BODY_ORPHANED)


def _work_on(event_id: str, reason: str) -> NewJob:
    """What was given up stays so: a person decides."""
    state = State.DEAD if reason else State.RECEIVED
    return NewJob(id=event_id, queue=QUEUE, kind=KIND, state=state, actor=RECONCILER)


def _bound(key: Sequence[Column[Any]], values: Sequence[Any]) -> ColumnElement[Any]:
    return tuple_(*values, types=[column.type for column in key])


def _findings(kind: Kind, ids: Sequence[str], correction: str) -> list[Finding]:
    return [Finding(kind=kind, subject=subject_of(KIND, each), correction=correction) for each in ids]
