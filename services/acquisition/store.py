"""All SQL about acquisitions: one method, one transaction."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Executable, Row, Select, Table, insert, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.work.errors import JobActive
from libs.work.inbox import NewSignal
from libs.work.job import Claim, NewJob, Write
from libs.work.store import SqlWorkStore
from services.acquisition.domain.acquisition import Acquisition, State, WrongState
from services.acquisition.domain.acquisitions import AlbumActive, EtagMismatch, Page, Query, not_found
from services.acquisition.domain.attempt import Failure, Progress
from services.acquisition.domain.fact import FactKind, LidarrFact
from services.acquisition.domain.journal import News
from services.acquisition.domain.step import Binding
from services.acquisition.domain.wish import Wish, request_id_reused
from services.acquisition.facts import AudienceQuery
from services.acquisition.listing import matching, page_of
from services.acquisition.rows import (
    ACQUISITIONS,
    acquisition_row,
    attempt_row,
    attempts_of,
    changing_row,
    file_row,
    files_of,
    grouped,
    progress_row,
    to_acquisition,
)
from services.acquisition.tables import (
    acquisition,
    attempt,
    engine,
    library_file,
    lidarr_album,
    lidarr_download,
    request,
)

work = engine.work

_AT_ONCE = 1_000  # ids that one statement asks for
_RUNNING = select(
    attempt.c.acquisition,
    attempt.c.number,
    attempt.c.received_bytes,
    attempt.c.total_bytes,
    attempt.c.finished_count,
    attempt.c.total_count,
    attempt.c.bytes_per_second,
    attempt.c.files,
).where(attempt.c.state == literal_column("'RUNNING'"))  # as the partial index says it


class _RequestTaken(Exception):
    """Somebody else's transaction with the same request id came first: undo ours, and read theirs."""


