"""One onboarding, however many look at it: replicas, people, and processes that died."""

import asyncio
from contextlib import aclosing
from datetime import timedelta

import pytest
from sqlalchemy import update

from libs.sql.engine import Database
from libs.sql.errors import DatabaseUnavailable, StorageFull
from services.config.connections.tester import LIMIT, TURN
from services.config.domain.onboarding import (
    Onboarding,
    OnboardingChanged,
    OnboardingUnreadable,
    StepKind,
    StepState,
)
from services.config.onboarding.worker import TTL
from services.config.tables import onboarding
from tests.integration.onboarding.conftest import Bench
from tests.support.waiting import eventually


async def test_of_many_replicas_one_looks(bench: Bench) -> None:
    await bench.start()

    claims = await asyncio.gather(*(bench.store.claim(TTL) for _ in range(8)))

    assert sum(claim is not None for claim in claims) == 1


async def test_whoever_died_is_followed_by_another(bench: Bench) -> None:
    await bench.start()
    assert await bench.store.claim(timedelta(seconds=-1))  # long ago

    assert (await bench.look(1)).steps[0].state is StepState.DONE


async def test_two_who_begin_at_once_begin_one(bench: Bench) -> None:
    nobody_began = await bench.store.get()
    begun = nobody_began.started(album=None, restart=False, request_id="r", actor="ann", at=bench.clock.now())

    answers = await asyncio.gather(bench.store.save(begun), bench.store.save(begun), return_exceptions=True)

    assert sorted(type(answer).__name__ for answer in answers) == ["Onboarding", "OnboardingChanged"]


async def test_a_step_left_out_during_a_look_stays_left_out(bench: Bench) -> None:
    await bench.start()
    await bench.look(1)
    claimed = await bench.store.claim(TTL)
    assert claimed is not None
    await bench.store.save(claimed.skipped(actor="ann", at=bench.clock.now()))

    late = claimed.told(await bench.steps.look(claimed), at=bench.clock.now())
    with pytest.raises(OnboardingChanged):
        await bench.store.save(late)

    assert (await bench.store.get()).steps[1].state is StepState.SKIPPED


async def test_those_who_follow_see_the_step_that_is_being_looked_at(bench: Bench) -> None:
    await bench.start()
    bench.held = asyncio.Event()
    look = asyncio.create_task(bench.worker.run_once())
    await eventually(bench.is_looking)

    async with aclosing(bench.worker.follow()) as followed:
        first = await anext(followed)
        bench.held.set()
        second = await anext(followed)

    assert [each.steps[0].state for each in (first, second)] == [StepState.RUNNING, StepState.DONE]
    assert first.current is not None
    assert first.current.kind is StepKind.STORAGE
    assert await look


async def test_the_loop_does_it_to_the_end(bench: Bench) -> None:
    await bench.start()
    loop = asyncio.create_task(bench.worker.run())

    async with asyncio.timeout(30), aclosing(bench.worker.follow()) as followed:
        async for seen in followed:
            if seen.ended_at:
                break

    loop.cancel()
    assert seen.progress == 100


async def test_the_loop_outlives_what_the_database_denies(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.start()
    claim, faults = bench.store.claim, [StorageFull("the disk is full"), DatabaseUnavailable("it is away")]

    async def denied(ttl: timedelta) -> Onboarding | None:
        if faults:
            raise faults.pop()
        return await claim(ttl)

    monkeypatch.setattr(bench.store, "claim", denied)
    loop = asyncio.create_task(bench.worker.run())

    async with asyncio.timeout(30), aclosing(bench.worker.follow()) as followed:
        async for seen in followed:
            if seen.ended_at:
                break

    assert not loop.done()
    loop.cancel()


async def test_what_another_release_kept_is_left_as_it_is(bench: Bench, database: Database) -> None:
    await bench.start()
    async with database.writing() as connection:
        await connection.execute(update(onboarding).values(steps=[{"kind": "SOMETHING_NEW"}]))

    for asked in (bench.store.get(), bench.worker.run_once()):
        with pytest.raises(OnboardingUnreadable):
            await asked


async def test_where_nothing_runs_no_writer_waits(bench: Bench, database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(update(onboarding).values(version=1))
        async with asyncio.timeout(10):
            assert not await bench.worker.run_once()


def test_a_claim_outlives_the_longest_look() -> None:
    longest = 2 * (LIMIT + TURN)  # two sources, one after the other

    assert longest < TTL
