"""Jobs and claims, as every store of durable work must keep them (numbers: the pitfalls of the work engine)."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.errors import InvalidArgument
from libs.sql.engine import Database, before_commit
from libs.work.errors import ClaimLost, JobActive, JobChanged, JobNotDone, JobNotFound
from libs.work.job import Claim, Done, Finish, NewJob, Next, Outcome, Retry
from libs.work.store import SqlWorkStore
from libs.work.tables import WorkTables
from tests.support.database_clock import DatabaseClock
from tests.support.jobs import TTL, Jobs

MINUTE = timedelta(minutes=1)
HOURS = timedelta(hours=6)


async def end(store: SqlWorkStore, claim: Claim, outcome: Outcome, *, read_through: int = 0, actor: str = "") -> None:
    async with store.commit(claim, outcome, read_through=read_through, actor=actor):
        pass


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


async def test_many_steps_end_in_one_commit(jobs: Jobs, store: SqlWorkStore) -> None:
    for number in range(64):
        await jobs.create(f"job-{number:02}")
    claims = await jobs.claim(limit=64)

    results = await store.finish_many([Finish(claim=claim, outcome=Done(state="DONE")) for claim in claims])

    assert results == [2] * 64
    assert await store.depth("albums") == {}


async def test_of_many_the_one_that_lost_its_lease_fails_alone(
    jobs: Jobs, store: SqlWorkStore, clock: DatabaseClock
) -> None:
    await jobs.create("a")
    zombie = await jobs.claimed()
    clock.advance(2 * TTL)
    await jobs.create("b")
    claims = await jobs.claim(limit=2)

    results = await store.finish_many([Finish(claim=c, outcome=Done(state="DONE")) for c in (zombie, *claims)])

    assert isinstance(results[0], ClaimLost)
    assert results[1:] == [2, 2]


async def test_of_many_the_one_whose_rows_are_refused_fails_alone(jobs: Jobs, store: SqlWorkStore) -> None:
    async def refuse(connection: AsyncConnection) -> None:
        raise InvalidArgument("no")

    await jobs.create("a")
    await jobs.create("b")
    first, second = await jobs.claim(limit=2)

    results = await store.finish_many(
        [
            Finish(claim=first, outcome=Done(state="DONE", write=refuse)),
            Finish(claim=second, outcome=Done(state="DONE")),
        ]
    )

    assert isinstance(results[0], InvalidArgument)
    assert ((await jobs.row("a"))["state"], (await jobs.row("b"))["state"]) == ("QUEUED", "DONE")
    assert [event.job_id for event in await store.events_after(2, 10)] == ["b"]


async def test_rows_for_all_that_held_are_written_with_them(
    jobs: Jobs, store: SqlWorkStore, clock: DatabaseClock
) -> None:
    written: list[str] = []

    async def also(connection: AsyncConnection, held: Sequence[Finish]) -> None:
        written.extend(finish.claim.id for finish in held)

    await jobs.create("a")
    zombie = await jobs.claimed()
    clock.advance(2 * TTL)
    await jobs.create("b")
    claims = await jobs.claim(limit=2)

    await store.finish_many([Finish(claim=c, outcome=Done(state="DONE")) for c in (zombie, *claims)], also=also)

    assert written == ["a", "b"]


async def test_every_change_has_its_event_in_order(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    await end(store, await jobs.claimed(), Next(state="SEARCHING"), actor="worker")
    await end(store, await jobs.claimed(), Retry(error="timeout", after=timedelta()))

    events = await store.events_after(0, 10)

    assert [(event.from_state, event.to_state, event.version) for event in events] == [
        ("", "QUEUED", 1),
        ("QUEUED", "SEARCHING", 2),
        ("SEARCHING", "SEARCHING", 3),
    ]
    assert (events[1].actor, events[2].detail) == ("worker", {"error": "timeout"})
    assert await store.last_event() == events[-1].seq


async def test_a_reader_of_events_never_misses_a_slow_commit(
    work_database: Database, jobs: Jobs, store: SqlWorkStore
) -> None:
    seen: list[str] = []

    async def follow() -> None:
        last = 0
        while len(seen) < 60:
            for event in await store.events_after(last, 100):
                assert event.seq > last
                last = event.seq
                seen.append(event.job_id)
            await asyncio.sleep(0)

    async def create(number: int) -> None:
        await jobs.create(f"job-{number}")

    async with asyncio.timeout(30):
        await asyncio.gather(follow(), *[create(number) for number in range(60)])

    assert len(set(seen)) == 60


async def test_an_event_waits_for_the_commit_of_the_one_numbered_before_it(
    work_database: Database, jobs: Jobs, store: SqlWorkStore
) -> None:
    numbered, go = asyncio.Event(), asyncio.Event()

    async def commit_slowly(connection: AsyncConnection) -> None:
        numbered.set()
        await go.wait()

    async def slow() -> None:
        async with work_database.writing() as connection:
            await store.create(connection, NewJob(id="slow", queue="albums", kind="soulseek", state="QUEUED"))
            before_commit(connection, commit_slowly)

    first = asyncio.create_task(slow())
    await numbered.wait()
    second = asyncio.create_task(jobs.create("quick"))
    await asyncio.wait([second], timeout=0.2)
    seen = await store.events_after(0, 10)
    go.set()
    await asyncio.gather(first, second)

    assert seen == []
    assert [event.job_id for event in await store.events_after(0, 10)] == ["slow", "quick"]


async def test_an_undone_transaction_leaves_no_event(jobs: Jobs, store: SqlWorkStore) -> None:
    async def refuse(connection: AsyncConnection) -> None:
        raise InvalidArgument("no")

    await jobs.create()
    with pytest.raises(InvalidArgument):
        await end(store, await jobs.claimed(), Next(state="SEARCHING", write=refuse))

    assert len(await store.events_after(0, 10)) == 1


async def test_old_jobs_go_with_their_signals_and_events(
    work_database: Database, jobs: Jobs, store: SqlWorkStore, clock: DatabaseClock, tables: WorkTables
) -> None:
    await jobs.create("old")
    await jobs.signal(job_id="old")
    await end(store, await jobs.claimed(), Done(state="DONE"))
    clock.advance(timedelta(days=31))
    await jobs.create("new")

    async with work_database.writing() as connection:
        purged = await store.purge(connection, older_than=timedelta(days=30), limit=100)

    assert purged == ["old"]
    async with work_database.reading() as connection:
        assert (await connection.scalars(select(tables.work.c.id))).all() == ["new"]
        assert (await connection.scalars(select(tables.signal.c.job_id))).all() == []
        assert (await connection.scalars(select(tables.event.c.job_id))).all() == ["new"]


async def test_after_a_backup_every_claim_is_over_and_fences_are_higher(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create()
    claim = await jobs.claimed()

    await store.revoke()

    with pytest.raises(ClaimLost):
        await end(store, claim, Done(state="DONE"))
    assert (await jobs.claimed()).fence > claim.fence + 1_000
