"""Turns at providers, as every store must give them."""

from datetime import timedelta

import pytest

from libs.outbound.errors import ProviderBusy
from libs.outbound.slots import Turn
from tests.conformance.outbound.conftest import Stores

SECOND = timedelta(seconds=1)
PATIENCE = 3 * SECOND


async def take(stores: Stores, provider: str = "shop") -> Turn:
    return await stores.slots.take(provider, interval=SECOND, patience=PATIENCE)


async def test_the_first_turn_is_now_and_the_others_follow_an_interval_apart(stores: Stores) -> None:
    turns = [await take(stores) for _ in range(4)]

    assert [turn.wait for turn in turns] == [0 * SECOND, SECOND, 2 * SECOND, 3 * SECOND]
    assert [turn.at - turns[0].at for turn in turns] == [turn.wait for turn in turns]


async def test_time_that_passed_without_a_call_is_not_made_up_for(stores: Stores) -> None:
    await take(stores)
    stores.advance(60 * SECOND)

    assert [(await take(stores)).wait for _ in range(2)] == [0 * SECOND, SECOND]


async def test_a_turn_too_far_away_is_refused_and_taken_from_nobody(stores: Stores) -> None:
    for _ in range(4):
        await take(stores)

    with pytest.raises(ProviderBusy) as refusal:
        await take(stores)
    assert refusal.value.retry_after == 4 * SECOND

    stores.advance(SECOND)
    assert (await take(stores)).wait == PATIENCE


async def test_providers_have_turns_of_their_own(stores: Stores) -> None:
    await take(stores)

    assert (await take(stores, "library")).wait == 0 * SECOND


async def test_a_provider_that_wants_rest_has_no_turn_until_it_is_over(stores: Stores) -> None:
    await stores.slots.postpone("shop", 2 * SECOND)

    assert [(await take(stores)).wait for _ in range(2)] == [2 * SECOND, 3 * SECOND]


async def test_a_shorter_rest_does_not_end_a_longer_one(stores: Stores) -> None:
    await stores.slots.postpone("shop", 2 * SECOND)
    await stores.slots.postpone("shop", SECOND)

    assert (await take(stores)).wait == 2 * SECOND


async def test_a_clock_that_was_set_back_keeps_nobody_waiting(stores: Stores) -> None:
    await take(stores)
    stores.advance(-timedelta(days=1))

    assert [(await take(stores)).wait for _ in range(2)] == [0 * SECOND, SECOND]
