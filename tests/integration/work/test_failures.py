"""What becomes of steps that fail (numbers: the pitfalls of the work engine)."""

from datetime import timedelta

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.errors import FailedPrecondition, Unavailable
from libs.sql.errors import DatabaseUnavailable
from libs.work.context import Context
from libs.work.endings import Endings
from libs.work.errors import NotUnderstood
from libs.work.job import Claim, Done, Outcome
from libs.work.store import SqlWorkStore
from libs.work.tables import WorkTables
from tests.integration.work.conftest import MakeWorker, cancelled, crash_loop
from tests.integration.work.running import Steps, finished
from tests.support.jobs import Jobs

SHORT = timedelta(seconds=1)


LONG = timedelta(hours=6)


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
