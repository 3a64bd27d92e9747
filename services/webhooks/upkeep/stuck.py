"""Work that does not go on by itself: leases of the dead, and what is long due or could be matched now."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, exists, or_, select, update

from libs.errors import AppError
from libs.sql.engine import Database
from libs.sql.types import duration_ms, now_ms
from services.webhooks.domain.event import State
from services.webhooks.domain.reconciling import Finding, Kind
from services.webhooks.rows import KIND
from services.webhooks.tables import work
from services.webhooks.upkeep.notes import Notes

FINDINGS = 100  # of one kind in a pass
OVERDUE = timedelta(minutes=2)
CLOCKS_APART = timedelta(minutes=1)  # at most, of two services
_ALL_QUEUES = "*"

Wake = Callable[[], None]

_job = work.work
_FREE = _job.c.lease_owner.is_(None)


class ExpiredLeases:
    """Jobs whose holder died: the next claim would take them, too, but somebody has to say so."""

    _correction = "the lease was taken from its dead holder: it can be claimed by anybody"

    def __init__(self, database: Database, notes: Notes, wake: Wake) -> None:
        self._database = database
        self._notes = notes
        self._wake = wake
        self._expired = and_(work.unfinished, _job.c.lease_owner.is_not(None), _job.c.lease_until < now_ms())

    async def find(self) -> Sequence[Finding]:
        """Expired leases."""
        async with self._database.reading() as connection:
            found = (await connection.execute(_some(self._expired))).all()
        return _findings(Kind.LEASE_EXPIRED, found, self._correction)

    async def correct(self) -> Sequence[Finding]:
        """Frees them; each counts as a crash, as it would have for the next claim."""
        pick = _some(self._expired).with_for_update(of=_job, skip_locked=True).cte("pick")
        freed = (
            update(_job)
            .where(_job.c.id == pick.c.id)
            .values(lease_owner=None, lease_until=None, crashes=_job.c.crashes + 1)
            .returning(_job.c.id, _job.c.kind, _job.c.version, _job.c.state)
        )
        if not await self.find():
            return []
        async with self._database.writing() as connection:
            found = (await connection.execute(freed)).all()
            self._notes.of_work(connection, found, self._correction)
        if found:
            self._wake()
        return _findings(Kind.LEASE_EXPIRED, found, self._correction)


class OverdueWork:
    """Jobs that are long due and were not taken, although nothing keeps them: not a switch, nor an earlier job."""

    _correction = "the workers were woken"

    def __init__(self, database: Database, notes: Notes, wake: Wake) -> None:
        self._database = database
        self._notes = notes
        self._wake = wake
        due = _job.c.due < now_ms() - duration_ms(OVERDUE)
        self._overdue = _some(and_(work.unfinished, _FREE, due, ~_switched_off(), ~_in_the_way()))

    async def find(self) -> Sequence[Finding]:
        """Overdue jobs."""
        return _findings(Kind.RETRY_OVERDUE, await self._read(), self._correction)

    async def correct(self) -> Sequence[Finding]:
        """Wakes the workers; the jobs keep their places."""
        found = await self._read()
        if found:
            async with self._database.writing() as connection:
                self._notes.of_work(connection, found, self._correction)
            self._wake()
        return _findings(Kind.RETRY_OVERDUE, found, self._correction)

    async def _read(self) -> list[Row[Any]]:
        async with self._database.reading() as connection:
            return list((await connection.execute(self._overdue)).all())


class OutdatedMatches:
    """Events that nobody waited for when they were last handled, though acquisitions were made or changed since."""

    _correction = "it is matched once more: an acquisition was made or changed since"

    def __init__(
        self, database: Database, notes: Notes, wake: Wake, *, newest: Callable[[], Awaitable[datetime | None]]
    ) -> None:
        self._database = database
        self._notes = notes
        self._wake = wake
        self._newest = newest
        self._unmatched = and_(work.unfinished, _FREE, _job.c.state == State.UNMATCHED, _job.c.due > now_ms())

    async def find(self) -> Sequence[Finding]:
        """Events to be matched once more, or that it is unknown."""
        try:
            outdated = await self._outdated()
        except AppError as error:
            return [_unknown(error)]
        if outdated is None:
            return []
        async with self._database.reading() as connection:
            found = (await connection.execute(_some(outdated))).all()
        return _findings(Kind.MATCH_OVERDUE, found, self._correction)

    async def correct(self) -> Sequence[Finding]:
        """Makes them due."""
        try:
            outdated = await self._outdated()
        except AppError as error:
            return [_unknown(error)]
        if outdated is None:
            return []
        pick = _some(outdated).with_for_update(of=_job, skip_locked=True).cte("pick")
        due = update(_job).where(_job.c.id == pick.c.id).values(due=now_ms())
        async with self._database.writing() as connection:
            returned = due.returning(_job.c.id, _job.c.kind, _job.c.version, _job.c.state)
            found = (await connection.execute(returned)).all()
            self._notes.of_work(connection, found, self._correction)
        if found:
            self._wake()
        return _findings(Kind.MATCH_OVERDUE, found, self._correction)

    async def _outdated(self) -> ColumnElement[bool] | None:
        """Which events are outdated; None where none can be. Acquisitions are asked only where an event waits."""
        async with self._database.reading() as connection:
            if (await connection.execute(_some(self._unmatched).limit(1))).first() is None:
                return None
        newest = await self._newest()
        return None if newest is None else and_(self._unmatched, _job.c.updated < newest + CLOCKS_APART)


def subject_of(kind: str, job_id: str) -> str:
    """The resource that a job is or works on: `events/{event}`, `replays/{replay}`."""
    return f"{'events' if kind == KIND else kind}/{job_id}"


def _some(wrong: ColumnElement[bool]) -> Select[Any]:
    columns = (_job.c.id, _job.c.kind, _job.c.version, _job.c.state)
    return select(*columns).where(wrong).order_by(_job.c.due).limit(FINDINGS)


def _findings(kind: Kind, jobs: Iterable[Row[Any]], correction: str) -> list[Finding]:
    return [Finding(kind=kind, subject=subject_of(job.kind, job.id), correction=correction) for job in jobs]


def _unknown(error: AppError) -> Finding:
    correction = f"nothing: acquisitions could not be asked ({error.message})"
    return Finding(kind=Kind.UNKNOWN, subject="services/acquisition", correction=correction)


def _switched_off() -> ColumnElement[bool]:
    queue = work.queue
    return exists().where(or_(queue.c.name == _ALL_QUEUES, queue.c.name == _job.c.queue), queue.c.paused)


def _in_the_way() -> ColumnElement[bool]:
    """Another job with the same order key, which is to be handled first or is being handled."""
    other = _job.alias("other")
    first = or_(other.c.lease_owner.is_not(None), and_(other.c.id < _job.c.id, other.c.state != State.UNMATCHED))
    same = and_(other.c.order_key.is_not(None), other.c.order_key == _job.c.order_key, other.c.id != _job.c.id)
    return exists().where(~other.c.done, same, first)
