"""What people do to jobs from outside: nothing of a step that was under way remains, and each change is told."""

from datetime import timedelta

import pytest

from libs.sql.engine import Database
from libs.work.errors import ClaimLost
from libs.work.interventions import SqlInterventions, Standing
from libs.work.job import Done, Next
from libs.work.outbox import SqlOutbox
from libs.work.store import SqlWorkStore
from libs.work.tables import WorkTables
from tests.conformance.work.ends import HOURS, end
from tests.support.database_clock import DatabaseClock
from tests.support.jobs import TTL, Jobs


class Person:
    """Somebody who intervenes."""

    def __init__(self, database: Database, interventions: SqlInterventions) -> None:
        self._database = database
        self._interventions = interventions

    async def sees(self, *job_ids: str) -> dict[str, Standing]:
        async with self._database.writing() as connection:
            return await self._interventions.lock(connection, job_ids)

    async def restarts(self, *job_ids: str) -> None:
        async with self._database.writing() as connection:
            standing = await self._interventions.lock(connection, job_ids)
            await self._interventions.restart(
                connection, standing.values(), state="QUEUED", actor="ann", detail={"replay": "rpl-1"}
            )

    async def moves(self, job_id: str, state: str, *, done: bool = False, delay: timedelta = HOURS) -> None:
        async with self._database.writing() as connection:
            standing = await self._interventions.lock(connection, [job_id])
            await self._interventions.move(
                connection, standing[job_id], state=state, done=done, delay=delay, actor="ann"
            )


@pytest.fixture
def person(work_database: Database, tables: WorkTables, clock: DatabaseClock) -> Person:
    outbox = SqlOutbox(work_database, tables, now=clock.now)
    return Person(work_database, SqlInterventions(tables, outbox, now=clock.now))


async def test_a_job_is_leased_until_its_lease_ends(jobs: Jobs, person: Person, clock: DatabaseClock) -> None:
    await jobs.create()
    await jobs.claimed()

    during = (await person.sees("job-1", "job-none"))["job-1"]
    clock.advance(TTL * 2)

    assert (during.leased, during.state, during.done) == (True, "QUEUED", False)
    assert not (await person.sees("job-1"))["job-1"].leased


async def test_ended_jobs_start_from_the_beginning_together(jobs: Jobs, store: SqlWorkStore, person: Person) -> None:
    for name in ("a", "b"):
        await jobs.create(name)
    for claim in await jobs.claim(limit=2):
        await end(store, claim, Done(state="FAILED", data={"step": 3}, error="no"))

    await person.restarts("a", "b")

    claims = await jobs.claim(limit=2)
    assert [(claim.id, claim.state, claim.data, claim.error) for claim in claims] == [
        ("a", "QUEUED", {}, ""),
        ("b", "QUEUED", {}, ""),
    ]


async def test_each_job_that_starts_once_more_is_told(jobs: Jobs, store: SqlWorkStore, person: Person) -> None:
    await jobs.create()
    await end(store, await jobs.claimed(), Done(state="FAILED"))
    before = await store.last_event()

    await person.restarts("job-1")

    [event] = await store.events_after(before, 10)
    assert (event.from_state, event.to_state, event.actor, event.detail) == (
        "FAILED",
        "QUEUED",
        "ann",
        {"replay": "rpl-1"},
    )
    assert event.version == (await jobs.row())["version"]


async def test_nothing_to_start_is_nothing_to_tell(jobs: Jobs, store: SqlWorkStore, person: Person) -> None:
    await person.restarts("job-none")

    assert await store.last_event() == 0


async def test_who_works_on_a_job_that_is_moved_loses_it(jobs: Jobs, store: SqlWorkStore, person: Person) -> None:
    await jobs.create()
    claim = await jobs.claimed()

    await person.moves("job-1", "PAUSED")

    with pytest.raises(ClaimLost):
        await end(store, claim, Next(state="RUNNING", data={"step": 1}))
    assert (await jobs.row())["state"] == "PAUSED"


async def test_a_job_that_is_moved_for_later_is_not_due_before(
    jobs: Jobs, person: Person, clock: DatabaseClock
) -> None:
    await jobs.create()
    await person.moves("job-1", "PAUSED", delay=HOURS)

    early = await jobs.claim()
    clock.advance(HOURS)

    assert (early, (await jobs.claimed()).state) == ([], "PAUSED")


async def test_a_job_that_is_moved_to_its_end_keeps_its_data(jobs: Jobs, store: SqlWorkStore, person: Person) -> None:
    await jobs.create(data={"step": 2})

    await person.moves("job-1", "CANCELLED", done=True)

    row = await jobs.row()
    assert (row["done"], row["state"], row["data"]) == (True, "CANCELLED", {"step": 2})
    assert await jobs.claim() == []
