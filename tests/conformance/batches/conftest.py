"""Batches on each kind of database, on clocks that the test moves, with a library on the disk."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path

import pytest

from libs import ids
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.telemetry.metrics import Metrics
from libs.telemetry.tracing import LocalTracer
from libs.work.context import Context
from libs.work.job import Claim, Done, Next, Outcome
from libs.work.metrics import WorkMetrics
from libs.work.store import SqlWorkStore
from services.acquisition import tables
from services.acquisition.batches.following import SqlFollowing
from services.acquisition.batches.library import DiskLibrary
from services.acquisition.batches.metrics import BatchMetrics
from services.acquisition.batches.store import QUEUE, SqlBatchStore
from services.acquisition.batches.worker import LOOK, Ask, BatchWork
from services.acquisition.domain.acquisition import Acquisition, State
from services.acquisition.domain.acquisitions import Acquisitions, Rules
from services.acquisition.domain.album import Album
from services.acquisition.domain.attempt import Failure, Progress, Source
from services.acquisition.domain.batch import Batch
from services.acquisition.domain.batches import Batches, NewBatch
from services.acquisition.domain.bell import Bell
from services.acquisition.domain.files import LibraryFile
from services.acquisition.domain.patience import LATE, Patience
from services.acquisition.domain.wish import Wish
from services.acquisition.store import SqlAcquisitionStore
from tests.support.database_clock import DatabaseClock
from tests.support.schema import open_migrated

TTL = timedelta(seconds=15)
LONGEST_LOOK = LOOK + LATE
FAILURE = Failure(reason="NO_CANDIDATES", message="Nobody has it.")
ARTIST = "The Placeholders"


class StillClock:
    """A process's clock that moves with the database's only."""

    def __init__(self, clock: DatabaseClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        """What the database's clock shows."""
        return self._clock.time

    def monotonic(self) -> float:
        """The same, in seconds."""
        return self._clock.time.timestamp()


def album(title: str) -> Album:
    """An album of the one artist."""
    return Album(artist=ARTIST, title=title)


@dataclass
class Batching:
    """Batches, their acquisitions, one worker, and a library; `another` makes one more worker, which asks so."""

    database: Database
    clock: DatabaseClock
    music: Path
    jobs: SqlWorkStore
    store: SqlAcquisitionStore
    acquisitions: Acquisitions
    batches: Batches
    following: SqlFollowing
    metrics: Metrics
    work: BatchWork
    rules: Rules
    another: Callable[[Ask], BatchWork]

    # What callers do.

    async def create(self, *titles: str, **fields: object) -> Batch:
        """A batch of these albums."""
        new = NewBatch(albums=[album(title) for title in titles], owner="ann", **fields)  # type: ignore[arg-type] # a test's own words
        return await self.batches.create(new)

    async def asked(self, *titles: str, **fields: object) -> Batch:
        """A batch whose acquisitions are made."""
        batch = await self.create(*titles, **fields)
        await self.pass_()
        return await self.batches.get(batch.id)

    async def ask(self, title: str, request_id: str | None = None) -> Acquisition:
        """What somebody else asks for, outside of any batch."""
        return await self.acquisitions.create(Wish(album=album(title), actor="ben", request_id=request_id))

    # What time does.

    async def pass_(self, after: timedelta = timedelta()) -> int:
        """One pass of the worker over what is due then; returns how many batches it looked at."""
        self.clock.advance(after)
        return await self.work.worker.run_once()

    async def settle(self, batch: Batch) -> Batch:
        """Work until the batch has ended or rests; looks are 20 s apart at most."""
        for _ in range(20):
            if not (found := await self.batches.get(batch.id)).active:
                break
            await self.pass_(timedelta(seconds=20))
        return found

    async def wait(self, batch: Batch, time: timedelta, *, look: timedelta = LONGEST_LOOK) -> Batch:
        """Let time pass in which somebody looks as promised, as late as still counts."""
        for _ in range(ceil(time / look)):
            await self.pass_(look)
        return await self.batches.get(batch.id)

    async def claim(self, batch: Batch) -> tuple[Claim, Context]:
        """Take a batch as a worker that nobody drives any further."""
        claims = await self.jobs.claim(QUEUE, ids.new("owner"), 10, TTL)
        [claim] = [claim for claim in claims if claim.id == batch.id]
        return claim, Context(self.jobs, claim)

    # What happens to acquisitions.

    async def of(self, batch: Batch) -> list[Acquisition]:
        """The acquisitions of a batch, in the order of its albums."""
        found = await self.batches.get(batch.id)
        return [await self.store.get(one.acquisition) for one in found.albums if one.acquisition]

    async def completes(self, acquisition: Acquisition) -> list[Path]:
        """Its album is in the library; returns the files."""
        folder = self.music / ARTIST / acquisition.album.title
        folder.mkdir(parents=True)
        files = [folder / "01 One.flac", folder / "02 Two.flac"]
        for file in files:
            file.write_bytes(b"music")
        published = tuple(LibraryFile(path=str(file), size=5, sha256="00") for file in files)
        await self._move(acquisition, state=State.COMPLETED, files=published, ended=self.clock.time)
        return files

    async def fails(self, acquisition: Acquisition) -> None:
        """Nobody has its album."""
        await self._move(acquisition, state=State.FAILED, failure=FAILURE, ended=self.clock.time)

    async def starts(self, acquisition: Acquisition) -> None:
        """It is downloading from somebody, for the first time."""
        trying = acquisition.tried(Source.SOULSEEK, "ada", self.clock.time)
        await self._move(acquisition, state=State.DOWNLOADING, attempts=trying.attempts)

    async def receives(self, acquisition: Acquisition, received: int) -> None:
        """It has got so many bytes."""
        claim = await self._claimed(acquisition)
        await self.store.progress(claim, 1, Progress(received_bytes=received))
        await self.jobs.release(claim, delay=timedelta(days=1))

    async def stops(self, acquisition: Acquisition) -> None:
        """Its worker sees that it is to be cancelled."""
        await self._move(acquisition, state=State.CANCELLED, ended=self.clock.time)

    async def cancels(self) -> list[str]:
        """The titles of what somebody has asked to be cancelled."""
        work, acquisition = tables.engine.work, tables.acquisition
        async with self.database.reading() as connection:
            joined = acquisition.join(work, work.c.id == acquisition.c.id)
            statement = acquisition.select().select_from(joined).where(work.c.cancel_requested)
            return sorted(row.title for row in await connection.execute(statement))

    async def _claimed(self, acquisition: Acquisition) -> Claim:
        async with self.database.writing() as connection:
            await self.jobs.signal(connection, acquisition.id, ids.new("wake"), {})
        claims = await self.jobs.claim("soulseek", "test", 100, TTL)
        for other in claims:
            if other.id != acquisition.id:
                await self.jobs.release(other)
        [claim] = [claim for claim in claims if claim.id == acquisition.id]
        return claim

    async def _move(self, acquisition: Acquisition, **changes: object) -> None:
        claim = await self._claimed(acquisition)
        before = await self.store.get(acquisition.id)
        after = replace(before, **changes)  # type: ignore[arg-type] # a test's own words
        save = self.store.saving(before, after)
        rest = timedelta(days=1)
        outcome: Outcome = (
            Next(state=after.state, delay=rest, write=save) if after.active else Done(state=after.state, write=save)
        )
        async with self.jobs.commit(claim, outcome):
            pass


