"""A worker on real databases and real time (numbers: the pitfalls of the work engine)."""

import asyncio
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.sql.engine import Database
from libs.telemetry import correlation
from libs.telemetry.correlation import new_trace
from libs.work.context import Context
from libs.work.job import Claim, Done, Next, Outcome
from libs.work.store import SqlWorkStore
from libs.work.tables import WorkTables
from tests.integration.work.conftest import MakeWorker
from tests.integration.work.running import finished, request, running, until, until_state
from tests.support.jobs import Jobs

LONG = timedelta(hours=6)


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


async def test_the_request_that_made_a_job_goes_on_in_its_steps(jobs: Jobs, make_worker: MakeWorker) -> None:
    seen: list[tuple[str | None, str]] = []

    async def step(claim: Claim, context: Context) -> Outcome:
        trace = correlation.trace.get()
        assert trace is not None
        seen.append((correlation.request_id.get(), trace.trace_id))
        return Next(state="SEARCHING") if claim.state == "QUEUED" else Done(state="COMPLETED")

    asked = new_trace()
    with request("req-1", asked):
        await jobs.create()
    async with running(make_worker(step)):
        await until_state(jobs, "COMPLETED")

    assert seen == [("req-1", asked.trace_id)] * 2


async def test_steps_of_different_requests_do_not_mix(jobs: Jobs, make_worker: MakeWorker) -> None:
    seen: dict[str, str | None] = {}

    async def step(claim: Claim, context: Context) -> Outcome:
        await asyncio.sleep(0)
        seen[claim.id] = correlation.request_id.get()
        return Done(state="COMPLETED")

    for number in range(3):
        with request(f"req-{number}", new_trace()):
            await jobs.create(f"job-{number}")
    await jobs.create("job-of-nobody")
    await make_worker(step).run_once()

    assert seen == {"job-0": "req-0", "job-1": "req-1", "job-2": "req-2", "job-of-nobody": None}


async def test_a_retry_goes_on_under_the_request_that_asked_for_it(
    jobs: Jobs, make_worker: MakeWorker, store: SqlWorkStore, work_database: Database
) -> None:
    with request("req-first", new_trace()):
        await jobs.create()
    await make_worker(finished).run_once()

    with request("req-again", new_trace()):
        async with work_database.writing() as connection:
            await store.reopen(connection, "job-1", state="QUEUED")

    assert (await jobs.claimed()).request_id == "req-again"
