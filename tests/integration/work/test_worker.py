"""A worker on real databases and real time (numbers: the pitfalls of the work engine)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.clock import SystemClock
from libs.errors import FailedPrecondition, Unavailable
from libs.sql.engine import Database
from libs.sql.errors import DatabaseUnavailable
from libs.work.context import Context
from libs.work.endings import Endings
from libs.work.errors import NotUnderstood
from libs.work.job import Claim, Done, Held, Next, Outcome, Retry
from libs.work.store import SqlWorkStore
from libs.work.tables import WorkTables
from libs.work.worker import Worker
from tests.integration.work.conftest import MakeWorker, cancelled, crash_loop
from tests.support.jobs import Jobs

SHORT = timedelta(seconds=1)
LONG = timedelta(hours=6)
NONE = timedelta()


@asynccontextmanager
async def running(worker: Worker) -> AsyncIterator[None]:
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        await task


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.01)


async def until_state(jobs: Jobs, state: str, job_id: str = "job-1") -> None:
    async def reached() -> bool:
        return bool((await jobs.row(job_id))["state"] == state)

    await until(reached)


class Steps:
    """A step that blocks until it is let go, and tells what became of it."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.fences: list[int] = []
        self.stopped = 0

    async def __call__(self, claim: Claim, context: Context) -> Outcome:
        self.fences.append(claim.fence)
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        return Done(state="COMPLETED")


async def test_a_job_goes_from_step_to_step_to_its_end(jobs: Jobs, make_worker: MakeWorker) -> None:
    path = {"QUEUED": "SEARCHING", "SEARCHING": "DOWNLOADING"}

    async def step(claim: Claim, context: Context) -> Outcome:
        following = path.get(claim.state)
        return Next(state=following, data={"from": claim.state}) if following else Done(state="COMPLETED")

    await jobs.create()
    async with running(make_worker(step)):
        await until_state(jobs, "COMPLETED")

    assert (await jobs.row())["data"] == {"from": "SEARCHING"}


async def test_one_pass_works_on_everything_that_is_due(jobs: Jobs, make_worker: MakeWorker) -> None:
    for number in range(5):
        await jobs.create(f"job-{number}")
    worker = make_worker(finished)

    assert [await worker.run_once(), await worker.run_once()] == [5, 0]


async def finished(claim: Claim, context: Context) -> Outcome:
    return Done(state="COMPLETED")


async def test_a_worker_never_runs_more_steps_than_it_may(jobs: Jobs, make_worker: MakeWorker) -> None:
    now = most = 0

    async def step(claim: Claim, context: Context) -> Outcome:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return Done(state="COMPLETED")

    for number in range(12):
        await jobs.create(f"job-{number:02}")
    async with running(make_worker(step, concurrency=3)):
        await until_state(jobs, "COMPLETED", "job-11")

    assert 1 <= most <= 3


async def test_a_step_reads_its_signals_once(jobs: Jobs, make_worker: MakeWorker) -> None:
    seen: list[list[str]] = []

    async def step(claim: Claim, context: Context) -> Outcome:
        seen.append([signal.event_id for signal in await context.signals()])
        return Next(state="WAITING", delay=LONG) if len(seen) < 3 else Done(state="COMPLETED")

    await jobs.create()
    async with running(make_worker(step)):
        await until_state(jobs, "WAITING")
        await jobs.signal("grabbed")

        async def twice() -> bool:
            return len(seen) == 2 and (await jobs.row())["lease_owner"] is None

        await until(twice)
        await jobs.signal("imported")
        await until_state(jobs, "COMPLETED")

    assert seen == [[], ["grabbed"], ["imported"]]


async def test_a_signal_during_a_step_runs_the_next_one_at_once(jobs: Jobs, make_worker: MakeWorker) -> None:  # 1
    begun, go = asyncio.Event(), asyncio.Event()

    async def step(claim: Claim, context: Context) -> Outcome:
        if await context.signals():
            return Done(state="COMPLETED")
        begun.set()
        await go.wait()
        return Next(state="WAITING", delay=LONG)

    await jobs.create()
    async with running(make_worker(step)):
        await begun.wait()
        await jobs.signal()
        go.set()
        await until_state(jobs, "COMPLETED")


