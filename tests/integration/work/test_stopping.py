"""How steps end that are cancelled, or whose worker stops (numbers: the pitfalls of the work engine)."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from libs.errors import Unavailable
from libs.work.context import Context
from libs.work.endings import Endings
from libs.work.job import Claim, Done, Next, Outcome, Retry
from tests.integration.work.conftest import MakeWorker, crash_loop
from tests.integration.work.running import Steps, finished, running, until_state
from tests.support.jobs import Jobs

SHORT = timedelta(seconds=1)


LONG = timedelta(hours=6)


NONE = timedelta()


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
