"""Runs the steps of acquisitions on the work engine."""

from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.clock import Clock
from libs.errors import AppError
from libs.sql.errors import DatabaseUnavailable, StorageFull
from libs.telemetry.logger import get_logger
from libs.work.context import Context
from libs.work.endings import Endings, explained
from libs.work.errors import ClaimLost, NotUnderstood
from libs.work.job import NOW, Claim, Done, Next, Outcome, Retry, Write
from services.acquisition.domain.acquisition import Acquisition
from services.acquisition.domain.attempt import Failure, Progress, Source
from services.acquisition.domain.sources import OURS
from services.acquisition.domain.step import Binding, Job, Move, Steps
from services.acquisition.metrics import AcquisitionMetrics

log = get_logger()

RETRIES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))  # after errors that nobody foresaw
PLAN_SCHEMA = 2  # 2: offers of several peers
PROGRESS_SECONDS = 1.0


class ProgressStore(Protocol):
    """Where progress is kept."""

    async def progress(self, claim: Claim, number: int, progress: Progress) -> None:
        """How far a running attempt is; raises ClaimLost when the step has lost its job."""
        ...


class StepStore(ProgressStore, Protocol):
    """What the worker needs of the store of acquisitions."""

    async def get(self, acquisition_id: str) -> Acquisition:
        """The acquisition; raises AcquisitionNotFound."""
        ...

    def saving(self, before: Acquisition, after: Acquisition, binding: Binding | None = None) -> Write:
        """What writes that a step changed, in the transaction that ends the step."""
        ...

    async def give_up(self, connection: AsyncConnection, acquisition_id: str, failure: Failure, at: datetime) -> None:
        """Fail an acquisition, whatever its step was about to do."""
        ...


class AcquisitionWork:
    """Makes steps of the engine out of the steps of the sources; `configured` are the sources that may be asked."""

    def __init__(
        self,
        store: StepStore,
        steps: Mapping[Source, Steps],
        *,
        metrics: AcquisitionMetrics,
        clock: Clock,
        configured: Callable[[], Container[Source]] = lambda: frozenset(Source),
    ) -> None:
        self._store = store
        self._steps = steps
        self._configured = configured
        self._metrics = metrics
        self._clock = clock

    async def step(self, claim: Claim, context: Context) -> Outcome:
        """Do the one thing that the acquisition's state asks for."""
        if claim.data_schema > PLAN_SCHEMA:
            raise NotUnderstood(f"newer code wrote the plan of {claim.id} (schema {claim.data_schema})")
        acquisition = await self._store.get(claim.id)
        await context.ensure_running()
        signals = tuple(signal.body for signal in await context.signals())
        job = Job(acquisition=acquisition, plan=claim.data, signals=signals)
        report = ProgressKeeper(self._store, claim, acquisition, self._clock)
        with self._metrics.working(acquisition.current):
            move = await self._steps[acquisition.current].advance(job, report)
        await report.flush()
        return self._outcome(acquisition, await self._passed_on(move))

    async def cancelled(self, claim: Claim, context: Context) -> Outcome:
        """Clean up, then end the acquisition."""
        acquisition = await self._store.get(claim.id)
        await self._steps[acquisition.current].clean_up(acquisition)
        return self._outcome(acquisition, Move(acquisition=acquisition.cancelled(self._clock.now())))

    async def crash_loop(self, claim: Claim, context: Context) -> Outcome:
        """End an acquisition whose step brings down one process after the other."""
        message = f"Its step {claim.state} ended {claim.crashes} times without a word. Look into the logs, then retry."
        acquisition = await self._store.get(claim.id)
        failed = acquisition.failed(Failure(reason="CRASH_LOOP", message=message), self._clock.now())
        return self._outcome(acquisition, Move(acquisition=failed))

    def failed(self, claim: Claim, error: Exception) -> Outcome:
        """Try again after an error that nobody foresaw, as often as there are delays; never before the error says."""
        if claim.attempt < len(RETRIES):
            asked = error.retry_after if isinstance(error, AppError) else None
            return Retry(error=explained(error), after=max(RETRIES[claim.attempt], asked or NOW))
        reason = error.code_reason if isinstance(error, AppError) else "INTERNAL"
        failure = Failure(reason=reason, message=f"{explained(error)} Look into the logs, then retry.")
        return Done(
            state="FAILED",
            error=failure.message,
            detail={"reason": reason},
            write=lambda connection: self._store.give_up(connection, claim.id, failure, self._clock.now()),
        )

    def endings(self) -> Endings:
        """How acquisitions end when their steps cannot say so."""
        return Endings(cancelled=self.cancelled, crash_loop=self.crash_loop, failed=self.failed)

    async def _passed_on(self, move: Move) -> Move:
        """A failure of the first source becomes the turn of the fallback, within the same acquisition."""
        failed = move.acquisition
        if failed.failure is None or failed.next_source is None or failed.failure.reason in OURS:
            return move
        if failed.next_source not in self._configured():
            return replace(
                move, acquisition=failed.without_fallback("it is not set up, or switched off, in the settings.")
            )
        await self._steps[failed.current].clean_up(failed)
        return Move(acquisition=failed.handed_over(self._clock.now()), binding=move.binding)

    def _outcome(self, before: Acquisition, move: Move) -> Outcome:
        after = move.acquisition
        failure = after.failure or (after.given_up if after.current is not before.current else None)
        detail: dict[str, Any] = {} if failure is None else {"reason": failure.reason}
        save = self._store.saving(before, after, move.binding)
        log.info("acquisition.moved", before=before.state, after=after.state, **detail)
        plan = dict(move.plan)
        if after.active:
            queue = after.current.lower()
            return Next(
                state=after.state,
                queue=queue,
                kind=queue,
                data=plan,
                data_schema=PLAN_SCHEMA,
                delay=move.delay,
                write=save,
                detail=detail,
            )
        took = {"seconds": (self._clock.now() - before.created).total_seconds()}
        return Done(state=after.state, data=plan, data_schema=PLAN_SCHEMA, write=save, detail=detail | took)


class ProgressKeeper:
    """Stores the progress of a running step, at most once a second; a fault of the database costs only that."""

    def __init__(self, store: ProgressStore, claim: Claim, acquisition: Acquisition, clock: Clock) -> None:
        self._store = store
        self._claim = claim
        self._attempt = acquisition.attempt
        self._clock = clock
        self._next = clock.monotonic() + PROGRESS_SECONDS
        self._stored = self._newest = self._attempt.progress if self._attempt else Progress()

    async def __call__(self, progress: Progress) -> None:
        """The running attempt is this far."""
        self._newest = progress
        if self._clock.monotonic() >= self._next:
            await self.flush()

    async def flush(self) -> None:
        """Store what is not stored yet."""
        if self._attempt is None or self._newest == self._stored:
            return
        self._next = self._clock.monotonic() + PROGRESS_SECONDS
        try:
            await self._store.progress(self._claim, self._attempt.number, self._newest)
        except (DatabaseUnavailable, StorageFull, ClaimLost) as error:
            log.warning("acquisition.progress_not_stored", reason=error.code_reason)
        else:
            self._stored = self._newest