async def test_a_job_that_is_cancelled_while_it_waits_ends(jobs: Jobs, make_worker: MakeWorker) -> None:
    await jobs.create(delay=LONG)
    await jobs.cancel()

    async with running(make_worker(finished)):
        await until_state(jobs, "CANCELLED")


async def test_a_running_step_learns_of_its_cancellation_and_cleans_up(jobs: Jobs, make_worker: MakeWorker) -> None:
    step = Steps()
    await jobs.create()

    async with running(make_worker(step, ttl=SHORT)):
        await step.begun.wait()
        await jobs.cancel()
        await until_state(jobs, "CANCELLED")

    assert step.stopped == 1


async def test_a_step_that_breaks_while_it_cleans_up_is_cancelled_all_the_same(
    jobs: Jobs, make_worker: MakeWorker
) -> None:
    begun = asyncio.Event()

    async def step(claim: Claim, context: Context) -> Outcome:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("broken") from None
        raise AssertionError

    await jobs.create()
    async with running(make_worker(step, ttl=SHORT)):
        await begun.wait()
        await jobs.cancel()
        await until_state(jobs, "CANCELLED")


async def test_a_clean_up_that_fails_is_tried_again(jobs: Jobs, make_worker: MakeWorker) -> None:
    tries = 0

    async def clean_up(claim: Claim, context: Context) -> Outcome:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise Unavailable("the peer is away")
        return Done(state="CANCELLED")

    def soon(claim: Claim, error: Exception) -> Outcome:
        return Retry(error=str(error), after=NONE)

    await jobs.create()
    await jobs.cancel()
    endings = Endings(cancelled=clean_up, crash_loop=crash_loop, failed=soon)
    async with running(make_worker(finished, endings=endings)):
        await until_state(jobs, "CANCELLED")

    assert tries == 2


async def test_shutting_down_lets_steps_finish(jobs: Jobs, make_worker: MakeWorker) -> None:
    step = Steps()
    await jobs.create()
    async with running(make_worker(step)):
        await step.begun.wait()
        asyncio.get_running_loop().call_later(0.05, step.go.set)

    assert (await jobs.row())["state"] == "COMPLETED"


async def test_shutting_down_gives_the_lease_back_and_cancels_nothing(jobs: Jobs, make_worker: MakeWorker) -> None:  # 3
    step = Steps()
    await jobs.create()
    async with running(make_worker(step, grace=NONE)):
        await step.begun.wait()

    row = await jobs.row()
    assert (row["state"], row["lease_owner"], row["attempt"], row["crashes"]) == ("QUEUED", None, 0, 0)
    assert step.stopped == 1


async def test_cancelling_the_task_of_a_worker_is_shutting_down_too(jobs: Jobs, make_worker: MakeWorker) -> None:
    step = Steps()
    await jobs.create()
    task = asyncio.create_task(make_worker(step, grace=NONE).run())
    await step.begun.wait()

    task.cancel()
    await asyncio.wait([task])

    row = await jobs.row()
    assert (row["state"], row["lease_owner"], row["attempt"]) == ("QUEUED", None, 0)


async def test_a_step_that_swallows_its_cancellation_does_not_keep_the_worker(
    jobs: Jobs, make_worker: MakeWorker
) -> None:  # 10
    begun = asyncio.Event()

    async def step(claim: Claim, context: Context) -> Outcome:
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return Next(state="SEARCHING", delay=LONG)

    await jobs.create()
    async with running(make_worker(step, grace=NONE)):
        await begun.wait()

    assert (await jobs.row())["state"] == "SEARCHING"


async def test_a_long_step_keeps_its_lease(jobs: Jobs, make_worker: MakeWorker) -> None:
    step = Steps()
    await jobs.create()
    async with running(make_worker(step, ttl=SHORT)), running(make_worker(step, ttl=SHORT)):
        await step.begun.wait()
        before = (await jobs.row())["lease_until"]

        async def renewed_beyond_the_first_lease() -> bool:
            return bool((await jobs.row())["lease_until"] > before + 1.5 * SHORT)

        await until(renewed_beyond_the_first_lease)
        step.go.set()
        await until_state(jobs, "COMPLETED")

    assert step.fences == [1]


