"""The SQL of batches as people see them: every writer compares the version and counts it up, in one transaction."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.work.interventions import SqlInterventions, Standing
from libs.work.job import NewJob
from libs.work.outbox import SqlOutbox
from libs.work.store import SqlWorkStore
from services.acquisition.batches.rows import (
    BATCHES,
    album_row,
    albums_of,
    batch_row,
    changing_row,
    counts_of,
    matching,
    page_of,
    to_batch,
    to_counts,
)
from services.acquisition.domain.acquisitions import Query
from services.acquisition.domain.album import Album
from services.acquisition.domain.batch import Batch, BatchState, Counts, wrong_state
from services.acquisition.domain.batches import (
    MOST_ALBUMS,
    BatchPage,
    Change,
    NewBatch,
    batch_full,
    changed,
    not_found,
    request_id_reused,
)
from services.acquisition.tables import acquisition, batch, batch_album, engine

QUEUE = "batches"

work = engine.work


class _RequestTaken(Exception):
    """Another call with the same request id came first."""


class SqlBatchStore:
    """Implements `domain.batches.BatchStore`: rows beside jobs of the queue `batches` with the same ids.

    Whoever changes a batch takes it from the worker that may be at it: what that one was about to write is dropped, and
    the next step begins with what it finds. `now` is the clock of the database, except in tests.
    """

    def __init__(
        self, database: Database, jobs: SqlWorkStore, *, tokens: PageTokens, now: ColumnElement[int] | None = None
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._interventions = SqlInterventions(engine, SqlOutbox(database, engine, now=now), now=now)
        self._tokens = tokens

    async def create(self, wanted: Batch, new: NewBatch) -> Batch:
        """`wanted`, or what the request made before; raises RequestIdReused when it asked for something else."""
        if (before := await self._requested(new)) is not None:
            return before
        job = NewJob(id=wanted.id, queue=QUEUE, kind=QUEUE, state=wanted.state, actor=wanted.owner)
        try:
            async with self._database.writing() as connection:
                await self._jobs.create(connection, job)
                await self._insert(connection, wanted, new)
                return await get(connection, wanted.id)
        except _RequestTaken:
            before = await self._requested(new)
            assert before is not None, "a request id is never forgotten"
            return before

    async def get(self, batch_id: str) -> Batch:
        """The batch; raises BatchNotFound."""
        async with self._database.reading() as connection:
            return await get(connection, batch_id)

    async def page(self, query: Query) -> BatchPage:
        """A page of batches; raises InvalidArgument for a bad filter, order or token."""
        wanted = page_of(query, self._tokens)
        statement = wanted.apply(BATCHES.where(matching(query.filter)))
        async with self._database.reading() as connection:
            shown, token = wanted.cut((await connection.execute(statement)).all())
            counts = to_counts((await connection.execute(counts_of(row.id for row in shown))).all())
        none = Counts(total=0, completed=0, failed=0)
        return BatchPage(batches=[(to_batch(row, ()), counts.get(row.id, none)) for row in shown], next_token=token)

    async def change(self, batch_id: str, change: Change, *, etag: str, actor: str) -> Batch:
        """Change it, with the priority of its own acquisitions; one that is so already stays so."""
        async with self._database.writing() as connection:
            job, before = await self._locked(connection, batch_id, etag)
            title = before.title if change.title is None else change.title
            after = replace(before, title=title, priority=change.priority or before.priority)
            if after == before:
                return before
            if after.priority != before.priority:
                await self._prioritise(connection, after, actor)
            await connection.execute(update(batch).where(batch.c.id == batch_id).values(changing_row(after)))
            return await self._moved(connection, job, actor)

    async def add(self, batch_id: str, albums: Sequence[Album], *, etag: str, actor: str) -> Batch:
        """Add albums to one that is DOWNLOADING; without any new one it stays as it is."""
        async with self._database.writing() as connection:
            job, before = await self._locked(connection, batch_id, etag)
            after = before.with_albums(albums)
            if after == before:
                return before
            if len(after.albums) > MOST_ALBUMS:
                raise batch_full(before)
            new = after.albums[len(before.albums) :]
            await connection.execute(insert(batch_album), [album_row(batch_id, album) for album in new])
            return await self._moved(connection, job, actor)

    async def cancel(self, batch_id: str, *, etag: str, actor: str) -> Batch:
        """Ask for the end of an active one; a cancelled one stays as it is."""
        async with self._database.writing() as connection:
            _, found = await self._locked(connection, batch_id, etag)
            if found.state is BatchState.CANCELLED:
                return found
            if not found.active:
                raise wrong_state(found, "cannot be cancelled any more")
            await self._jobs.request_cancel(connection, batch_id, actor=actor)
            return await get(connection, batch_id)

    # Within a transaction.

    async def _insert(self, connection: AsyncConnection, wanted: Batch, new: NewBatch) -> None:
        try:
            await connection.execute(insert(batch), batch_row(wanted, new))
        except IntegrityError as error:
            raise _RequestTaken from error
        await connection.execute(insert(batch_album), [album_row(wanted.id, album) for album in wanted.albums])

    async def _requested(self, new: NewBatch) -> Batch | None:
        if new.request_id is None:
            return None
        same = select(batch.c.id, batch.c.fingerprint).where(batch.c.request_id == new.request_id)
        async with self._database.reading() as connection:
            row = (await connection.execute(same)).first()
            if row is None:
                return None
            if row.fingerprint != new.fingerprint():
                raise request_id_reused()
            return await get(connection, row.id)

    async def _locked(self, connection: AsyncConnection, batch_id: str, etag: str) -> tuple[Standing, Batch]:
        """The batch, which nobody else changes until the end of the transaction; raises BatchChanged."""
        job = (await self._interventions.lock(connection, [batch_id])).get(batch_id)
        found = await get(connection, batch_id)
        if etag and etag != found.etag:
            raise changed(found)
        assert job is not None, "a batch is a row beside its job"
        return job, found

    async def _moved(self, connection: AsyncConnection, job: Standing, actor: str) -> Batch:
        await self._interventions.move(connection, job, state=job.state, done=job.done, actor=actor)
        return await get(connection, job.id)

    async def _prioritise(self, connection: AsyncConnection, changing: Batch, actor: str) -> None:
        if not changing.active:
            raise wrong_state(changing, "acquires nothing any more whose priority could change")
        own = acquisition.c.batch == changing.id
        active = select(work.c.id).join(acquisition, acquisition.c.id == work.c.id).where(own, engine.unfinished)
        for acquisition_id in (await connection.scalars(active.order_by(work.c.id))).all():
            await self._jobs.set_priority(connection, acquisition_id, changing.priority, actor=actor)


async def get(connection: AsyncConnection, batch_id: str) -> Batch:
    """The batch, within a transaction; raises BatchNotFound."""
    row = (await connection.execute(BATCHES.where(batch.c.id == batch_id))).first()
    if row is None:
        raise not_found(batch_id)
    return to_batch(row, (await connection.execute(albums_of(batch_id))).all())