class SqlAcquisitionStore:
    """Implements the stores of `domain.acquisitions`, `domain.feed` and of the worker."""

    def __init__(self, database: Database, jobs: SqlWorkStore, *, tokens: PageTokens) -> None:
        self._database = database
        self._jobs = jobs
        self._tokens = tokens
        self._audience = AudienceQuery(database.dialect)

    # What callers do.

    async def find_request(self, request_id: str, fingerprint: str) -> Acquisition | None:
        """What the request made; raises RequestIdReused when it asked for something else."""
        async with self._database.reading() as connection:
            return await self._requested(connection, request_id, fingerprint)

    async def create(self, wanted: Acquisition, wish: Wish, *, key: str) -> Acquisition:
        """`wanted`, or the active acquisition with the same key, or what the request made before."""
        if (active := await self._active(wish, key)) is not None:
            return active
        try:
            async with self._database.writing() as connection:
                return await self._create(connection, wanted, wish, key)
        except _RequestTaken:
            async with self._database.reading() as connection:
                made = await self._requested(connection, wish.request_id or "", wish.fingerprint())
            return made or await self.create(wanted, wish, key=key)  # retention has forgotten it this very moment

    async def find(self, acquisition_id: str) -> Acquisition | None:
        """The acquisition, or None."""
        async with self._database.reading() as connection:
            return await _find(connection, acquisition_id)

    async def get(self, acquisition_id: str) -> Acquisition:
        """The acquisition; raises AcquisitionNotFound."""
        async with self._database.reading() as connection:
            return await _get(connection, acquisition_id)

    async def page(self, query: Query) -> Page:
        """A page of acquisitions; raises InvalidArgument for a bad filter, order or token."""
        wanted = page_of(query, self._tokens)
        statement = wanted.apply(ACQUISITIONS.where(matching(query.filter)))
        async with self._database.reading() as connection:
            shown, token = wanted.cut((await connection.execute(statement)).all())
            return Page(acquisitions=await _loaded(connection, shown), next_token=token)

    async def cancel(self, acquisition_id: str, *, etag: str, actor: str) -> Acquisition:
        """Ask for the end of an active one; a cancelled one stays as it is."""
        async with self._database.writing() as connection:
            found = await _locked(connection, acquisition_id, etag)
            if found.state is State.CANCELLED:
                return found
            if not found.active:
                raise WrongState(
                    f"{found.name} is {found.state}: there is nothing to cancel.",
                    metadata={"name": found.name, "state": found.state},
                )
            await self._jobs.request_cancel(connection, acquisition_id, actor=actor)
            return await _get(connection, acquisition_id)

    async def retry(self, acquisition_id: str, *, etag: str, actor: str) -> Acquisition:
        """Queue an ended one again; its attempts stay."""
        try:
            async with self._database.writing() as connection:
                found = await _locked(connection, acquisition_id, etag)
                again = found.retried(found.updated)
                queue = again.current.lower()
                await self._jobs.reopen(
                    connection, acquisition_id, state=again.state, queue=queue, kind=queue, data={}, actor=actor
                )
                await _update(connection, again)
                return await _get(connection, acquisition_id)
        except JobActive as error:
            raise await self._album_active(acquisition_id) from error

    async def set_priority(self, acquisition_id: str, priority: int, *, etag: str, actor: str) -> Acquisition:
        """Let an active one come before or after others."""
        async with self._database.writing() as connection:
            _still_active(await _locked(connection, acquisition_id, etag))
            await self._jobs.set_priority(connection, acquisition_id, priority, actor=actor)
            return await _get(connection, acquisition_id)

    async def set_paused(self, acquisition_id: str, paused: bool, *, etag: str, actor: str) -> Acquisition:
        """Hold an active one where it is, or let it go on."""
        async with self._database.writing() as connection:
            _still_active(await _locked(connection, acquisition_id, etag))
            await self._jobs.set_paused(connection, acquisition_id, paused, actor=actor)
            return await _get(connection, acquisition_id)

    async def report(self, facts: Sequence[LidarrFact]) -> list[list[str]]:
        """Signal whoever waits for the facts, in their order; returns for each the ids of all to whom it belongs."""
        reached: list[list[str]] = []
        signals: list[NewSignal] = []
        bindings: list[dict[str, str]] = []
        async with self._database.writing() as connection:
            audience = await self._audience.read(connection, facts)
            for fact in facts:
                waiting = audience.of(fact)
                reached.append(sorted({*waiting, *audience.known(fact)}))
                if fact.kind is FactKind.GRABBED and fact.download_id:
                    bindings += [{"acquisition": each, "download_id": fact.download_id} for each in waiting]
                body = fact.to_json()
                signals += [NewSignal(job_id=each, event_id=fact.event_id, body=body) for each in waiting]
            if bindings:
                await connection.execute(self._insert(lidarr_download).on_conflict_do_nothing(), bindings)
            await self._jobs.inbox.put(connection, signals)
        return reached

    # What followers read.

    async def head(self) -> int:
        """The number of the newest change."""
        return await self._jobs.last_event()

    async def page_by_id(self, filter_text: str, *, after: str, limit: int) -> list[Acquisition]:
        """Acquisitions that match, in the order of their ids, behind `after`."""
        statement = ACQUISITIONS.where(matching(filter_text), acquisition.c.id > after)
        return await self._read(statement.order_by(acquisition.c.id).limit(limit))

    async def news(self, *, after: int, limit: int) -> News:
        """The next changes, whosever they are."""
        events = await self._jobs.events_after(after, limit)
        return News(changed={event.job_id: event.seq for event in events}, seq=events[-1].seq if events else after)

    async def running(self) -> Mapping[str, object]:
        """Acquisitions with a running attempt, each with a mark that is another one when its progress has grown."""
        async with self._database.reading() as connection:
            return {row[0]: tuple(row[1:]) for row in await connection.execute(_RUNNING)}

    async def matching(self, filters: Collection[str], ids: Collection[str]) -> Mapping[str, list[Acquisition]]:
        """Those of the acquisitions that match, by filter: one statement each, and two for all of them."""
        wanted = {each: ACQUISITIONS.where(matching(each)) for each in filters}
        found: dict[str, list[Acquisition]] = {each: [] for each in filters}
        async with self._database.reading() as connection:
            for start in range(0, len(ids), _AT_ONCE):
                these = acquisition.c.id.in_(sorted(ids)[start : start + _AT_ONCE])
                rows = {each: (await connection.execute(wanted[each].where(these))).all() for each in filters}
                loaded = iter(await _loaded(connection, [row for each in filters for row in rows[each]]))
                for each in filters:
                    found[each] += islice(loaded, len(rows[each]))
        return found

    # What the worker writes.

    def saving(self, before: Acquisition, after: Acquisition, binding: Binding | None = None) -> Write:
        """What writes that a step changed, in the transaction that ends the step."""

        async def save(connection: AsyncConnection) -> None:
            await _update(connection, after)
            await _save_attempts(connection, before, after)
            if after.files and after.files != before.files:
                rows = [file_row(position, file) for position, file in enumerate(after.files, start=1)]
                await connection.execute(insert(library_file), [{"acquisition": after.id, **row} for row in rows])
            if binding is not None:
                await self._bind(connection, after.id, binding)

        return save

    async def give_up(self, connection: AsyncConnection, acquisition_id: str, failure: Failure, at: datetime) -> None:
        """Fail an acquisition, whatever its step was about to do."""
        before = await _get(connection, acquisition_id)
        attempt = before.attempt and before.attempt.failed(failure, at)
        attempts = (*before.attempts[:-1], attempt) if attempt else before.attempts
        after = replace(before, failure=failure, ended=at, attempts=attempts)
        await self.saving(before, after)(connection)

    async def progress(self, claim: Claim, number: int, progress: Progress) -> None:
        """How far a running attempt is; raises ClaimLost when the step has lost its job."""
        this = (attempt.c.acquisition == claim.id) & (attempt.c.number == number)
        async with self._database.writing() as connection:
            await self._jobs.guard(connection, claim)
            await connection.execute(update(attempt).where(this).values(progress_row(progress)))

    async def ended(self, ids: Collection[str]) -> list[str]:
        """Those of these acquisitions that have ended; of one that is not known nobody can say that."""
        async with self._database.reading() as connection:
            return await _ids(connection, select(work.c.id).where(work.c.id.in_(ids), work.c.done))

    # Within a transaction.

    async def _active(self, wish: Wish, key: str) -> Acquisition | None:
        """The active acquisition with the key, where nothing is to be remembered: so many callers wait for no write."""
        if wish.request_id:
            return None
        async with self._database.reading() as connection:
            rows = (await connection.execute(ACQUISITIONS.where(work.c.dedup_key == key, engine.unfinished))).all()
            found = next(iter(await _loaded(connection, rows)), None)
        return None if found is None or _joins(wish, found) else found

    async def _create(self, connection: AsyncConnection, wanted: Acquisition, wish: Wish, key: str) -> Acquisition:
        queue = wanted.source.lower()
        job = NewJob(
            id=wanted.id,
            queue=queue,
            kind=queue,
            state=wanted.state,
            dedup_key=key,
            priority=wanted.priority,
            actor=wish.actor,
        )
        winner = await self._jobs.create(connection, job)
        if winner == wanted.id:
            await connection.execute(insert(acquisition).values(acquisition_row(wanted)))
        found = await _get(connection, winner)
        if wish.request_id or _joins(wish, found):
            await self._remember(connection, wish, winner, wanted)
        return found

    async def _remember(self, connection: AsyncConnection, wish: Wish, winner: str, wanted: Acquisition) -> None:
        statement = self._insert(request).values(
            id=wish.request_id or wanted.id, fingerprint=wish.fingerprint(), acquisition=winner, created=wanted.created
        )
        kept = await connection.execute(statement.on_conflict_do_nothing().returning(request.c.id))
        if kept.first() is None:
            raise _RequestTaken

    async def _requested(self, connection: AsyncConnection, request_id: str, fingerprint: str) -> Acquisition | None:
        row = (await connection.execute(select(request).where(request.c.id == request_id))).first()
        if row is None:
            return None
        if row.fingerprint != fingerprint:
            raise request_id_reused()
        return await _get(connection, row.acquisition)

    async def _album_active(self, acquisition_id: str) -> AlbumActive:
        key = select(work.c.dedup_key).where(work.c.id == acquisition_id).scalar_subquery()
        async with self._database.reading() as connection:
            other = await connection.scalar(select(work.c.id).where(work.c.dedup_key == key, engine.unfinished))
        name = f"acquisitions/{other or acquisition_id}"
        return AlbumActive(f"The album is being acquired already, by {name}.", metadata={"name": name})

    async def _bind(self, connection: AsyncConnection, acquisition_id: str, binding: Binding) -> None:
        row = {"album_id": binding.album_id, "release_group_mbid": binding.release_group_mbid}
        statement = self._insert(lidarr_album).values(acquisition=acquisition_id, **row)
        await connection.execute(statement.on_conflict_do_update(index_elements=["acquisition"], set_=row))
        for download_id in binding.download_ids:
            await self._bind_download(connection, acquisition_id, download_id)

    async def _bind_download(self, connection: AsyncConnection, acquisition_id: str, download_id: str) -> None:
        statement = self._insert(lidarr_download).values(acquisition=acquisition_id, download_id=download_id)
        await connection.execute(statement.on_conflict_do_nothing())

    def _insert(self, table: Table) -> Any:
        """Either dialect's INSERT: ON CONFLICT is spelled the same, but by two classes without a common one."""
        return postgresql.insert(table) if self._database.dialect == "postgresql" else sqlite.insert(table)

    async def _read(self, statement: Select[Any]) -> list[Acquisition]:
        async with self._database.reading() as connection:
            return await _loaded(connection, (await connection.execute(statement)).all())