class Faulty(SqlWorkStore):
    """A store whose heartbeats fail, or whose ends are lost on the way, as often as the test says."""

    def __init__(self, database: Database, tables: WorkTables) -> None:
        super().__init__(database, tables)
        self.failing = 0
        self.beats = 0

    async def heartbeat(self, owner: str, ttl: timedelta) -> list[Held]:
        if self.failing > 0:
            self.failing -= 1
            raise DatabaseUnavailable("away")
        self.beats += 1
        return await super().heartbeat(owner, ttl)


@pytest.fixture
def faulty(work_database: Database, tables: WorkTables) -> Faulty:
    return Faulty(work_database, tables)


async def test_a_heartbeat_that_fails_is_tried_again(jobs: Jobs, make_worker: MakeWorker, faulty: Faulty) -> None:  # 4
    step = Steps()
    faulty.failing = 3
    await jobs.create()
    async with running(make_worker(step, ttl=2 * SHORT, store=faulty)):

        async def beating_again() -> bool:
            return faulty.beats >= 2

        await until(beating_again)
        step.go.set()
        await until_state(jobs, "COMPLETED")

    assert (step.fences, step.stopped) == ([1], 0)


async def test_without_heartbeats_a_step_stops_before_its_lease_ends(
    jobs: Jobs, make_worker: MakeWorker, faulty: Faulty
) -> None:
    step = Steps()
    faulty.failing = 10_000
    clock = SystemClock()
    await jobs.create()
    begun = clock.monotonic()
    async with running(make_worker(step, ttl=2 * SHORT, store=faulty, poll=LONG)):

        async def stopped() -> bool:
            return step.stopped == 1

        await until(stopped)

    assert clock.monotonic() - begun >= 1.8
    row = await jobs.row()
    assert (row["state"], row["fence"], row["lease_owner"] is not None) == ("QUEUED", 1, True)


async def test_a_lease_that_nobody_works_on_is_given_back(jobs: Jobs, make_worker: MakeWorker) -> None:
    await jobs.create()
    await jobs.claim("me")  # the answer to this claim was lost
    worker = make_worker(finished, owner="me")

    await worker.heart.beat()

    row = await jobs.row()
    assert (row["lease_owner"], row["crashes"]) == (None, 0)


async def test_a_step_whose_lease_was_taken_is_stopped_and_writes_nothing(
    jobs: Jobs, make_worker: MakeWorker, store: SqlWorkStore
) -> None:
    step = Steps()
    await jobs.create()
    async with running(make_worker(step, ttl=SHORT, poll=LONG, grace=NONE)):
        await step.begun.wait()
        await store.revoke()

        async def stopped() -> bool:
            return step.stopped == 1

        await until(stopped)

    assert (await jobs.row())["version"] == 1


async def test_a_failure_is_tried_again_and_told(jobs: Jobs, make_worker: MakeWorker) -> None:
    async def step(claim: Claim, context: Context) -> Outcome:
        raise Unavailable("the peer is away", retry_after=LONG)

    await jobs.create()
    await make_worker(step).run_once()

    row = await jobs.row()
    assert (row["attempt"], row["error"]) == (1, "the peer is away")
    assert row["due"] - row["updated"] >= LONG


async def test_a_mistake_of_ours_is_not_told_to_people(jobs: Jobs, make_worker: MakeWorker) -> None:
    async def step(claim: Claim, context: Context) -> Outcome:
        raise KeyError("internal detail")

    await jobs.create()
    await make_worker(step).run_once()

    assert (await jobs.row())["error"] == "unexpected KeyError"


async def test_a_service_may_end_a_job_that_failed(jobs: Jobs, make_worker: MakeWorker) -> None:
    async def step(claim: Claim, context: Context) -> Outcome:
        raise FailedPrecondition("no such album")

    endings = Endings(
        cancelled=cancelled, crash_loop=crash_loop, failed=lambda claim, error: Done(state="FAILED", error=str(error))
    )
    await jobs.create()
    await make_worker(step, endings=endings).run_once()

    row = await jobs.row()
    assert (row["state"], row["done"], row["error"]) == ("FAILED", True, "no such album")


async def test_a_job_that_keeps_killing_workers_ends(jobs: Jobs, make_worker: MakeWorker, store: SqlWorkStore) -> None:
    await jobs.create()
    for _ in range(3):
        assert await store.claim("albums", "dies", 1, -SHORT)
    worker = make_worker(Steps(), max_crashes=2)

    await worker.run_once()

    row = await jobs.row()
    assert (row["state"], row["error"], row["crashes"]) == ("FAILED", "crash loop", 3)


