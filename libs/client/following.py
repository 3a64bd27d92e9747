"""Streams that go on: after an outage they are asked for again behind the last message that was seen."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from libs.errors import Unavailable
from libs.rpc.outage import Outage

PATIENCE = timedelta(minutes=5)


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
    outage: Outage | None = None
    while True:
        opened_at = asyncio.get_running_loop().time()
        try:
            with _ending(method(asked)) as messages:
                async for message in messages:
                    asked.resume_token, outage = message.resume_token, None
                    yield message
            return
        except Unavailable as error:
            if outage is None or outage.ended_before(opened_at):
                outage = Outage(patience.total_seconds())
            await outage.pause(error)


@contextmanager
def _ending(call: Stream[S]) -> Iterator[Stream[S]]:
    """A call that ends with the block, and not when its memory is cleared."""
    try:
        yield call
    finally:
        call.cancel()
