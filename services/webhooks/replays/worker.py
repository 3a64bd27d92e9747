"""Works on replays: each step is one batch, and the pace is the due time of the next."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

from libs.clock import Clock
from libs.errors import AppError, InvalidArgument
from libs.telemetry.logger import get_logger
from libs.telemetry.tracing import Tracer
from libs.work.context import Context
from libs.work.endings import Endings, backed_off, explained
from libs.work.job import Claim, Done, Finish, Next, Outcome
from libs.work.metrics import WorkMetrics
from libs.work.store import SqlWorkStore
from libs.work.worker import Worker
from services.webhooks.domain.replays import ReplayState, batch_size, pace
from services.webhooks.replays.batches import Reset, SqlBatches
from services.webhooks.replays.metrics import ReplayMetrics
from services.webhooks.replays.store import QUEUE, SqlReplays

log = get_logger()

TTL = timedelta(seconds=10)
AT_ONCE = 4
MAX_ATTEMPTS = 10
_ON_TIME = timedelta(milliseconds=3)  # the due time is in whole milliseconds of the database's clock


class ReplayWork:
    """The steps of replays. `replayed` is called whenever there are events to handle anew."""

    def __init__(
        self,
        replays: SqlReplays,
        batches: SqlBatches,
        jobs: SqlWorkStore,
        *,
        metrics: ReplayMetrics,
        clock: Clock,
        tracer: Tracer,
        steps: WorkMetrics,
        replayed: Callable[[], None],
        ttl: timedelta = TTL,
    ) -> None:
        self._replays = replays
        self._batches = batches
        self._jobs = jobs
        self._metrics = metrics
        self._clock = clock
        self._replayed = replayed
        self.worker = Worker(
            jobs,
            {QUEUE: self.step},
            queue=QUEUE,
            endings=Endings(cancelled=_cancelled, crash_loop=_crash_loop, failed=_failed),
            clock=clock,
            concurrency=AT_ONCE,
            ttl=ttl,
            finish=self._finish,
            tracer=tracer,
            metrics=steps,
        )

    async def step(self, claim: Claim, context: Context) -> Outcome:
        """The next batch of a replay."""
        start = self._clock.monotonic()
        subject = await self._replays.get(claim.id)
        batch = await self._batches.next(subject, batch_size(subject.rate))
        write = self._batches.resetting(subject, batch)
        if batch.is_last:
            return Done(state=ReplayState.COMPLETED, write=write)
        elapsed = timedelta(seconds=self._clock.monotonic() - start)
        delay = pace(len(batch.taken), subject.rate, elapsed)
        return Next(state=ReplayState.RUNNING, delay=delay, write=write)

    async def _finish(self, finishes: Sequence[Finish]) -> Sequence[int | AppError]:
        results = await self._jobs.finish_many(finishes)
        for finish, result in zip(finishes, results, strict=True):
            if isinstance(result, int):
                self._finished(finish)
        return results

    def _finished(self, finish: Finish) -> None:
        if isinstance(finish.outcome.write, Reset):
            self._metrics.batch(replayed=finish.outcome.write.replayed, skipped=finish.outcome.write.skipped)
            self._replayed()
        if isinstance(finish.outcome, Done):
            self._metrics.ended(ReplayState(finish.outcome.state))
            log.info("replay.ended", replay=finish.claim.id, state=finish.outcome.state, error=finish.outcome.error)
        elif isinstance(finish.outcome, Next):
            wait = (finish.outcome.delay + _ON_TIME).total_seconds()
            asyncio.get_running_loop().call_later(wait, self.worker.wake)


async def _cancelled(claim: Claim, context: Context) -> Outcome:
    return Done(state=ReplayState.CANCELLED)


async def _crash_loop(claim: Claim, context: Context) -> Outcome:
    return Done(state=ReplayState.FAILED, error=f"its batches ended without a word {claim.crashes} times")


def _failed(claim: Claim, error: Exception) -> Outcome:
    if isinstance(error, InvalidArgument) or claim.attempt + 1 >= MAX_ATTEMPTS:
        return Done(state=ReplayState.FAILED, error=explained(error))
    return backed_off(claim, error)
