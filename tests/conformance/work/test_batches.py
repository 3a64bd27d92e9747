"""Steps that end together, in one commit (numbers: the pitfalls of the work engine)."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.errors import InvalidArgument
from libs.work.errors import ClaimLost
from libs.work.job import Done, Finish
from libs.work.store import SqlWorkStore
from tests.support.database_clock import DatabaseClock
from tests.support.jobs import TTL, Jobs


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