async def test_a_kind_that_nobody_knows_is_left_alone(jobs: Jobs, make_worker: MakeWorker) -> None:
    await jobs.create(kind="telepathy")
    await make_worker(finished).run_once()

    row = await jobs.row()
    assert (row["state"], row["lease_owner"], row["attempt"], row["version"]) == ("QUEUED", None, 0, 1)
    assert row["due"] > row["updated"]


async def test_data_that_a_step_does_not_understand_is_left_alone(jobs: Jobs, make_worker: MakeWorker) -> None:
    async def step(claim: Claim, context: Context) -> Outcome:
        raise NotUnderstood(f"schema {claim.data_schema}")

    await jobs.create(data_schema=9)
    await make_worker(step).run_once()

    row = await jobs.row()
    assert (row["state"], row["data_schema"], row["attempt"]) == ("QUEUED", 9, 0)


async def test_a_database_that_is_away_spends_no_attempt(jobs: Jobs, make_worker: MakeWorker) -> None:
    async def step(claim: Claim, context: Context) -> Outcome:
        raise DatabaseUnavailable("away")

    await jobs.create()
    await make_worker(step).run_once()

    row = await jobs.row()
    assert (row["attempt"], row["lease_owner"]) == (0, None)


async def test_a_switch_that_is_turned_during_a_step_stops_its_next_action(
    jobs: Jobs, make_worker: MakeWorker, store: SqlWorkStore
) -> None:
    acted = False

    async def step(claim: Claim, context: Context) -> Outcome:
        nonlocal acted
        await store.pause("albums", True, reason="maintenance")
        await context.ensure_running()
        acted = True
        return Done(state="COMPLETED")

    await jobs.create()
    await make_worker(step).run_once()

    row = await jobs.row()
    assert (acted, row["state"], row["attempt"], row["lease_owner"]) == (False, "QUEUED", 0, None)


async def test_rows_of_a_step_are_stored_with_its_end(
    jobs: Jobs, make_worker: MakeWorker, store: SqlWorkStore, tables: WorkTables
) -> None:
    async def write(connection: AsyncConnection) -> None:
        row = {"name": "mine", "paused": False, "reason": "", "actor": "", "version": 1}
        await connection.execute(tables.queue.insert().values(row))

    async def step(claim: Claim, context: Context) -> Outcome:
        return Done(state="COMPLETED", write=write)

    await jobs.create()
    await make_worker(step).run_once()

    assert [switch.name for switch in await store.switches("mine")] == ["mine"]


async def test_rows_that_are_refused_are_the_jobs_failure_and_nobody_elses(
    jobs: Jobs, make_worker: MakeWorker, tables: WorkTables
) -> None:
    async def write(connection: AsyncConnection) -> None:
        row = {"name": "same", "paused": False, "reason": "", "actor": "", "version": 1}
        await connection.execute(tables.queue.insert().values([row, row]))

    async def step(claim: Claim, context: Context) -> Outcome:
        return Done(state="COMPLETED", write=write if claim.id == "bad" else None)

    await jobs.create("bad")
    await jobs.create("good")
    await make_worker(step).run_once()

    assert (await jobs.row("good"))["state"] == "COMPLETED"
    row = await jobs.row("bad")
    assert (row["state"], row["error"]) == ("QUEUED", f"unexpected {IntegrityError.__name__}")


async def test_many_slots_do_not_keep_heartbeats_waiting(
    work_database: Database, jobs: Jobs, make_worker: MakeWorker
) -> None:  # 13
    for number in range(40):
        await jobs.create(f"job-{number:02}")

    async def step(claim: Claim, context: Context) -> Outcome:
        for _ in range(5):
            async with work_database.writing() as connection:
                await context.guard(connection)
        return Done(state="COMPLETED")

    async with running(make_worker(step, concurrency=40, ttl=3 * SHORT)):
        for number in range(40):
            await until_state(jobs, "COMPLETED", f"job-{number:02}")

    assert {(await jobs.row(f"job-{number:02}"))["fence"] for number in range(40)} == {1}
