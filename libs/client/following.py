"""Streams that go on: after an outage they are asked for again behind the last message that was seen."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from libs.errors import Unavailable

PATIENCE = timedelta(minutes=5)

_SHORTEST_WAIT, _LONGEST_WAIT = 0.1, 5.0  # seconds before a service is asked again


class Step(Protocol):
    """A message that says where the stream stands behind it."""

    @property
    def resume_token(self) -> str:
        """Asks for what comes next."""
        ...


# Any: a message that has the `resume_token` of the stream's request.
Request = TypeVar("Request", bound=Any)
S = TypeVar("S", bound=Step)
S_co = TypeVar("S_co", bound=Step, covariant=True)


class Stream(Protocol[S_co]):
    """What a stub's method returns."""

    def __aiter__(self) -> AsyncIterator[S_co]:
        """The messages."""
        ...

    def cancel(self) -> bool:
        """Ends the call."""
        ...


async def follow(
    method: Callable[[Request], Stream[S]], request: Request, *, patience: timedelta = PATIENCE
) -> AsyncIterator[S]:
    """The messages of a stream, until it ends or one leaves the loop: no change missed, and none twice.

    Raises Unavailable when its service is away for longer than `patience`, and at once what else goes wrong.
    """
    asked = type(request)()
    asked.CopyFrom(request)
    outage = _Outage(patience)
    while True:
        try:
            with _ending(method(asked)) as messages:
                async for message in messages:
                    asked.resume_token, outage = message.resume_token, _Outage(patience)
                    yield message
            return
        except Unavailable as error:
            await outage.pause(error)


@contextmanager
def _ending(call: Stream[S]) -> Iterator[Stream[S]]:
    """A call that ends with the block, and not when its memory is cleared."""
    try:
        yield call
    finally:
        call.cancel()


class _Outage:
    """How long a service is away, and how long to wait before it is asked again."""

    def __init__(self, patience: timedelta) -> None:
        self._over_at: float | None = None
        self._patience = patience.total_seconds()
        self._wait = _SHORTEST_WAIT

    async def pause(self, error: Unavailable) -> None:
        """Waits anything up to a limit that doubles. Raises the error when patience has ended."""
        now = asyncio.get_running_loop().time()
        self._over_at = self._over_at or now + self._patience
        seconds = self._wait * random.random()  # noqa: S311 - spreads reconnections, guards nothing
        if now + seconds > self._over_at:
            raise error
        self._wait = min(2 * self._wait, _LONGEST_WAIT)
        await asyncio.sleep(seconds)
