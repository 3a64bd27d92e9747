"""Where imported rows go: beside those of the services, a portion in one transaction, none of them twice.

Their ids come from Kima's, so whoever is killed begins again and finds what is there already.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Table, bindparam, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from deploy.cli.exits import Exit
from deploy.cli.importing.events import ImportedEvent
from libs.crypto.rootkey import FILE, load_root_keys
from libs.errors import FailedPrecondition
from libs.sql.engine import Database, open_database
from libs.sql.migrations import is_current
from libs.sql.types import now_ms
from libs.sql.url import database_url
from libs.work.job import NewJob
from libs.work.outbox import SqlOutbox
from libs.work.store import SqlWorkStore
from services.acquisition import migrations as acquisition_migrations
from services.acquisition import tables as acquisition_tables
from services.acquisition.batches import rows as batch_rows
from services.acquisition.domain.acquisition import Acquisition
from services.acquisition.domain.batch import Batch
from services.acquisition.domain.batches import NewBatch
from services.acquisition.rows import acquisition_row, attempt_row, progress_row
from services.webhooks import migrations as webhooks_migrations
from services.webhooks import rows as event_rows
from services.webhooks import tables as webhooks_tables
from services.webhooks.domain.event import Progress
from services.webhooks.keys import AUDIT_TRAIL, open_keys
from services.webhooks.settings import Settings
from services.webhooks.upkeep.notes import Notes
from services.webhooks.upkeep.partitions import SqlPartitions

ACTOR = "lockgroove import kima"

_HEADS = {"acquisition": acquisition_migrations.HEAD, "webhooks": webhooks_migrations.HEAD}
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' import', 0))")
_DETAIL = {"imported": "Kima"}


class NotReady(FailedPrecondition):
    """There is nothing to import into."""

    reason = "NOT_READY"
    exit_status = Exit.REFUSED


class AcquisitionShelf:
    """Takes acquisitions and batches in that have ended elsewhere."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._jobs = SqlWorkStore(database, acquisition_tables.engine)

    async def missing(self, ids: Sequence[str]) -> set[str]:
        """Those of these jobs that are not there."""
        async with self._database.reading() as connection:
            return await _missing(connection, acquisition_tables.engine.work, ids)

    async def add(self, acquisitions: Sequence[Acquisition]) -> int:
        """Adds those that are not there yet, in one commit; returns how many."""
        async with _alone(self._database) as connection:
            missing = await _missing(connection, acquisition_tables.engine.work, [each.id for each in acquisitions])
            new = list({each.id: each for each in acquisitions if each.id in missing}.values())
            if new:
                await self._jobs.create_many(connection, [_job_of(each) for each in new])
                await _end(connection, acquisition_tables.engine.work, {each.id: each.album.key() for each in new})
                await connection.execute(
                    insert(acquisition_tables.acquisition), [acquisition_row(each) for each in new]
                )
                if attempts := [_attempt_row(each) for each in new if each.attempts]:
                    await connection.execute(insert(acquisition_tables.attempt), attempts)
            return len(new)

    async def add_batches(self, batches: Sequence[Batch]) -> int:
        """Adds those that are not there yet, in one commit; returns how many."""
        async with _alone(self._database) as connection:
            missing = await _missing(connection, acquisition_tables.engine.work, [each.id for each in batches])
            new = list({each.id: each for each in batches if each.id in missing}.values())
            if new:
                await self._jobs.create_many(connection, [_job_of_batch(each) for each in new])
                await _end(connection, acquisition_tables.engine.work, {each.id: None for each in new})
                await connection.execute(insert(acquisition_tables.batch), [_batch_row(each) for each in new])
                albums = [batch_rows.album_row(each.id, album) for each in new for album in each.albums]
                if albums:
                    await connection.execute(insert(acquisition_tables.batch_album), albums)
            return len(new)


class EventShelf:
    """Takes events in that have ended elsewhere, into the audit trail, too."""

    def __init__(self, database: Database, outbox: SqlOutbox) -> None:
        self._database = database
        self._jobs = SqlWorkStore(database, webhooks_tables.work, outbox=outbox)
        key = (webhooks_tables.event.c.source, webhooks_tables.event.c.dedup_key)
        self._insert = (
            event_rows.INSERTS[database.dialect](webhooks_tables.event)
            .values(duplicates=0, updated_at=now_ms(), stored_on=event_rows.TODAY)
            .on_conflict_do_nothing(index_elements=key)
            .returning(webhooks_tables.event.c.id, webhooks_tables.event.c.stored_on)
        )

    async def missing(self, ids: Sequence[str]) -> set[str]:
        """Those of these events that are not there."""
        async with self._database.reading() as connection:
            return await _missing(connection, webhooks_tables.event, ids)

    async def add(self, events: Sequence[ImportedEvent]) -> int:
        """Adds those that are not there yet, in one commit; returns how many."""
        async with _alone(self._database) as connection:
            missing = await _missing(connection, webhooks_tables.event, [each.id for each in events])
            new = list({each.key: each for each in events if each.id in missing}.values())
            if not new:
                return 0
            stored = await connection.execute(self._insert, [_event_row(each) for each in new])
            days = {event_id: day for event_id, day in stored}
            new = [each for each in new if each.id in days]
            bodies = [
                {"stored_on": days[each.id], "event_id": each.id, "headers": {}, "body": each.body} for each in new
            ]
            if bodies:
                await connection.execute(insert(webhooks_tables.event_body), bodies)
                await self._jobs.create_many(connection, [_job_of_event(each) for each in new])
                await _end(connection, webhooks_tables.work.work, {each.id: None for each in new})
            return len(new)


