"""Priorities, pauses, other queues and the backlog: what people and fallbacks do to jobs that have not ended."""

from datetime import timedelta

import pytest

from libs.errors import InvalidArgument
from libs.sql.engine import Database
from libs.work.errors import JobChanged
from libs.work.job import Backlog, Done, Next, Retry
from libs.work.store import SqlWorkStore
from tests.conformance.work.ends import HOURS, MINUTE, end
from tests.support.database_clock import DatabaseClock
from tests.support.jobs import TTL, Jobs


async def test_the_most_urgent_due_job_is_claimed_first(jobs: Jobs, clock: DatabaseClock) -> None:
    await jobs.create("usual")
    await jobs.create("waiting", priority=10, delay=HOURS)
    await jobs.create("later", priority=9, delay=MINUTE)
    await jobs.create("sooner", priority=9)
    clock.advance(2 * MINUTE)

    assert [(await jobs.claimed()).id for _ in range(3)] == ["sooner", "later", "usual"]


async def test_another_priority_counts_at_the_next_claim_and_is_told(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create("one")
    await jobs.create("two")

    changed = [await jobs.prefer("two", priority) for priority in (6, 6)]

    assert (changed, (await jobs.claimed()).id) == ([True, False], "two")
    (event,) = [event for event in await store.events_after(0, 9) if event.version == 2]
    assert (event.job_id, event.actor, event.detail) == ("two", "ada", {"priority": 6})


@pytest.mark.parametrize("priority", [0, 11, -1])
async def test_a_priority_that_no_claim_looks_at_is_refused(jobs: Jobs, priority: int) -> None:
    await jobs.create()

    with pytest.raises(InvalidArgument):
        await jobs.prefer("job-1", priority)
    with pytest.raises(InvalidArgument):
        await jobs.create("job-2", priority=priority)


async def test_a_paused_job_is_not_claimed_until_it_may_go_on(jobs: Jobs) -> None:
    await jobs.create("job-1")
    await jobs.create("job-2")
    await jobs.pause("job-1")

    assert [claim.id for claim in await jobs.claim(limit=9)] == ["job-2"]

    await jobs.pause("job-1", False)
    assert (await jobs.claimed()).id == "job-1"


async def test_a_pause_is_a_change_like_any_other(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()

    assert [await jobs.pause(), await jobs.pause(), await jobs.pause("job-1", False)] == [True, False, True]

    told = [(event.version, event.detail) for event in await store.events_after(0, 9)]
    assert told == [(1, {}), (2, {"paused": True}), (3, {"paused": False})]
    with pytest.raises(JobChanged):
        await jobs.pause(version=1)


async def test_a_paused_job_keeps_its_dedup_key(jobs: Jobs) -> None:
    await jobs.create("job-1", dedup_key="album")
    await jobs.pause()

    assert await jobs.create("job-2", dedup_key="album") == "job-1"


@pytest.mark.parametrize("switch", ["job", "albums", "*"])
async def test_a_cancelled_job_passes_every_pause(jobs: Jobs, store: SqlWorkStore, switch: str) -> None:
    await jobs.create()
    await (jobs.pause() if switch == "job" else store.pause(switch, True))
    assert await jobs.claim() == []

    await jobs.cancel()
    claim = await jobs.claimed()
    await end(store, claim, Done(state="CANCELLED"))

    row = await jobs.row()
    assert (claim.cancel_requested, row["state"], row["paused"]) == (True, "CANCELLED", False)


async def test_what_is_to_be_cancelled_can_be_claimed_before_everything_else(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create("urgent", priority=10)
    await jobs.create("unloved", priority=1)
    assert await store.claim_ending("albums", "me", 9, TTL) == []
    await jobs.cancel("unloved")

    assert [claim.id for claim in await store.claim_ending("albums", "me", 9, TTL)] == ["unloved"]


@pytest.mark.parametrize("switch", ["job", "albums", "*"])
async def test_a_heartbeat_tells_of_every_pause(jobs: Jobs, store: SqlWorkStore, switch: str) -> None:
    await jobs.create()
    await jobs.claimed()
    (before,) = await store.heartbeat("me", TTL)
    await (jobs.pause() if switch == "job" else store.pause(switch, True))

    (after,) = await store.heartbeat("me", TTL)

    assert (before.paused, after.paused) == (False, True)


async def test_a_claim_can_tell_what_keeps_its_job_back(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    claim = await jobs.claimed()
    assert await store.pauses(claim) == []
    await jobs.pause()
    await store.pause("*", True, reason="maintenance")
    await store.pause("other", True)

    assert await store.pauses(claim) == [("*", "maintenance"), ("job-1", "")]


async def test_what_a_paused_step_comes_to_is_still_stored(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    claim = await jobs.claimed()
    await jobs.pause()

    await end(store, claim, Next(state="SEARCHING"))

    row = await jobs.row()
    assert (row["state"], row["paused"], await jobs.claim()) == ("SEARCHING", True, [])


async def test_a_job_goes_on_in_another_queue_as_if_nothing_had_failed(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    await end(store, await jobs.claimed(), Retry(error="no", after=timedelta()))
    await jobs.signal()

    await end(store, await jobs.claimed(), Next(state="QUEUED", queue="lidarr", kind="radio"))

    (claim,) = await store.claim("lidarr", "me", 9, TTL)
    assert (claim.kind, claim.attempt, claim.crashes, claim.error) == ("radio", 0, 0, "")
    assert [len(await store.signals(claim)), len(await jobs.claim())] == [1, 0]


async def test_a_job_that_ended_starts_anew_in_the_queue_that_is_named(
    jobs: Jobs, store: SqlWorkStore, work_database: Database
) -> None:
    await jobs.create()
    await jobs.pause()
    await jobs.cancel()
    await end(store, await jobs.claimed(), Done(state="FAILED"))

    async with work_database.writing() as connection:
        await store.reopen(connection, "job-1", state="QUEUED", queue="lidarr", kind="lidarr")

    assert [claim.kind for claim in await store.claim("lidarr", "me", 9, TTL)] == ["lidarr"]


async def test_the_backlog_counts_each_unfinished_job_once(
    jobs: Jobs, store: SqlWorkStore, clock: DatabaseClock
) -> None:
    for name in ("running", "ended"):
        await jobs.create(name)
    ended, running = sorted(await jobs.claim(limit=2), key=lambda claim: claim.id)
    await end(store, ended, Done(state="DONE"))
    for name in ("paused", "due-1", "due-2"):
        await jobs.create(name)
    await jobs.create("waiting", delay=HOURS)
    await jobs.pause("paused")
    clock.advance(TTL)

    backlog = await store.backlog(["albums", "empty"])

    assert (running.id, backlog["empty"]) == ("running", Backlog())
    assert backlog["albums"].unfinished == 5
    assert backlog["albums"] == Backlog(running=1, paused=1, due=2, waiting=1, overdue=TTL)


async def test_a_census_counts_what_is_unfinished_by_state_with_the_age_of_the_oldest(
    jobs: Jobs, store: SqlWorkStore, clock: DatabaseClock
) -> None:
    await jobs.create("ended")
    await end(store, await jobs.claimed(), Done(state="DONE"))
    await jobs.create("oldest")
    clock.advance(MINUTE)
    await jobs.create("moved")
    await end(store, next(each for each in await jobs.claim(limit=2) if each.id == "moved"), Next(state="MOVED"))
    await jobs.create("newest")
    await jobs.create("elsewhere", queue="batches")
    clock.advance(MINUTE)

    assert await store.census(["albums", "empty"]) == {"QUEUED": (2, 2 * MINUTE), "MOVED": (1, MINUTE)}
    assert await store.census(["albums", "batches"]) == {"QUEUED": (3, 2 * MINUTE), "MOVED": (1, MINUTE)}
    assert await store.census(["empty"]) == {}
