"""Works on batches: asks for their albums, follows what comes of them, looks for it in the library, stops them.

A step reads, decides on what it read, and writes only if the batch is still the one that it read. Looking without
seeing anything new is no change: the claim is given back, and the version stays.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from libs.clock import Clock
from libs.errors import AppError, FailedPrecondition, InvalidArgument
from libs.telemetry.logger import get_logger
from libs.telemetry.tracing import Tracer
from libs.work.context import Context
from libs.work.endings import Endings, backed_off, explained
from libs.work.errors import ClaimLost, NotUnderstood
from libs.work.job import NOW, Claim, Done, Finish, Next, Outcome
from libs.work.metrics import WorkMetrics
from libs.work.store import SqlWorkStore
from libs.work.worker import Worker
from services.acquisition.batches.following import Made, SqlFollowing
from services.acquisition.batches.metrics import BatchMetrics
from services.acquisition.batches.store import QUEUE
from services.acquisition.domain.acquisition import Acquisition
from services.acquisition.domain.attempt import Failure
from services.acquisition.domain.batch import (
    LIBRARY_UNREADABLE,
    AlbumState,
    Batch,
    BatchAlbum,
    BatchState,
    request_id_of,
)
from services.acquisition.domain.batches import BatchChanged, changed
from services.acquisition.domain.bell import Bell
from services.acquisition.domain.patience import Patience
from services.acquisition.domain.scan import Library, scan
from services.acquisition.domain.wish import RequestIdReused, Wish

log = get_logger()

TTL = timedelta(seconds=15)
BATCHES_AT_ONCE = 4
ASKED_AT_ONCE = 20  # albums of a step
LOOK = timedelta(seconds=15)  # from one look to the next, unless an acquisition ends before
STOPPING = timedelta(seconds=1)  # the same while acquisitions are being stopped
MOST_FAILURES = 8  # of one step, by errors that nobody foresaw

Ask = Callable[[Wish], Awaitable[Acquisition]]
Stops = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest(Next):
    """Nothing of the batch has changed, not even its version: look again after the delay."""


class BatchWork:
    """The steps of batches. `ask` makes acquisitions; `hurry` lets those that run see that they are to be stopped."""

    def __init__(
        self,
        following: SqlFollowing,
        jobs: SqlWorkStore,
        *,
        ask: Ask,
        hurry: Stops,
        library: Library,
        metrics: BatchMetrics,
        bell: Bell,
        clock: Clock,
        tracer: Tracer,
        steps: WorkMetrics,
        patience: Patience,
        ttl: timedelta = TTL,
    ) -> None:
        self._following = following
        self._jobs = jobs
        self._ask = ask
        self._hurry = hurry
        self._library = library
        self._metrics = metrics
        self._bell = bell
        self._clock = clock
        self._patience = patience
        self.worker = Worker(
            jobs,
            {QUEUE: self.step},
            queue=QUEUE,
            endings=Endings(cancelled=self.cancelled, crash_loop=self.crash_loop, failed=self.failed),
            clock=clock,
            concurrency=BATCHES_AT_ONCE,
            ttl=ttl,
            finish=self._finish,
            tracer=tracer,
            metrics=steps,
        )

    async def step(self, claim: Claim, context: Context) -> Outcome:
        """Do the next thing for a batch."""
        batch = await self._following.get(claim.id)
        await context.ensure_running()
        if batch.state is BatchState.SCANNING:
            return await self._scanned(claim, batch)
        if batch.state is not BatchState.DOWNLOADING:
            raise NotUnderstood(f"{batch.name} is {batch.state} and has no step")
        return await (self._asked(batch) if batch.unasked else self._followed(claim, batch))

    async def cancelled(self, claim: Claim, context: Context) -> Outcome:
        """First stop its acquisitions, then the batch."""
        batch = await self._following.get(claim.id)
        if await self._stop(batch):
            return Rest(state=batch.state, delay=STOPPING)
        now = self._clock.now()
        seen = batch.seen(await self._following.sightings(batch.id), now)
        return self._moved(batch, seen.cancelled(now))

    async def crash_loop(self, claim: Claim, context: Context) -> Outcome:
        """End a batch whose step brings down one process after the other."""
        message = f"Its step {claim.state} ended {claim.crashes} times without a word. Look into the logs."
        return self._given_up(claim, Failure(reason="CRASH_LOOP", message=message))

    def failed(self, claim: Claim, error: Exception) -> Outcome:
        """Begin anew where somebody else was first; try again after an error that nobody foresaw, not for ever."""
        if isinstance(error, BatchChanged):
            return Rest(state=claim.state)
        if claim.attempt + 1 < MOST_FAILURES:
            return backed_off(claim, error)
        reason = error.code_reason if isinstance(error, AppError) else "INTERNAL"
        return self._given_up(claim, Failure(reason=reason, message=f"{explained(error)} Look into the logs."))

    # DOWNLOADING.

    async def _asked(self, batch: Batch) -> Outcome:
        """Ask for some more of the albums, by requests that may be repeated."""
        some = batch.unasked[:ASKED_AT_ONCE]
        made = await self._following.made(batch.id, [album.position for album in some])
        albums = [await self._asked_for(batch, album, made) for album in some]
        adopted = [one.acquisition for one in made.values() if one.own]
        after = batch.with_changed(albums).settled(self._clock.now())
        return self._moved(batch, after, adopted=adopted)

    async def _asked_for(self, batch: Batch, album: BatchAlbum, made: Mapping[int, Made]) -> BatchAlbum:
        if (before := made.get(album.position)) is not None:
            return album.asked(before.acquisition, own=before.own)
        wish = Wish(
            album=album.album,
            source=batch.source,
            fallback=batch.fallback,
            priority=batch.priority,
            request_id=request_id_of(batch.id, album.position),
            actor=batch.owner,
            batch=batch.id,
        )
        try:
            acquisition = await self._ask(wish)
        except RequestIdReused as error:  # a worker that this one follows has just asked, as the batch was before
            raise changed(batch) from error
        except (InvalidArgument, FailedPrecondition) as error:
            return album.moved(AlbumState.FAILED, Failure(reason=error.code_reason, message=error.message))
        return album.asked(acquisition.id, own=acquisition.batch == batch.id)

    async def _followed(self, claim: Claim, batch: Batch) -> Outcome:
        """Take over how its acquisitions stand; give up what has not moved for too long."""
        given_up = [album.acquisition for album in batch.albums if album.given_up and album.acquisition]
        stopping = await self._stop(batch, given_up) if given_up else frozenset[str]()
        sightings = await self._following.sightings(batch.id)
        now = self._clock.now()
        seen = batch.seen(sightings, now, stopping=stopping)
        after = seen.without_the_stuck(sightings, self._patience).settled(now)
        delay = STOPPING if given_up else LOOK
        if after.state is batch.state and after.albums == batch.albums:
            return await self._rested(claim, after.watched_until(delay))
        gives_up = any(album.given_up for album in after.albums) and not given_up
        return self._moved(batch, after, NOW if gives_up else delay)

    async def _stop(self, batch: Batch, acquisitions: Sequence[str] | None = None) -> frozenset[str]:
        stopping = await self._following.stop(batch.id, acquisitions)
        if stopping:
            self._bell.ring()
            await self._hurry()
        return stopping

    # SCANNING.

    async def _scanned(self, claim: Claim, batch: Batch) -> Outcome:
        """Look for every file. What is missing or cannot be seen gets a second chance; only time ends not seeing."""
        found = await scan(self._library, await self._following.files(batch.id))
        now, patience = self._clock.now(), self._patience
        watch = batch.watch.looked(batch.state, now)
        if found.whole and (watch.idle >= patience.rescan or not found.missing):
            return self._moved(batch, batch.scanned(found.missing, now))
        if not found.whole and watch.idle >= patience.scan:
            return self._moved(batch, batch.failed(LIBRARY_UNREADABLE, now))
        limit = patience.rescan if watch.idle < patience.rescan else patience.scan
        return await self._rested(claim, replace(batch, watch=watch.until(limit - watch.idle)))

    # The ends of steps.

    async def _rested(self, claim: Claim, batch: Batch) -> Outcome:
        await self._following.watched(claim, batch.watch)
        return Rest(state=batch.state, delay=batch.watch.delay)

    def _moved(self, before: Batch, after: Batch, delay: timedelta = NOW, *, adopted: Sequence[str] = ()) -> Outcome:
        after = after.watched_until(delay)
        save = self._following.saving(before, after, adopted=adopted)
        if after.active:
            return Next(state=after.state, delay=NOW if after.state is not before.state else delay, write=save)
        return Done(state=after.state, write=save, detail={"reason": after.failure.reason} if after.failure else {})

    def _given_up(self, claim: Claim, failure: Failure) -> Outcome:
        write = self._following.failing(claim, failure, self._clock.now())
        return Done(state=BatchState.FAILED, error=failure.message, write=write, detail={"reason": failure.reason})

    async def _finish(self, finishes: Sequence[Finish]) -> Sequence[int | AppError]:
        moves = [finish for finish in finishes if not isinstance(finish.outcome, Rest)]
        moved = iter(await self._jobs.finish_many(moves) if moves else ())
        results: list[int | AppError] = []
        for finish in finishes:
            if isinstance(finish.outcome, Rest):
                held = await self._jobs.release(finish.claim, delay=finish.outcome.delay)
                results.append(finish.claim.version if held else ClaimLost(f"{finish.claim.id} was taken away"))
            else:
                results.append(result := next(moved))
                self._finished(finish, result)
        return results

    def _finished(self, finish: Finish, result: int | AppError) -> None:
        if isinstance(result, AppError):
            return
        self._bell.ring()
        if isinstance(finish.outcome, Done):
            self._metrics.ended(finish.outcome.state)
            log.info("batch.ended", batch=finish.claim.id, state=finish.outcome.state, **finish.outcome.detail)