def _joins(wish: Wish, found: Acquisition) -> bool:
    """Whether somebody else joins a batch's acquisition: then its batch alone must not stop it."""
    return bool(found.batch) and found.batch != wish.batch


async def _ids(connection: AsyncConnection, statement: Executable) -> list[str]:
    return list((await connection.scalars(statement)).all())


async def _find(connection: AsyncConnection, acquisition_id: str) -> Acquisition | None:
    rows = (await connection.execute(ACQUISITIONS.where(acquisition.c.id == acquisition_id))).all()
    return next(iter(await _loaded(connection, rows)), None)


async def _get(connection: AsyncConnection, acquisition_id: str) -> Acquisition:
    found = await _find(connection, acquisition_id)
    if found is None:
        raise not_found(acquisition_id)
    return found


async def _locked(connection: AsyncConnection, acquisition_id: str, etag: str) -> Acquisition:
    """The acquisition, which nobody else changes until the end of the transaction; raises EtagMismatch."""
    await connection.execute(select(work.c.id).where(work.c.id == acquisition_id).with_for_update())
    found = await _get(connection, acquisition_id)
    if etag and etag != found.etag:
        raise EtagMismatch(
            f"{found.name} has changed: read it again.", metadata={"name": found.name, "etag": found.etag}
        )
    return found


