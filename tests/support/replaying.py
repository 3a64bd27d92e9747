"""Replays on a clock that the test moves, and as many workers as it wants."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs import ids
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.telemetry.metrics import Metrics
from libs.telemetry.tracing import LocalTracer
from libs.work.context import Context
from libs.work.interventions import SqlInterventions
from libs.work.job import Claim, Finish, Outcome
from libs.work.metrics import WorkMetrics
from libs.work.outbox import SqlOutbox
from libs.work.store import SqlWorkStore
from services.webhooks.domain.replays import NewReplay, Replay, ReplayState, Selection
from services.webhooks.replays.batches import SqlBatches
from services.webhooks.replays.metrics import ReplayMetrics
from services.webhooks.replays.store import QUEUE, SqlReplays
from services.webhooks.replays.worker import ReplayWork
from services.webhooks.tables import work
from tests.support.database_clock import DatabaseClock

TTL = timedelta(seconds=30)
FAST = 1000


class StillClock:
    """A process's clock that moves with the database's only: a step takes no time, however busy the machine is."""

    def __init__(self, clock: DatabaseClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        """What the database's clock shows."""
        return self._clock.time

    def monotonic(self) -> float:
        """The same, in seconds."""
        return self._clock.time.timestamp()


@dataclass
class Replaying:
    """Replays and one worker; `another` makes one more of the same database."""

    database: Database
    clock: DatabaseClock
    jobs: SqlWorkStore
    replays: SqlReplays
    work: ReplayWork
    metrics: Metrics

    async def start(self, rate: int = FAST, request_id: str | None = None, **selection: object) -> Replay:
        """Begin one."""
        chosen = Selection(**selection)  # type: ignore[arg-type] # a test's own words
        new = NewReplay(id=ids.new("rpl"), selection=chosen, rate=rate, actor="ann", request_id=request_id)
        return await self.replays.start(new)

    async def steer(self, replay: Replay, state: ReplayState, etag: str = "") -> Replay:
        """Pause, resume or cancel it."""
        return await self.replays.steer(replay.id, state, etag=etag, actor="ben")

    async def run(self, replay: Replay) -> Replay:
        """Work until it has ended or rests."""
        while (found := await self.replays.get(replay.id)).state is ReplayState.RUNNING:
            await self.work.worker.run_once()
            self.clock.advance(timedelta(seconds=1))
        return found

    async def claim(self) -> Claim:
        """Take the only replay that is due."""
        [claim] = await self.jobs.claim(QUEUE, ids.new("owner"), 10, TTL)
        return claim

    async def step(self, claim: Claim) -> Outcome:
        """The next batch, not stored yet."""
        return await self.work.step(claim, Context(self.jobs, claim))

    async def finish(self, claim: Claim, outcome: Outcome) -> object:
        """Store a batch: the new version, or why not."""
        [result] = await self.jobs.finish_many([Finish(claim=claim, outcome=outcome)])
        return result


def replaying(database: Database, clock: DatabaseClock) -> Replaying:
    """Replays of a database whose tables are there."""
    jobs = SqlWorkStore(database, work, now=clock.now)
    interventions = SqlInterventions(work, SqlOutbox(database, work, now=clock.now), now=clock.now)
    replays = SqlReplays(database, jobs, interventions, tokens=PageTokens(b"page tokens of tests"), now=clock.now)
    metrics = Metrics()
    steps = ReplayWork(
        replays,
        SqlBatches(database, interventions),
        jobs,
        metrics=ReplayMetrics(metrics),
        clock=StillClock(clock),
        tracer=LocalTracer(),
        steps=WorkMetrics(metrics, StillClock(clock)),
        replayed=lambda: None,
    )
    return Replaying(database, clock, jobs, replays, steps, metrics)


def counts(replay: Replay) -> Sequence[int]:
    """How many matched, were replayed, and were skipped."""
    return replay.matched, replay.replayed, replay.skipped
