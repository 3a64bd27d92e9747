"""Runs the steps of one queue: claims due jobs, keeps their leases, ends their steps.

A step ends in one of these ways:
  outcome            stored under the claim's fence; what ends together shares a commit
  error              `endings.failed` decides: try again later, or end
  cancel requested   the step is cancelled and cleans up, then `endings.cancelled` ends the job
  paused             by itself or with its queue: the step is cancelled and its lease given back
  shutting down      after the grace period the step is cancelled and its lease given back
  lease lost         the step is cancelled, nothing is written
  database away, not understood   the lease is given back
Whoever gives a lease back has spent no attempt.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta

from libs.batching import Batcher, TooManyWaiting
from libs.clock import Clock
from libs.errors import AppError
from libs.sql.errors import DatabaseUnavailable, StorageFull
from libs.telemetry import correlation
from libs.telemetry.correlation import Trace
from libs.telemetry.logger import bound_contextvars, get_logger
from libs.telemetry.tracing import LocalTracer, Span, Tracer
from libs.work.context import Context
from libs.work.endings import Endings, Step, explained
from libs.work.errors import ClaimLost, NotUnderstood, QueuePaused
from libs.work.heart import Heart, Runs
from libs.work.job import NOW, Claim, Finish, Outcome, Retry, new_owner
from libs.work.metrics import WorkMetrics
from libs.work.run import Run, Stop
from libs.work.store import SqlWorkStore

log = get_logger()

FinishMany = Callable[[Sequence[Finish]], Awaitable[Sequence[int | AppError]]]

_BATCH = 64
_JITTER = 0.2  # so that replicas do not ask in step
_NOT_UNDERSTOOD_DELAY = timedelta(minutes=1)
_UNWINDING = timedelta(seconds=5)  # for a step to react to its cancellation
_random = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class _GiveBack:
    delay: timedelta = NOW


class Worker:
    """Runs up to `concurrency` steps at once; `steps` are by the kind of job.

    `finish` stores the ends of steps together, by default `store.finish_many`; a service that writes rows for all of
    them at once hands its own.
    """

    def __init__(
        self,
        store: SqlWorkStore,
        steps: Mapping[str, Step],
        *,
        queue: str,
        endings: Endings,
        clock: Clock,
        concurrency: int = 8,
        ttl: timedelta = timedelta(seconds=30),
        poll: timedelta = timedelta(seconds=1),
        grace: timedelta = timedelta(seconds=10),
        max_crashes: int = 5,
        owner: str | None = None,
        finish: FinishMany | None = None,
        tracer: Tracer | None = None,
        metrics: WorkMetrics | None = None,
    ) -> None:
        self._store = store
        self._steps = steps
        self._queue = queue
        self._endings = endings
        self._clock = clock
        self._concurrency = concurrency
        self._ttl = ttl
        self._poll = poll
        self._grace = grace
        self._max_crashes = max_crashes
        self._owner = owner or new_owner()
        self._tracer = tracer or LocalTracer()
        self._metrics = metrics
        self._runs: Runs = {}
        self._roster = asyncio.Lock()
        self.heart = Heart(store, self._runs, owner=self._owner, ttl=ttl, clock=clock, lock=self._roster)
        self._ends: Batcher[Finish, int] = Batcher(
            finish or store.finish_many, max_items=_BATCH, max_waiting=_BATCH * concurrency
        )
        self._woken = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """There may be work now. A hint only: polling finds it anyway."""
        self._woken.set()

    def stop(self) -> None:
        """Lets `run` end: no new claims, the grace period for what runs, then its leases are given back."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Works until `stop` or until it is cancelled; both end in order."""
        heart = asyncio.create_task(self.heart.run())
        try:
            while not self._stopping:
                await self._pass()
        finally:
            await self._drain()
            heart.cancel()
            await asyncio.wait([heart])
            await self._ends.aclose()

    async def run_once(self) -> int:
        """One pass without heartbeats: claims what is due and works on it to the end; returns how many jobs it took."""
        runs = await self._take(self._concurrency)
        await asyncio.gather(*[run.task for run in runs], return_exceptions=True)
        return len(runs)

    async def _pass(self) -> None:
        self._woken.clear()
        try:
            if (free := self._concurrency - len(self._runs)) > 0:
                await self._take(free)
        except AppError as error:
            log.warning("work.claim_failed", queue=self._queue, reason=error.code_reason, message=error.message)
        except Exception:  # the loop outlives its mistakes: nobody else would run the queue
            log.exception("work.claim_failed", queue=self._queue)
        await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._poll.total_seconds() * (1 + _random.uniform(0, _JITTER))):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _take(self, limit: int) -> list[Run]:
        async with self._roster:
            asked = self._clock.monotonic()
            claims = await self._store.claim(self._queue, self._owner, limit, self._ttl)
            return [self._started(claim, asked) for claim in claims]

    def _started(self, claim: Claim, asked: float) -> Run:
        run = Run(claim, Context(self._store, claim), confirmed=asked)
        self._runs[run.key] = run
        run.task = asyncio.create_task(self._work(run), name=f"{claim.id}:{claim.fence}")
        run.task.add_done_callback(lambda _: self._ended(run))  # also of a task that was cancelled before it began
        return run

    def _ended(self, run: Run) -> None:
        del self._runs[run.key]
        self._woken.set()

    async def _drain(self) -> None:
        self._stopping = True
        await self._settled(self._grace)
        for run in list(self._runs.values()):
            run.cancel(Stop.SHUTTING_DOWN)
        await self._settled(_UNWINDING)

    async def _settled(self, timeout: timedelta) -> None:
        if tasks := [run.task for run in self._runs.values()]:
            await asyncio.wait(tasks, timeout=timeout.total_seconds())

    # One run.

    async def _work(self, run: Run) -> None:
        with self._observed(run.claim) as span, self._metrics.running(run) if self._metrics else nullcontext():
            match await self._outcome(run):
                case None:
                    _lost(run)
                case _GiveBack(delay):
                    await self._give_back(run, delay)
                case outcome:
                    await self._finish(run, outcome)
            span.set("outcome", run.outcome)

    @contextmanager
    def _observed(self, claim: Claim) -> Iterator[Span]:
        """The request that made the job goes on: its id and its trace are in all that the step logs and calls."""
        correlation.request_id.set(claim.request_id or None)
        parent = Trace.parse(claim.traceparent)
        attributes = {"job": claim.id, "queue": claim.queue, "state": claim.state}
        with (
            self._tracer.span(
                f"work {claim.kind}", "consumer", parent=parent, links=[parent] if parent else [], attributes=attributes
            ) as span,
            bound_contextvars(job=claim.id, kind=claim.kind, state=claim.state, fence=claim.fence),
        ):
            yield span

    async def _outcome(self, run: Run) -> Outcome | _GiveBack | None:
        """What to store; None when the lease is lost."""
        try:
            return await self._stepped(self._step_for(run.claim), run)
        except asyncio.CancelledError:
            _take_back_cancellation()
        if run.stop is Stop.CANCEL_REQUESTED:
            run.claim = replace(run.claim, cancel_requested=True)
            try:
                return await self._stepped(self._endings.cancelled, run)
            except asyncio.CancelledError:
                _take_back_cancellation()
        if run.stop is Stop.PAUSED:
            log.info("work.paused", message="the step was stopped")
        return None if run.stop is Stop.LEASE_LOST else _GiveBack()

    def _step_for(self, claim: Claim) -> Step:
        if claim.cancel_requested:
            return self._endings.cancelled
        if claim.crashes > self._max_crashes:
            log.error("work.crash_loop", crashes=claim.crashes)
            return self._endings.crash_loop
        return self._steps.get(claim.kind, _unknown_kind)

    async def _stepped(self, step: Step, run: Run) -> Outcome | _GiveBack | None:
        stop = run.stop
        try:
            return await step(run.claim, run.context)
        except ClaimLost:
            return None
        except QueuePaused as error:
            log.info("work.paused", message=error.message)
            return _GiveBack(self._poll)
        except NotUnderstood as error:
            log.error("work.not_understood", message=error.message)  # newer code wrote it: leave it to newer code
            return _GiveBack(_NOT_UNDERSTOOD_DELAY)
        except (DatabaseUnavailable, StorageFull) as error:
            log.warning("work.database_away", reason=error.code_reason)
            return _GiveBack(self._poll)
        except Exception as error:
            if run.stop is not stop:
                raise asyncio.CancelledError from error  # it was stopped, and broke while it cleaned up
            return self._failed(run.claim, error)

    def _failed(self, claim: Claim, error: Exception) -> Outcome:
        unexpected = not isinstance(error, AppError)
        log.warning("work.step_failed", error=explained(error), attempt=claim.attempt + 1, exc_info=unexpected)
        return self._endings.failed(claim, error)

    async def _finish(self, run: Run, outcome: Outcome) -> None:
        run.ending = True
        try:
            await self._stored(run, outcome)
        except ClaimLost:
            _lost(run)
        except Exception as error:  # noqa: BLE001 - the step's rows were refused: that is the job's failure
            await self._finish_as_failed(run, self._failed(run.claim, error))

    async def _finish_as_failed(self, run: Run, outcome: Outcome) -> None:
        try:
            await self._stored(run, outcome)
        except ClaimLost:
            _lost(run)
        except Exception:
            log.exception("work.end_refused")
            await self._give_back(run, _NOT_UNDERSTOOD_DELAY)

    async def _stored(self, run: Run, outcome: Outcome) -> None:
        """Stores the end of the step, again and again while the database is away and the lease holds.

        Repeating is safe when an answer was lost: the guard refuses the second time.
        """
        finish = Finish(claim=run.claim, outcome=outcome, read_through=run.context.read_through, actor="worker")
        while True:
            try:
                await self._ends.submit(finish)
                run.outcome = "retry" if isinstance(outcome, Retry) else "stored"
                return
            except (DatabaseUnavailable, StorageFull, TooManyWaiting) as error:
                log.warning("work.end_not_stored", reason=error.code_reason)
                if run.stop is not None and run.stop is not Stop.PAUSED:  # what is done is kept, pause or not
                    return
            await asyncio.sleep(self._ttl.total_seconds() / 20)

    async def _give_back(self, run: Run, delay: timedelta) -> None:
        try:
            await self._store.release(run.claim, delay=delay)
        except AppError as error:
            log.warning("work.not_released", reason=error.code_reason)  # the lease runs out by itself


async def _unknown_kind(claim: Claim, context: Context) -> Outcome:
    raise NotUnderstood(f"no step for kind {claim.kind}")


def _lost(run: Run) -> None:
    run.outcome = "lost"
    log.warning("work.lease_lost")


def _take_back_cancellation() -> None:
    """The cancellation was ours, and what it meant is in the run: the task goes on."""
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
