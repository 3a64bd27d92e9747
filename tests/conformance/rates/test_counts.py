"""What every implementation of Counts does."""

import asyncio
import math
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.clock import ManualClock
from libs.rates.memory import MemoryCounts
from libs.rates.redis import RedisCounts
from libs.rates.rules import Bucket, Counts, Rule, Subject, Window

MINUTE = Bucket("burst_limit", burst=100, per_minute=60)
HOUR = Window("hour_limit", limit=1000, period=timedelta(hours=1))
RULES = (MINUTE, HOUR)

SMALL = (Bucket("burst", burst=4, per_minute=7), Window("window", limit=9, period=timedelta(minutes=3)))
PAUSES = st.lists(st.one_of(st.just(0.0), st.floats(0.001, 60), st.floats(60, 300)), min_size=1, max_size=60)

_numbers = count()
unhurried = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # the fixtures are made once for all examples: each example has a subject of its own


def somebody() -> Subject:
    """Somebody who did nothing yet."""
    return Subject("key", f"{next(_numbers)}")


async def taken(counts: Counts, who: Subject, rules: tuple[Rule, ...] = RULES, *, times: int) -> int:
    """How many of so many are let through."""
    return sum([(await counts.take(who, rules)).allowed for _ in range(times)])


async def test_a_burst_is_let_through_and_then_one_a_second(counts: Counts, clock: ManualClock) -> None:
    who = somebody()

    assert await taken(counts, who, times=120) == 100
    clock.advance(timedelta(seconds=3))
    assert await taken(counts, who, times=10) == 3


async def test_nobody_gets_more_than_the_hour_allows_however_steadily_he_comes(
    counts: Counts, clock: ManualClock
) -> None:
    who, through = somebody(), 0
    for _ in range(59):
        clock.advance(timedelta(minutes=1))
        through += await taken(counts, who, times=30)

    assert through == 1000
    refused = await counts.look(who, RULES)
    assert refused.tightest.rule is HOUR
    assert refused.tightest.retry_after == 180  # the first minute of requests leaves as one, an hour after its end


async def test_what_is_refused_is_not_counted(counts: Counts) -> None:
    who = somebody()
    await taken(counts, who, times=100)
    before = await counts.look(who, RULES)

    assert await taken(counts, who, times=50) == 0
    assert (await counts.look(who, RULES)).standings == before.standings


async def test_what_one_rule_refuses_no_other_counts(counts: Counts) -> None:
    who = somebody()
    only = Window("only", limit=1, period=timedelta(minutes=1))
    await counts.take(who, [only])

    refused = await counts.take(who, [MINUTE, only])

    assert not refused.allowed
    assert [standing.remaining for standing in refused.standings] == [100, 0]


async def test_looking_counts_nothing(counts: Counts) -> None:
    who = somebody()

    assert [(await counts.look(who, RULES)).tightest.remaining for _ in range(3)] == [100, 100, 100]


async def test_one_is_not_counted_for_another(counts: Counts) -> None:
    one, other = somebody(), somebody()
    await taken(counts, one, times=100)

    assert (await counts.take(other, RULES)).allowed
    assert (await counts.take(Subject("address", one.name), RULES)).allowed


async def test_what_was_forgotten_does_not_count(counts: Counts) -> None:
    who = somebody()
    await taken(counts, who, times=100)

    assert await counts.forget(who, RULES)
    assert not await counts.forget(who, RULES)
    assert await taken(counts, who, times=100) == 100


async def test_new_rules_count_from_where_the_old_ones_stand(counts: Counts, clock: ManualClock) -> None:
    who = somebody()
    slow, quick = Bucket("b", burst=100, per_minute=1), Bucket("b", burst=10, per_minute=60)
    await taken(counts, who, (slow,), times=100)

    assert (await counts.look(who, [quick])).tightest.retry_after == pytest.approx(1)
    clock.advance(timedelta(seconds=10))
    assert await taken(counts, who, (quick,), times=20) == 10


async def test_a_limit_that_was_lowered_waits_until_enough_has_left(counts: Counts, clock: ManualClock) -> None:
    who = somebody()
    high, low = (Window("w", limit=limit, period=timedelta(minutes=1)) for limit in (6, 2))
    for _ in range(6):
        await counts.take(who, [high])
        clock.advance(timedelta(seconds=5))

    refused = await counts.take(who, [low])
    assert not refused.allowed
    clock.advance(timedelta(seconds=math.ceil(refused.tightest.retry_after) - 1))
    assert not (await counts.take(who, [low])).allowed
    clock.advance(timedelta(seconds=1))
    assert (await counts.take(who, [low])).allowed


async def test_of_those_who_come_together_no_more_than_fit_are_let_through(counts: Counts) -> None:
    who = somebody()

    decisions = await asyncio.gather(*[counts.take(who, RULES) for _ in range(150)])

    assert sum(decision.allowed for decision in decisions) == 100


@given(pauses=PAUSES)
@unhurried
async def test_the_time_to_wait_is_true(counts: Counts, clock: ManualClock, pauses: list[float]) -> None:
    who = somebody()
    for pause in pauses:
        clock.advance(timedelta(seconds=pause))
        await counts.take(who, SMALL)
    await taken(counts, who, SMALL, times=10)
    refused = await counts.look(who, SMALL)

    assert not refused.allowed
    wait = math.ceil(refused.tightest.retry_after)
    if wait > 1:
        clock.advance(timedelta(seconds=wait - 1))
        assert not (await counts.look(who, SMALL)).allowed
        wait = 1
    clock.advance(timedelta(seconds=wait))
    assert (await counts.take(who, SMALL)).allowed


@given(pauses=PAUSES)
@unhurried
async def test_no_stretch_of_time_has_more_than_the_rules_say(
    counts: Counts, clock: ManualClock, pauses: list[float]
) -> None:
    who, moments = somebody(), list[float]()
    bucket, window = SMALL
    for pause in pauses:
        clock.advance(timedelta(seconds=pause))
        moments += [clock.monotonic() for _ in range(3) if (await counts.take(who, SMALL)).allowed]

    for first, start in enumerate(moments):
        for last, end in enumerate(moments[first:], 1):
            assert last <= bucket.burst + (end - start) * bucket.rate + 1e-3
            assert end - start >= window.seconds or last <= window.limit


@given(pauses=PAUSES)
@unhurried
async def test_redis_and_memory_say_the_same(redis: RedisCounts, clock: ManualClock, pauses: list[float]) -> None:
    who, memory = somebody(), MemoryCounts(clock.monotonic)
    for pause in pauses:
        clock.advance(timedelta(seconds=pause))
        here, there = await memory.take(who, SMALL), await redis.take(who, SMALL)

        assert here.allowed == there.allowed
        assert [each.remaining for each in here.standings] == [each.remaining for each in there.standings]
        assert [each.more_after for each in here.standings] == pytest.approx(
            [each.more_after for each in there.standings], abs=1e-3
        )
