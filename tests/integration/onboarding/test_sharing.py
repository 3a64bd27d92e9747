"""One onboarding, however many look at it: replicas, people, and processes that died."""

import asyncio
from contextlib import aclosing
from datetime import timedelta

import pytest

from services.config.domain.onboarding import OnboardingChanged, StepKind, StepState
from services.config.onboarding.worker import TTL
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
        async for onboarding in followed:
            if onboarding.ended_at:
                break

    loop.cancel()
    assert onboarding.progress == 100


def test_a_claim_outlives_the_longest_look() -> None:
    assert timedelta(seconds=30) < TTL
