"""One call for all who ask the same at the same time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from libs.outbound.flights import Flights


class Calls:
    """Calls that end when told."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def begin(self) -> Coroutine[Any, Any, str]:
        return self._call()

    async def _call(self) -> str:
        self.begun += 1
        try:
            return await asyncio.shield(self.answer)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def joined(flights: Flights[str], begin: Callable[[], Coroutine[Any, Any, str]]) -> asyncio.Task[str]:
    task = asyncio.create_task(flights.join("key", begin))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


async def test_a_failure_is_told_to_all_and_kept_for_nobody() -> None:
    flights, calls = Flights[str](), Calls()
    waiting = [await joined(flights, calls.begin) for _ in range(3)]
    calls.answer.set_exception(ValueError("away"))

    assert [type(error) for error in await asyncio.gather(*waiting, return_exceptions=True)] == [ValueError] * 3
    with pytest.raises(ValueError, match="away"):
        await flights.join("key", calls.begin)
    assert calls.begun == 2


async def test_a_call_ends_when_nobody_waits_for_it_any_more() -> None:
    flights, calls = Flights[str](), Calls()
    waiting = [await joined(flights, calls.begin) for _ in range(2)]

    waiting[0].cancel()
    await asyncio.sleep(0)
    assert calls.cancelled == 0

    waiting[1].cancel()
    await asyncio.wait(waiting)
    await asyncio.sleep(0)
    assert calls.cancelled == 1


async def test_whoever_comes_after_a_call_that_was_given_up_gets_one_of_his_own() -> None:
    flights, calls = Flights[str](), Calls()
    given_up = await joined(flights, calls.begin)
    given_up.cancel()
    await asyncio.sleep(0)  # it has let go, its call has not ended yet

    late = [await joined(flights, calls.begin) for _ in range(2)]
    calls.answer.set_result("here")

    assert await asyncio.gather(*late) == ["here", "here"]
    assert calls.begun == 2