async def _calmly() -> None:
    """Nothing runs here that could be hurried."""


@pytest.fixture
async def database(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database of each kind with the service's tables, and nothing in them."""
    postgres = request.getfixturevalue("postgres") if dialect == "postgresql" else None
    async with open_migrated(postgres, tmp_path) as database:
        yield database


@pytest.fixture
async def here(database: Database, tmp_path: Path) -> Batching:
    """Fresh batches with a music folder, whose callers do not wait for cancellations."""
    clock, bell, metrics = DatabaseClock(), Bell(), Metrics()
    jobs = SqlWorkStore(database, tables.engine, now=clock.now)
    store = SqlAcquisitionStore(database, jobs, tokens=PageTokens(b"key"))
    still = StillClock(clock)
    here: Batching
    acquisitions = Acquisitions(
        store, rules=lambda: here.rules, bell=bell, hurry=_calmly, clock=still, new_id=ids.new, cancel_wait=0
    )
    following = SqlFollowing(database, jobs, now=clock.now)

    def worker(ask: Ask, metrics: Metrics) -> BatchWork:
        return BatchWork(
            following,
            jobs,
            ask=ask,
            hurry=_calmly,
            library=DiskLibrary(),
            metrics=BatchMetrics(metrics),
            bell=bell,
            clock=still,
            tracer=LocalTracer(),
            steps=WorkMetrics(metrics, still),
            patience=Patience(),
            ttl=TTL,
        )

    batches = Batches(
        SqlBatchStore(database, jobs, tokens=PageTokens(b"key"), now=clock.now),
        bell=bell,
        hurry=_calmly,
        clock=still,
        new_id=ids.new,
        cancel_wait=0,
    )
    here = Batching(
        database=database,
        clock=clock,
        music=tmp_path / "music",
        jobs=jobs,
        store=store,
        acquisitions=acquisitions,
        batches=batches,
        following=following,
        metrics=metrics,
        work=worker(acquisitions.create, metrics),
        rules=Rules(music_path="/music"),
        another=lambda ask: worker(ask, Metrics()),
    )
    return here
