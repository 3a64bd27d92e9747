"""The SQL of those who work on batches: how their acquisitions stand, which to stop, and what a step has come to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, exists, func, not_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.sql.engine import Database
from libs.sql.types import now_ms
from libs.work.inbox import NewSignal
from libs.work.job import Claim, Write
from libs.work.store import SqlWorkStore
from services.acquisition.batches.rows import changing_album_row, changing_row
from services.acquisition.batches.store import QUEUE, get
from services.acquisition.domain.acquisition import State
from services.acquisition.domain.attempt import Failure, Source
from services.acquisition.domain.batch import AlbumState, Batch, BatchState, Sighting, Sightings, request_id_of
from services.acquisition.domain.batches import changed
from services.acquisition.domain.files import LibraryFile
from services.acquisition.domain.patience import Watch
from services.acquisition.tables import acquisition, attempt, batch, batch_album, engine, library_file, request

work = engine.work

_QUEUES = tuple(source.lower() for source in Source)
_FOLLOWED = and_(batch_album.c.state == AlbumState.ACTIVE, batch_album.c.acquisition.is_not(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An acquisition that a request of a batch led to; `own` where it was made for it."""

    acquisition: str
    own: bool


class SqlFollowing:
    """What the worker reads and writes. `now` is the clock of the database, except in tests."""

    def __init__(self, database: Database, jobs: SqlWorkStore, *, now: ColumnElement[int] | None = None) -> None:
        self._database = database
        self._jobs = jobs
        self._sightings = _sightings(now_ms() if now is None else now)

    async def get(self, batch_id: str) -> Batch:
        """The batch; raises BatchNotFound."""
        async with self._database.reading() as connection:
            return await get(connection, batch_id)

    async def made(self, batch_id: str, positions: Collection[int]) -> dict[int, Made]:
        """What was made for these albums by a step that did not come to record it."""
        by_request = {request_id_of(batch_id, position): position for position in positions}
        statement = (
            select(request.c.id, acquisition.c.id.label("acquisition"), acquisition.c.batch)
            .join(acquisition, acquisition.c.id == request.c.acquisition)
            .where(request.c.id.in_(by_request))
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return {by_request[row.id]: Made(acquisition=row.acquisition, own=row.batch == batch_id) for row in rows}

    async def sightings(self, batch_id: str) -> Sightings:
        """How the acquisitions of its active albums stand."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(self._sightings, {"p_batch": batch_id})).all()
        return Sightings(by_position={row.position: _sighting(row) for row in rows}, busy=any(row.busy for row in rows))

    async def files(self, batch_id: str) -> dict[int, list[LibraryFile]]:
        """The files of its completed albums, by position."""
        columns = batch_album.c.position, library_file.c.path, library_file.c.size_bytes, library_file.c.sha256
        statement = (
            select(*columns)
            .join(library_file, library_file.c.acquisition == batch_album.c.acquisition)
            .where(batch_album.c.batch == batch_id, batch_album.c.state == AlbumState.COMPLETED)
            .order_by(batch_album.c.position, library_file.c.position)
        )
        found: dict[int, list[LibraryFile]] = {}
        async with self._database.reading() as connection:
            for row in await connection.execute(statement):
                file = LibraryFile(path=row.path, size=row.size_bytes, sha256=row.sha256)
                found.setdefault(row.position, []).append(file)
        return found

    async def stop(self, batch_id: str, acquisitions: Collection[str] | None = None) -> frozenset[str]:
        """Ask for the end of its own acquisitions, or of these of them; returns those that are about to end.

        One that somebody else has asked for meanwhile, by a request or by another batch, goes on for them.
        """
        own = and_(acquisition.c.batch == batch_id, engine.unfinished)
        active = select(work.c.id).join(acquisition, acquisition.c.id == work.c.id).where(own).order_by(work.c.id)
        if acquisitions is not None:
            active = active.where(work.c.id.in_(acquisitions))
        async with self._database.writing() as connection:
            locked = (await connection.scalars(active.with_for_update(of=work))).all()
            shared = await _shared(connection, batch_id, locked)
            alone = [acquisition_id for acquisition_id in locked if acquisition_id not in shared]
            for acquisition_id in alone:
                await self._jobs.request_cancel(connection, acquisition_id, actor=f"batches/{batch_id}")
            return frozenset(alone)

    async def tell_ended(self) -> int:
        """Wake the batches whose acquisitions have ended without their knowing; returns how many there are."""
        known = exists().where(
            engine.signal.c.job_id == batch_album.c.batch, engine.signal.c.event_id == batch_album.c.acquisition
        )
        mine, other = work.alias("mine"), work.alias("other")
        statement = (
            select(batch_album.c.batch, batch_album.c.acquisition)
            .join(mine, mine.c.id == batch_album.c.batch)
            .join(other, other.c.id == batch_album.c.acquisition)
            .where(mine.c.queue == QUEUE, not_(mine.c.done), _FOLLOWED, other.c.done, not_(known))
        )
        async with self._database.reading() as connection:
            ended = (await connection.execute(statement)).all()
        if ended:
            signals = [NewSignal(job_id=row.batch, event_id=row.acquisition, body={}) for row in ended]
            async with self._database.writing() as connection:
                await self._jobs.inbox.put(connection, signals)
        return len({row.batch for row in ended})

    async def active(self) -> int:
        """How many batches have not ended."""
        return sum((await self._jobs.depth(QUEUE)).values())

    async def watched(self, claim: Claim, watch: Watch) -> None:
        """Keep for how long nothing has moved: no change of the batch. Raises ClaimLost."""
        async with self._database.writing() as connection:
            await self._jobs.guard(connection, claim)
            await connection.execute(update(batch).where(batch.c.id == claim.id).values(watch=watch.to_json()))

    def saving(self, before: Batch, after: Batch, *, adopted: Sequence[str] = ()) -> Write:
        """What writes that a step changed, in the transaction that ends it; raises BatchChanged where it was not alone.

        `adopted` were made by a step before, maybe with an older priority.
        """

        async def save(connection: AsyncConnection) -> None:
            found = await connection.scalar(select(work.c.version).where(work.c.id == before.id))
            if found != before.version + 1:  # ours, which ends the step, is the only one since it began
                raise changed(await get(connection, before.id))
            await _save(connection, before, after)
            for acquisition_id in sorted(adopted):
                await self._jobs.set_priority(connection, acquisition_id, after.priority, actor=after.name)

        return save

    def failing(self, claim: Claim, failure: Failure, at: datetime) -> Write:
        """What gives a batch up, whatever its step was about to do."""

        async def fail(connection: AsyncConnection) -> None:
            found = await get(connection, claim.id)
            before = replace(found, state=BatchState(claim.state))  # the end of the step has set the state already
            await _save(connection, before, before.failed(failure, at))

        return fail


async def _save(connection: AsyncConnection, before: Batch, after: Batch) -> None:
    await connection.execute(update(batch).where(batch.c.id == after.id).values(changing_row(after)))
    rows = [
        {"p_position": new.position, **changing_album_row(new)}
        for old, new in zip(before.albums, after.albums, strict=True)
        if old != new
    ]
    if rows:
        this = (batch_album.c.batch == after.id) & (batch_album.c.position == bindparam("p_position"))
        values: dict[str, Any] = {name: bindparam(name) for name in rows[0] if name != "p_position"}
        await connection.execute(update(batch_album).where(this).values(values), rows)


async def _shared(connection: AsyncConnection, batch_id: str, ids: Sequence[str]) -> set[str]:
    """Those of its own that somebody else wants, too: another batch that has not ended, or who made more requests.

    One request is of the batch itself, and one of each other batch, also of one that wants it no more.
    """
    requests = select(request.c.acquisition, func.count()).where(request.c.acquisition.in_(ids))
    batches = select(
        batch_album.c.acquisition, func.count(), func.count().filter(batch_album.c.state == AlbumState.ACTIVE)
    ).where(batch_album.c.acquisition.in_(ids), batch_album.c.batch != batch_id)
    others = {row[0]: (row[1], row[2]) for row in await connection.execute(batches.group_by(batch_album.c.acquisition))}
    shared = {acquisition_id for acquisition_id, (_, active) in others.items() if active}
    for acquisition_id, count in await connection.execute(requests.group_by(request.c.acquisition)):
        if count > 1 + others.get(acquisition_id, (0, 0))[0]:
            shared.add(acquisition_id)
    return shared


def _sightings(now: ColumnElement[int]) -> Select[Any]:
    """The active albums of a batch with their acquisitions. Parameter: p_batch."""
    album = and_(batch_album.c.batch == bindparam("p_batch"), _FOLLOWED)
    tries = (
        select(
            attempt.c.acquisition,
            func.count().label("tries"),
            func.sum(attempt.c.received_bytes).label("received_bytes"),
            func.sum(attempt.c.finished_count).label("finished_count"),
        )
        .where(attempt.c.acquisition.in_(select(batch_album.c.acquisition).where(album)))
        .group_by(attempt.c.acquisition)
        .subquery()
    )
    worker = work.alias("worker")
    busy = exists().where(worker.c.lease_owner.is_not(None), worker.c.lease_until >= now, worker.c.queue.in_(_QUEUES))
    return (
        select(
            batch_album.c.position,
            work.c.state,
            work.c.paused,
            acquisition.c.failure_reason,
            acquisition.c.failure_message,
            tries.c.tries,
            tries.c.received_bytes,
            tries.c.finished_count,
            busy.label("busy"),
        )
        .select_from(batch_album)
        .outerjoin(work, work.c.id == batch_album.c.acquisition)
        .outerjoin(acquisition, acquisition.c.id == work.c.id)
        .outerjoin(tries, tries.c.acquisition == work.c.id)
        .where(album)
    )


def _sighting(row: Row[Any]) -> Sighting:
    if row.state is None:
        return Sighting(state=None)
    failed = row.state == State.FAILED  # of any other, it is why the first source was given up
    numbers = (int(number or 0) for number in (row.tries, row.received_bytes, row.finished_count))
    return Sighting(
        state=State(row.state),
        failure=Failure(reason=row.failure_reason, message=row.failure_message) if failed else None,
        moved=" ".join([row.state, *map(str, numbers)]),
        held=row.paused,
    )
