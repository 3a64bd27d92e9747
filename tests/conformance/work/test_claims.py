"""Claims and their ends, as every store of durable work must keep them (numbers: the pitfalls of the work engine)."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.errors import InvalidArgument
from libs.sql.engine import Database
from libs.work.errors import ClaimLost
from libs.work.job import Done, Next, Retry
from libs.work.store import SqlWorkStore
from libs.work.tables import WorkTables
from tests.conformance.work.ends import HOURS, MINUTE, end
from tests.support.database_clock import DatabaseClock
from tests.support.jobs import TTL, Jobs


async def test_a_job_is_claimed_once(jobs: Jobs) -> None:
    await jobs.create()

    claims = await asyncio.gather(*[jobs.claim(f"worker-{number}") for number in range(8)])

    assert sum(len(claim) for claim in claims) == 1


async def test_a_claim_takes_at_most_its_limit(jobs: Jobs) -> None:
    for number in range(12):
        await jobs.create(f"job-{number:02}")

    taken = await asyncio.gather(*[jobs.claim(f"worker-{number}", limit=5) for number in range(3)])

    assert max(len(claims) for claims in taken) <= 5
    assert len({claim.id for claims in taken for claim in claims}) == sum(len(claims) for claims in taken)


async def test_the_job_due_first_is_claimed_first(jobs: Jobs, clock: DatabaseClock) -> None:
    await jobs.create("late", delay=2 * MINUTE)
    await jobs.create("early", delay=MINUTE)
    clock.advance(3 * MINUTE)

    assert (await jobs.claimed()).id == "early"


async def test_a_live_lease_keeps_others_away(jobs: Jobs, clock: DatabaseClock) -> None:
    await jobs.create()
    await jobs.claimed("one")
    clock.advance(TTL)

    assert await jobs.claim("two") == []


async def test_an_expired_lease_is_taken_over_with_a_higher_fence_and_counts_as_a_crash(
    jobs: Jobs, clock: DatabaseClock
) -> None:
    await jobs.create()
    first = await jobs.claimed("one")
    clock.advance(TTL + timedelta(milliseconds=1))

    second = await jobs.claimed("two")

    assert (second.fence, second.crashes, second.attempt) == (first.fence + 1, 1, 0)


async def test_the_result_of_a_lost_claim_is_refused(jobs: Jobs, store: SqlWorkStore, clock: DatabaseClock) -> None:
    await jobs.create()
    zombie = await jobs.claimed("one")
    clock.advance(2 * TTL)
    await jobs.claimed("two")

    with pytest.raises(ClaimLost):
        await end(store, zombie, Done(state="COMPLETED"))

    assert (await jobs.row())["state"] == "QUEUED"


async def test_a_zombie_of_the_same_owner_cannot_finish_the_new_claim(
    jobs: Jobs, store: SqlWorkStore, clock: DatabaseClock
) -> None:  # 14
    await jobs.create()
    zombie = await jobs.claimed("one")
    clock.advance(2 * TTL)
    await jobs.claimed("one")

    with pytest.raises(ClaimLost):
        await end(store, zombie, Done(state="COMPLETED"))


async def test_repeating_a_commit_whose_answer_was_lost_changes_nothing(jobs: Jobs, store: SqlWorkStore) -> None:  # 9
    await jobs.create()
    claim = await jobs.claimed()
    await end(store, claim, Next(state="SEARCHING"))

    with pytest.raises(ClaimLost):
        await end(store, claim, Next(state="SEARCHING"))

    assert (await jobs.row())["version"] == 2


async def test_what_the_caller_adds_to_a_commit_is_undone_with_it(
    jobs: Jobs, store: SqlWorkStore, tables: WorkTables
) -> None:
    async def refuse(connection: AsyncConnection) -> None:
        row = {"name": "albums", "paused": True, "reason": "", "actor": "", "version": 1}
        await connection.execute(tables.queue.insert().values(row))
        raise InvalidArgument("no")

    await jobs.create()

    with pytest.raises(InvalidArgument):
        await end(store, await jobs.claimed(), Next(state="SEARCHING", write=refuse))

    assert (await jobs.row())["state"] == "QUEUED"
    assert await store.switches("albums") == []


async def test_a_step_moves_the_job_on(jobs: Jobs, store: SqlWorkStore, clock: DatabaseClock) -> None:
    await jobs.create(data={"a": 1})
    await end(store, await jobs.claimed(), Next(state="WAITING", data={}, delay=HOURS))

    row = await jobs.row()

    assert (row["state"], row["data"], row["due"], row["lease_owner"]) == ("WAITING", {}, clock.time + HOURS, None)


async def test_a_step_that_says_nothing_keeps_the_data(jobs: Jobs, store: SqlWorkStore) -> None:  # 13
    await jobs.create(data={"a": 1})
    await end(store, await jobs.claimed(), Next(state="SEARCHING"))

    assert (await jobs.row())["data"] == {"a": 1}


async def test_a_failed_step_counts_an_attempt_and_waits(jobs: Jobs, store: SqlWorkStore, clock: DatabaseClock) -> None:
    await jobs.create()
    await end(store, await jobs.claimed(), Retry(error="timeout", after=MINUTE))

    row = await jobs.row()

    assert (row["state"], row["attempt"], row["error"], row["due"]) == ("QUEUED", 1, "timeout", clock.time + MINUTE)


async def test_a_successful_step_forgets_failures(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    await end(store, await jobs.claimed(), Retry(error="timeout", after=timedelta()))
    await end(store, await jobs.claimed(), Next(state="SEARCHING"))

    row = await jobs.row()

    assert (row["attempt"], row["crashes"], row["error"]) == (0, 0, "")


async def test_a_released_job_is_free_at_once_and_no_failure(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    await store.release(await jobs.claimed("one"))

    claim = await jobs.claimed("two")

    assert (claim.attempt, claim.crashes, claim.version) == (0, 0, 1)


async def test_a_zombie_cannot_release_the_new_claim(jobs: Jobs, store: SqlWorkStore, clock: DatabaseClock) -> None:
    await jobs.create()
    zombie = await jobs.claimed("one")
    clock.advance(2 * TTL)
    await jobs.claimed("two")

    assert await store.release(zombie) is False


async def test_a_heartbeat_renews_every_lease_of_its_owner(
    jobs: Jobs, store: SqlWorkStore, clock: DatabaseClock
) -> None:
    for job_id in ("a", "b", "c"):
        await jobs.create(job_id)
    await jobs.claim("one", limit=2)
    await jobs.claim("two")
    clock.advance(TTL / 2)

    held = await store.heartbeat("one", TTL)

    assert sorted(found.id for found in held) == ["a", "b"]
    assert (await jobs.row("a"))["lease_until"] == clock.time + TTL
    assert (await jobs.row("c"))["lease_until"] == clock.time + TTL / 2


async def test_a_running_step_guards_what_it_writes_meanwhile(
    work_database: Database, jobs: Jobs, store: SqlWorkStore, clock: DatabaseClock
) -> None:
    await jobs.create()
    claim = await jobs.claimed("one")
    async with work_database.writing() as connection:
        await store.guard(connection, claim)
    clock.advance(2 * TTL)
    await jobs.claimed("two")

    async with work_database.writing() as connection:
        with pytest.raises(ClaimLost):
            await store.guard(connection, claim)


async def test_after_a_backup_every_claim_is_over_and_fences_are_higher(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    claim = await jobs.claimed()

    await store.revoke()

    with pytest.raises(ClaimLost):
        await end(store, claim, Done(state="DONE"))
    assert (await jobs.claimed()).fence > claim.fence + 1_000
