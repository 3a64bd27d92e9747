"""Jobs, as every store of durable work must keep them (numbers: the pitfalls of the work engine)."""

import asyncio

import pytest

from libs.sql.engine import Database
from libs.work.errors import JobActive, JobNotDone
from libs.work.job import Done
from libs.work.store import SqlWorkStore
from tests.conformance.work.ends import MINUTE, end
from tests.support.database_clock import DatabaseClock
from tests.support.jobs import Jobs


async def test_a_new_job_is_due_at_once(jobs: Jobs) -> None:
    await jobs.create(data={"album": "A"})

    claim = await jobs.claimed()

    assert (claim.id, claim.state, claim.data, claim.fence, claim.attempt) == ("job-1", "QUEUED", {"album": "A"}, 1, 0)


async def test_a_delayed_job_waits(jobs: Jobs, clock: DatabaseClock) -> None:
    await jobs.create(delay=MINUTE)

    assert await jobs.claim() == []
    clock.advance(MINUTE)
    assert len(await jobs.claim()) == 1


async def test_the_same_dedup_key_finds_the_unfinished_job(jobs: Jobs) -> None:
    await jobs.create("job-1", dedup_key="album")

    assert await jobs.create("job-2", dedup_key="album") == "job-1"


async def test_creators_at_the_same_time_all_get_the_one_winner(jobs: Jobs) -> None:
    winners = await asyncio.gather(*[jobs.create(f"job-{number}", dedup_key="album") for number in range(20)])

    assert len(set(winners)) == 1


async def test_a_finished_job_frees_its_dedup_key(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create("job-1", dedup_key="album")
    await end(store, await jobs.claimed(), Done(state="COMPLETED"))

    assert await jobs.create("job-2", dedup_key="album") == "job-2"


async def test_jobs_without_a_dedup_key_never_meet(jobs: Jobs) -> None:
    assert [await jobs.create("job-1"), await jobs.create("job-2")] == ["job-1", "job-2"]


async def test_a_job_that_has_ended_can_start_once_more(
    work_database: Database, jobs: Jobs, store: SqlWorkStore
) -> None:
    await jobs.create()
    await jobs.cancel()
    await end(store, await jobs.claimed(), Done(state="CANCELLED"))

    async with work_database.writing() as connection:
        await store.reopen(connection, "job-1", state="QUEUED", data={"again": True})

    claim = await jobs.claimed()
    assert (claim.state, claim.data, claim.cancel_requested) == ("QUEUED", {"again": True}, False)


async def test_an_unfinished_job_cannot_start_once_more(
    work_database: Database, jobs: Jobs, store: SqlWorkStore
) -> None:
    await jobs.create()

    async with work_database.writing() as connection:
        with pytest.raises(JobNotDone):
            await store.reopen(connection, "job-1", state="QUEUED")


async def test_a_job_whose_key_another_holds_cannot_start_once_more(
    work_database: Database, jobs: Jobs, store: SqlWorkStore
) -> None:
    await jobs.create("job-1", dedup_key="album")
    await end(store, await jobs.claimed(), Done(state="FAILED"))
    await jobs.create("job-2", dedup_key="album")

    async with work_database.writing() as connection:
        with pytest.raises(JobActive):
            await store.reopen(connection, "job-1", state="QUEUED")
