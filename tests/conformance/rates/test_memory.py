"""What counts in memory remember, and forget."""

from datetime import timedelta

from libs.clock import ManualClock
from libs.rates.memory import MemoryCounts
from libs.rates.rules import Bucket, Subject, Window

RULES = (Bucket("b", burst=2, per_minute=60), Window("w", limit=9, period=timedelta(hours=1)))


async def test_a_flood_of_addresses_is_forgotten_and_no_key_with_it(clock: ManualClock) -> None:
    counts = MemoryCounts(clock.monotonic, most=50)
    key = Subject("key", "mine")
    for _ in range(2):
        await counts.take(key, RULES)
    for number in range(1000):
        await counts.take(Subject("address", str(number)), RULES)

    assert len(counts) == 51
    assert not (await counts.take(key, RULES)).allowed


async def test_those_who_are_idle_are_forgotten_as_others_come(clock: ManualClock) -> None:
    counts = MemoryCounts(clock.monotonic)
    for number in range(100):
        await counts.take(Subject("address", str(number)), RULES)
    clock.advance(timedelta(minutes=61))
    for number in range(100, 200):
        await counts.take(Subject("address", str(number)), RULES)

    assert len(counts) == 100
