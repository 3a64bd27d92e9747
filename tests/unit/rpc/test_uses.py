"""Uses of keys reach whoever keeps them, sooner or later, and never more than once too few."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from libs.clock import ManualClock
from libs.errors import Unavailable
from libs.rpc.uses import KeyUses
from tests.support.waiting import eventually

NOW = datetime(2030, 1, 1, tzinfo=UTC)


async def becomes(fact: Callable[[], bool]) -> None:
    """Waits until it is so."""
    await eventually(lambda: asyncio.sleep(0, fact()), every=0.002)


class Keeper:
    """Keeps what it is told, unless it is away."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.told: list[Mapping[str, datetime]] = []
        self.away = False

    async def take(self, uses: Mapping[str, datetime]) -> None:
        if self.away:
            raise Unavailable("not here")
        self.told.append(uses)


async def test_the_last_use_of_each_key_is_told_once() -> None:
    keeper = Keeper()
    uses = KeyUses(keeper.take, clock=keeper.clock)
    uses.note("a")
    keeper.clock.advance(timedelta(seconds=5))
    uses.note("a")
    uses.note("b")

    await uses.run_once()
    await uses.run_once()

    assert keeper.told == [{"a": NOW + timedelta(seconds=5), "b": NOW + timedelta(seconds=5)}]


async def test_what_could_not_be_told_is_told_later_and_a_later_use_stands() -> None:
    keeper = Keeper()
    uses = KeyUses(keeper.take, clock=keeper.clock)
    uses.note("a")
    uses.note("b")
    keeper.away = True
    await uses.run_once()
    keeper.clock.advance(timedelta(seconds=5))
    uses.note("b")
    keeper.away = False

    await uses.run_once()

    assert keeper.told == [{"a": NOW, "b": NOW + timedelta(seconds=5)}]


async def test_a_report_holds_at_most_a_thousand_keys() -> None:
    keeper = Keeper()
    uses = KeyUses(keeper.take, clock=keeper.clock)
    for number in range(1001):
        uses.note(f"{number}")

    await uses.run_once()

    assert [len(told) for told in keeper.told] == [1000, 1]


async def test_the_loop_tells_again_and_again() -> None:
    keeper = Keeper()
    uses = KeyUses(keeper.take, clock=keeper.clock, pause=timedelta(milliseconds=1))
    task = asyncio.create_task(uses.run())
    uses.note("a")
    await becomes(lambda: len(keeper.told) == 1)
    uses.note("b")
    await becomes(lambda: len(keeper.told) == 2)

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_last_uses_are_told_when_the_process_stops() -> None:
    keeper = Keeper()
    uses = KeyUses(keeper.take, clock=keeper.clock)
    task = asyncio.create_task(uses.run())
    await asyncio.sleep(0)
    uses.note("a")

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert keeper.told == [{"a": NOW}]


async def test_a_keeper_that_never_answers_does_not_hold_up_the_stop() -> None:
    async def never(uses: Mapping[str, datetime]) -> None:
        await asyncio.Event().wait()

    uses = KeyUses(never, clock=ManualClock(NOW))
    task = asyncio.create_task(uses.run())
    await asyncio.sleep(0)
    uses.note("a")

    task.cancel()

    async with asyncio.timeout(30):
        await asyncio.gather(task, return_exceptions=True)
