"""A running step whose job or queue is paused: it stops, nothing is spent, and it goes on afterwards."""

import asyncio
from datetime import timedelta

import pytest

from libs.work.context import Context
from libs.work.job import Claim, Done, Outcome
from libs.work.store import SqlWorkStore
from tests.integration.work.conftest import MakeWorker
from tests.integration.work.running import Steps, running, until, until_state
from tests.support.jobs import Jobs

TTL = timedelta(seconds=3)


async def set_paused(jobs: Jobs, store: SqlWorkStore, switch: str, paused: bool) -> None:
    await (jobs.pause("job-1", paused) if switch == "job" else store.pause(switch, paused))


@pytest.mark.parametrize("switch", ["job", "albums", "*"])
async def test_a_paused_step_stops_gives_its_lease_back_and_goes_on_later(
    jobs: Jobs, store: SqlWorkStore, make_worker: MakeWorker, switch: str
) -> None:
    async def given_back() -> bool:
        return (await jobs.row())["lease_owner"] is None

    steps = Steps()
    await jobs.create()
    async with running(make_worker(steps, ttl=TTL)):
        await steps.begun.wait()
        await set_paused(jobs, store, switch, True)
        await until(given_back)
        row = await jobs.row()
        steps.go.set()
        await set_paused(jobs, store, switch, False)
        await until_state(jobs, "COMPLETED")

    assert (row["state"], row["attempt"], row["crashes"], row["error"]) == ("QUEUED", 0, 0, "")
    assert (steps.stopped, steps.fences) == (1, [1, 2])


async def test_only_the_step_of_the_paused_job_stops(jobs: Jobs, make_worker: MakeWorker) -> None:
    begun: set[str] = set()
    go = asyncio.Event()

    async def step(claim: Claim, context: Context) -> Outcome:
        begun.add(claim.id)
        await go.wait()
        return Done(state="COMPLETED")

    await jobs.create("job-1")
    await jobs.create("job-2")
    worker = make_worker(step)
    passing = asyncio.create_task(worker.run_once())
    async with asyncio.timeout(20):
        while len(begun) < 2:
            await asyncio.sleep(0)
    await jobs.pause("job-1")

    await worker.heart.beat()
    go.set()
    await passing

    assert [(await jobs.row(name))["state"] for name in ("job-1", "job-2")] == ["QUEUED", "COMPLETED"]


async def test_a_job_that_is_paused_before_its_step_acts_waits(jobs: Jobs, make_worker: MakeWorker) -> None:
    acted = False

    async def step(claim: Claim, context: Context) -> Outcome:
        nonlocal acted
        await jobs.pause()
        await context.ensure_running()
        acted = True
        return Done(state="COMPLETED")

    await jobs.create()
    await make_worker(step).run_once()

    row = await jobs.row()
    assert (acted, row["state"], row["attempt"], row["lease_owner"]) == (False, "QUEUED", 0, None)


async def test_a_cancelled_step_ends_though_it_is_paused_as_well(jobs: Jobs, make_worker: MakeWorker) -> None:
    steps = Steps()
    await jobs.create()
    async with running(make_worker(steps, ttl=TTL)):
        await steps.begun.wait()
        await jobs.pause()
        await jobs.cancel()
        await until_state(jobs, "CANCELLED")

    assert steps.stopped == 1


async def test_a_cancellation_that_comes_while_a_paused_step_cleans_up_is_not_lost(
    jobs: Jobs, make_worker: MakeWorker
) -> None:
    begun, cleaning = asyncio.Event(), asyncio.Event()

    async def step(claim: Claim, context: Context) -> Outcome:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            await asyncio.Event().wait()
        raise AssertionError

    await jobs.create()
    async with running(make_worker(step, ttl=TTL)):
        await begun.wait()
        await jobs.pause()
        await cleaning.wait()
        await jobs.cancel()
        await until_state(jobs, "CANCELLED")
