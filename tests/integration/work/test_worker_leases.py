"""How a worker keeps its leases, and what it does without them (numbers: the pitfalls of the work engine)."""

from datetime import datetime, timedelta

import pytest

from libs.clock import SystemClock
from libs.sql.engine import Database
from libs.sql.errors import DatabaseUnavailable
from libs.work.context import Context
from libs.work.job import Claim, Done, Held, Outcome
from libs.work.store import SqlWorkStore
from libs.work.tables import WorkTables
from tests.integration.work.conftest import MakeWorker
from tests.integration.work.running import Steps, finished, running, until, until_state
from tests.support.jobs import Jobs

SHORT = timedelta(seconds=2)  # for a step that loses its lease anyway
STEADY = timedelta(seconds=5)  # outlasts the pauses of a busy machine
LONG = timedelta(hours=6)
NONE = timedelta()


async def test_a_long_step_keeps_its_lease(jobs: Jobs, make_worker: MakeWorker) -> None:
    step = Steps()
    await jobs.create()
    async with running(make_worker(step, ttl=STEADY)), running(make_worker(step, ttl=STEADY)):
        await step.begun.wait()
        before = (await jobs.row())["lease_until"]

        async def renewed_again_and_again() -> bool:
            return bool((await jobs.row())["lease_until"] > before + STEADY / 2)  # a heartbeat brings a sixth

        await until(renewed_again_and_again)
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
    async with running(make_worker(step, ttl=STEADY, store=faulty)):

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
    async with running(make_worker(step, ttl=SHORT, store=faulty, poll=LONG)):

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
    async with running(make_worker(step, ttl=STEADY, poll=LONG, grace=NONE)):
        await step.begun.wait()
        await store.revoke()

        async def stopped() -> bool:
            return step.stopped == 1

        await until(stopped)

    assert (await jobs.row())["version"] == 1


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

    async with running(make_worker(step, concurrency=40, ttl=STEADY)):
        for number in range(40):
            await until_state(jobs, "COMPLETED", f"job-{number:02}")

    assert {(await jobs.row(f"job-{number:02}"))["fence"] for number in range(40)} == {1}


class ClockOfTomorrow(SystemClock):
    """The time of day on a machine whose clock is a day fast."""

    def now(self) -> datetime:
        return super().now() + timedelta(days=1)


async def test_a_worker_on_a_machine_with_a_wrong_clock_takes_nothing_early(
    jobs: Jobs, make_worker: MakeWorker
) -> None:
    await jobs.create("job-of-another")
    await jobs.claimed("another")
    await jobs.create("job-for-later", delay=timedelta(minutes=1))

    assert await make_worker(finished, clock=ClockOfTomorrow()).run_once() == 0