def _still_active(found: Acquisition) -> None:
    if not found.active:
        raise WrongState(f"{found.name} is {found.state}.", metadata={"name": found.name, "state": found.state})


async def _loaded(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> list[Acquisition]:
    """The acquisitions of these rows, with their children, in the order of the rows."""
    ids = {row.id for row in rows}
    if not ids:
        return []
    attempts = grouped((await connection.execute(attempts_of(ids))).all())
    files = grouped((await connection.execute(files_of(ids))).all())
    return [to_acquisition(row, attempts.get(row.id, ()), files.get(row.id, ())) for row in rows]


async def _update(connection: AsyncConnection, changed: Acquisition) -> None:
    await connection.execute(update(acquisition).where(acquisition.c.id == changed.id).values(changing_row(changed)))


async def _save_attempts(connection: AsyncConnection, before: Acquisition, after: Acquisition) -> None:
    known = {one.number: one for one in before.attempts}
    for one in after.attempts:
        old = known.get(one.number)
        if old is None:
            row = {"acquisition": after.id, **attempt_row(one), **progress_row(one.progress)}
            await connection.execute(insert(attempt).values(row))
        elif old != one:
            # Progress that the step did not touch may have grown meanwhile, by `progress`.
            grown = {} if one.progress == old.progress else progress_row(one.progress)
            this = (attempt.c.acquisition == after.id) & (attempt.c.number == one.number)
            await connection.execute(update(attempt).where(this).values({**attempt_row(one), **grown}))
