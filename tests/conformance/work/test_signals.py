"""What others tell a job: signals, cancellation and switches (numbers: the pitfalls of the work engine)."""

import asyncio
from datetime import timedelta

import pytest

from libs.sql.engine import Database
from libs.work.errors import JobChanged, JobNotFound
from libs.work.job import Done, Next, Retry
from libs.work.store import SqlWorkStore
from tests.conformance.work.ends import HOURS, MINUTE, end
from tests.support.jobs import TTL, Jobs


async def test_a_signal_wakes_a_waiting_job(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    await end(store, await jobs.claimed(), Next(state="WAITING", delay=HOURS))

    assert await jobs.signal("event-1", album="A") is True

    claim = await jobs.claimed()
    assert [(signal.event_id, signal.body) for signal in await store.signals(claim)] == [("event-1", {"album": "A"})]


async def test_a_signal_during_a_step_is_not_slept_through(jobs: Jobs, store: SqlWorkStore) -> None:  # 1
    await jobs.create()
    claim = await jobs.claimed()
    await jobs.signal()

    await end(store, claim, Next(state="WAITING", delay=HOURS))

    assert len(await jobs.claim()) == 1


async def test_a_signal_that_waits_for_the_commit_is_not_slept_through(
    work_database: Database, jobs: Jobs, store: SqlWorkStore
) -> None:  # 2
    await jobs.create()
    claim = await jobs.claimed()

    async with work_database.writing() as connection:
        await store.signal(connection, "job-1", "event-1", {})
        ending = asyncio.create_task(end(store, claim, Next(state="WAITING", delay=HOURS)))
        await asyncio.sleep(0.05)  # the commit is now waiting for the row: both orders must hold anyway
    await ending

    assert len(await jobs.claim()) == 1


async def test_a_signal_that_the_step_has_read_does_not_wake_it_again(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    claim = await jobs.claimed()
    await jobs.signal()
    (signal,) = await store.signals(claim)

    await end(store, claim, Next(state="WAITING", delay=HOURS), read_through=signal.seq)

    assert await jobs.claim() == []


async def test_a_late_duplicate_of_a_consumed_signal_is_not_new(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    await jobs.signal("event-1")
    claim = await jobs.claimed()
    await end(store, claim, Next(state="WAITING", delay=HOURS), read_through=1)

    assert await jobs.signal("event-1") is False
    assert await jobs.claim() == []


async def test_a_failed_step_sees_its_signals_again(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    await jobs.signal()
    claim = await jobs.claimed()
    await end(store, claim, Retry(error="timeout", after=timedelta()), read_through=1)

    assert len(await store.signals(await jobs.claimed())) == 1


async def test_a_job_that_has_ended_takes_no_signal(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    await end(store, await jobs.claimed(), Done(state="COMPLETED"))

    assert await jobs.signal() is False


async def test_cancelling_makes_a_waiting_job_due(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create(delay=HOURS)

    assert await jobs.cancel() is True

    assert (await jobs.claimed()).cancel_requested


async def test_cancelling_during_a_step_is_not_slept_through(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    claim = await jobs.claimed()
    await jobs.cancel()

    await end(store, claim, Next(state="WAITING", delay=HOURS))

    assert (await jobs.claimed()).cancel_requested


async def test_a_cancellation_that_failed_waits_before_it_is_tried_again(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    await jobs.cancel()

    await end(store, await jobs.claimed(), Retry(error="peer is away", after=MINUTE))

    assert await jobs.claim() == []


async def test_a_heartbeat_tells_of_a_cancellation(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    await jobs.claimed("one")
    await jobs.cancel()

    (held,) = await store.heartbeat("one", TTL)

    assert held.cancel_requested


async def test_cancelling_twice_or_after_the_end_changes_nothing(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()

    assert [await jobs.cancel(), await jobs.cancel()] == [True, False]
    await end(store, await jobs.claimed(), Done(state="CANCELLED"))
    assert await jobs.cancel() is False


async def test_a_stale_version_cancels_nothing(jobs: Jobs) -> None:
    await jobs.create()

    with pytest.raises(JobChanged):
        await jobs.cancel(version=7)

    assert not (await jobs.row())["cancel_requested"]


async def test_what_is_not_there_cannot_be_cancelled(jobs: Jobs) -> None:
    with pytest.raises(JobNotFound):
        await jobs.cancel("job-9")


async def test_a_paused_queue_gives_no_work(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    await store.pause("albums", True, reason="maintenance", actor="admin")

    assert await jobs.claim() == []
    await store.pause("albums", False)
    assert len(await jobs.claim()) == 1


async def test_the_switch_of_all_queues_holds_for_each(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    await store.pause("*", True)

    assert await jobs.claim() == []


async def test_another_queues_switch_does_not_matter(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    await store.pause("covers", True)

    assert len(await jobs.claim()) == 1


async def test_a_cancelled_job_passes_the_switch(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    await store.pause("*", True)
    await jobs.cancel()

    assert len(await jobs.claim()) == 1


async def test_a_switch_remembers_who_turned_it_and_how_often(store: SqlWorkStore) -> None:
    await store.pause("albums", True, reason="disk", actor="admin")
    state = await store.pause("albums", False, reason="", actor="robot")

    assert (state.paused, state.actor, state.version) == (False, "robot", 2)