@asynccontextmanager
async def open_acquisitions(environment: Mapping[str, str]) -> AsyncIterator[AcquisitionShelf]:
    """The database of acquisitions. Raises NotReady where the suite of this release has never begun here."""
    async with _open("acquisition", Settings.from_environment(environment)) as database:
        yield AcquisitionShelf(database)


@asynccontextmanager
async def open_events(environment: Mapping[str, str], *, to_read: bool = False) -> AsyncIterator[EventShelf]:
    """The database of events, with the key of its audit trail; `to_read` makes none. Raises NotReady, UnusableKey."""
    settings = Settings.from_environment(environment)
    if not (settings.secret_key or settings.secret_key_file or (settings.home / FILE).exists()):
        raise NotReady(f"{settings.home / FILE} is not there: is LOCKGROOVE_HOME right?")
    async with _open("webhooks", settings) as database:
        roots = load_root_keys(
            settings.home, settings.secret_key, settings.previous_secret_key, mounted=settings.secret_key_file
        )
        safe = await open_keys(database, roots)
        outbox = SqlOutbox(database, webhooks_tables.work, chain_key=safe.key_for(AUDIT_TRAIL))
        if not to_read:
            await SqlPartitions(database, Notes(outbox)).make()
        yield EventShelf(database, outbox)


@asynccontextmanager
async def _open(service: str, settings: Settings) -> AsyncIterator[Database]:
    if not settings.database and not (settings.home / f"{service}.db").exists():
        raise NotReady(f"{settings.home} holds no data of Lockgroove: start it once, or set LOCKGROOVE_HOME")
    url = database_url(home=settings.home, service=service, configured=settings.database)
    async with open_database(url, schema=f"lockgroove_{service}") as database:
        if not await is_current(database, _HEADS[service]):
            raise NotReady(f"{database.place} is of another release: start this one once, then import")
        yield database


@asynccontextmanager
async def _alone(database: Database) -> AsyncIterator[AsyncConnection]:
    """A transaction of the only import at this moment."""
    async with database.writing() as connection:
        if database.dialect == "postgresql":
            await connection.execute(_ONE_AT_A_TIME)
        yield connection


async def _missing(connection: AsyncConnection, table: Table, ids: Sequence[str]) -> set[str]:
    return set(ids) - set((await connection.scalars(select(table.c.id).where(table.c.id.in_(ids)))).all())


async def _end(connection: AsyncConnection, work: Table, keys: Mapping[str, str | None]) -> None:
    """Says that jobs have ended, and by what key a retry is told from another wish for the same."""
    ending = update(work).where(work.c.id == bindparam("p_id")).values(done=True, dedup_key=bindparam("p_key"))
    await connection.execute(ending, [{"p_id": each, "p_key": key} for each, key in keys.items()])


def _job_of(acquisition: Acquisition) -> NewJob:
    queue = acquisition.source.lower()
    return NewJob(id=acquisition.id, queue=queue, kind=queue, state=acquisition.state, actor=ACTOR, detail=_DETAIL)


def _attempt_row(acquisition: Acquisition) -> dict[str, Any]:
    attempt = acquisition.attempts[0]
    return {"acquisition": acquisition.id, **attempt_row(attempt), **progress_row(attempt.progress)}


def _job_of_batch(batch: Batch) -> NewJob:
    return NewJob(id=batch.id, queue="batches", kind="batches", state=batch.state, actor=ACTOR, detail=_DETAIL)


def _batch_row(batch: Batch) -> dict[str, Any]:
    return batch_rows.batch_row(batch, NewBatch(albums=[album.album for album in batch.albums], owner=batch.owner))


def _event_row(event: ImportedEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "dedup_key": event.key,
        "body_size": len(event.body),
        "received_at": event.received,
        "body_sha256": event.sha256,
        "reason": event.reason or "",
    }


def _job_of_event(event: ImportedEvent) -> NewJob:
    return NewJob(
        id=event.id,
        queue=event_rows.QUEUE,
        kind=event_rows.KIND,
        state=event.state,
        data=event_rows.data_of(Progress(tries=event.tries, error=event.error)),
        actor=ACTOR,
        detail={**_DETAIL, "sha256": event.sha256.hex()},
    )
