"""The workers: one for each source, so that neither waits behind the other."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial

from libs.clock import Clock
from libs.errors import AppError
from libs.sql.engine import Database
from libs.telemetry.tracing import Tracer
from libs.work.job import Claim, Done, Finish
from libs.work.metrics import WorkMetrics
from libs.work.store import SqlWorkStore
from libs.work.worker import Worker
from services.acquisition.domain.attempt import Source
from services.acquisition.domain.bell import Bell
from services.acquisition.metrics import AcquisitionMetrics
from services.acquisition.tables import engine
from services.acquisition.worker import AcquisitionWork

TTL = timedelta(seconds=15)
GRACE = timedelta(seconds=3)  # for steps to finish when the process stops; a download goes on after the restart
MOST_AT_ONCE = 10  # of one source; the settings say how many of them
SLOTS = MOST_AT_ONCE + 2  # so that what is to be cancelled waits behind nothing


class GatedJobs(SqlWorkStore):
    """Hands out claims only while `is_open`, and no more at once than `concurrency` says at the moment.

    What is to be cancelled ends first, and beyond that number: it has nothing to do but to clean up.
    """

    def __init__(self, database: Database, *, is_open: Callable[[], bool], concurrency: Callable[[], int]) -> None:
        super().__init__(database, engine)
        self._is_open = is_open
        self._concurrency = concurrency

    async def claim(self, queue: str, owner: str, limit: int, ttl: timedelta) -> list[Claim]:
        """As the engine's, for a worker with `SLOTS`, of which `limit` are free."""
        if not self._is_open():
            return []
        ending = await self.claim_ending(queue, owner, limit, ttl)
        allowed = self._concurrency() - (SLOTS - limit) - len(ending)
        return ending if allowed <= 0 else ending + await super().claim(queue, owner, allowed, ttl)


class Workers:
    """Runs the acquisitions of every source. `gates` tell which of them this process may work on at the moment."""

    def __init__(
        self,
        work: AcquisitionWork,
        database: Database,
        *,
        gates: Mapping[Source, Callable[[], bool]],
        concurrency: Callable[[Source], int],
        metrics: AcquisitionMetrics,
        tracer: Tracer,
        steps: WorkMetrics,
        bell: Bell,
        clock: Clock,
    ) -> None:
        self._metrics = metrics
        self._tracer = tracer
        self._steps = steps
        self._bell = bell
        self._workers = [
            self._worker(
                source, work, GatedJobs(database, is_open=is_open, concurrency=partial(concurrency, source)), clock
            )
            for source, is_open in gates.items()
        ]
        for worker in self._workers:
            bell.subscribe(worker.wake)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for worker in self._workers:
                group.create_task(worker.run())

    async def run_once(self) -> int:
        """One pass of each; returns how many steps were done."""
        return sum([await worker.run_once() for worker in self._workers])

    async def hurry(self) -> None:
        """Let running steps see at once what their next heartbeat would tell them."""
        for worker in self._workers:
            with suppress(AppError):  # the next heartbeat tries again
                await worker.heart.beat()

    def _worker(self, source: Source, work: AcquisitionWork, jobs: GatedJobs, clock: Clock) -> Worker:
        async def finish(finishes: Sequence[Finish]) -> Sequence[int | AppError]:
            results = await jobs.finish_many(finishes)
            self._finished(source, [one for one, kept in zip(finishes, results, strict=True) if isinstance(kept, int)])
            return results

        queue = source.lower()
        return Worker(
            jobs,
            {queue: work.step},
            queue=queue,
            endings=work.endings(),
            clock=clock,
            concurrency=SLOTS,
            ttl=TTL,
            grace=GRACE,
            finish=finish,
            tracer=self._tracer,
            metrics=self._steps,
        )

    def _finished(self, source: Source, finishes: Sequence[Finish]) -> None:
        for finish in finishes:
            if isinstance(finish.outcome, Done):
                self._metrics.ended(source, finish.outcome.state, finish.outcome.detail.get("seconds"))
        self._bell.ring()
