"""A stream ends when its caller may not go on, and only then."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from libs.errors import Unauthenticated, Unavailable
from libs.rpc.standing import Standing
from tests.support.waiting import eventually

SOON = timedelta(milliseconds=1)


async def becomes(fact: Callable[[], bool]) -> None:
    """Waits until it is so."""
    await eventually(lambda: asyncio.sleep(0, fact()), every=0.002)


class Admission:
    """Says the error it is given, and counts how often it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked = 0

    def __call__(self) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error


async def stream(admission: Admission) -> None:
    """Waits for a message that never comes."""
    with Standing(admission, pause=SOON) as standing, standing.waiting():
        await asyncio.Event().wait()


async def test_a_stream_that_waits_ends_with_the_refusal() -> None:
    async with asyncio.timeout(10):
        with pytest.raises(Unauthenticated, match="taken back"):
            await stream(Admission(Unauthenticated("taken back")))


async def test_a_stream_that_is_busy_ends_before_its_next_message() -> None:
    admission = Admission(Unauthenticated("taken back"))
    with Standing(admission, pause=SOON) as standing:
        await becomes(lambda: admission.asked == 1)

        with pytest.raises(Unauthenticated), standing.waiting():
            pass


async def test_a_stream_goes_on_while_nobody_can_tell() -> None:
    admission = Admission(Unavailable("the keys are away"))
    task = asyncio.create_task(stream(admission))
    await becomes(lambda: admission.asked > 2)
    assert not task.done()

    admission.error = Unauthenticated("taken back")

    with pytest.raises(Unauthenticated):
        await task


async def test_a_client_that_leaves_is_not_refused() -> None:
    task = asyncio.create_task(stream(Admission()))
    await asyncio.sleep(0)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_nobody_is_asked_after_the_stream() -> None:
    admission = Admission()
    with Standing(admission, pause=SOON):
        pass
    asked, again = admission.asked, Admission()
    with Standing(again, pause=SOON):
        await becomes(lambda: again.asked > 2)

    assert admission.asked == asked
