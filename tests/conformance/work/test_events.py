"""Events: every change once, in the order of commits (numbers: the pitfalls of the work engine)."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.errors import InvalidArgument
from libs.sql.engine import Database, before_commit
from libs.work.job import NewJob, Next, Retry
from libs.work.store import SqlWorkStore
from tests.conformance.work.ends import end
from tests.support.jobs import Jobs


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
