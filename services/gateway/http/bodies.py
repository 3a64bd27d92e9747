"""Request bodies, read within limits, and callers that leave while they wait."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.types import Receive, Scope

from services.gateway.http.problems import BodyTooLarge, BodyTooSlow

T = TypeVar("T")

DEPARTURE = "lockgroove.departure"  # in the scope: that of the connection

LIMIT = 1024 * 1024  # bytes
TIMEOUT = 30.0  # seconds for a body to arrive

_DISCARDED = 16 * LIMIT  # bytes of a body that is too large
_DISCARDING = 2.0  # seconds


class CallerLeft(Exception):
    """The client closed its connection: whatever is done for it can stop."""


@dataclass(slots=True)
class Departure:
    """Tells one who waits that a connection is over, without a task that does nothing else. One per connection.

    `arrived` is whether all requests that began on it are here as a whole.
    """

    is_over: bool = False
    arrived: bool = False
    when_over: Callable[[], object] | None = None

    def tell(self) -> None:
        """The connection is over."""
        self.is_over = True
        if self.when_over is not None:
            self.when_over()


async def read_body(headers: Mapping[str, str], receive: Receive, *, arrived: bool = False) -> bytes:
    """The whole body, which may have `arrived`. Raises BodyTooLarge, BodyTooSlow or CallerLeft."""
    announced = headers.get("content-length", "")
    size = int(announced) if announced.isdigit() else 0
    if size > _DISCARDED or (size > LIMIT and "expect" in headers):
        raise _too_large()
    if arrived or (not announced and "transfer-encoding" not in headers):
        return await _whole(receive)  # there is nothing to wait for: a timer costs more than all else here
    try:
        async with asyncio.timeout(TIMEOUT):
            return await _whole(receive)
    except TimeoutError as error:
        raise BodyTooSlow(f"the body did not arrive within {TIMEOUT:g} seconds") from error


async def while_connected(scope: Scope, work: Coroutine[Any, Any, T]) -> T:
    """What the work returns; it is cancelled, and CallerLeft raised, when the client leaves before."""
    departure: Departure = scope[DEPARTURE]
    task = asyncio.current_task()
    assert task is not None
    if departure.is_over:
        work.close()
        raise CallerLeft
    departure.when_over = task.cancel
    try:
        return await work
    except asyncio.CancelledError:
        if departure.is_over and not task.uncancel():
            raise CallerLeft from None
        raise
    finally:
        departure.when_over = None


@asynccontextmanager
async def leaving(receive: Receive) -> AsyncIterator["asyncio.Task[None]"]:
    """A task that ends when the client leaves. The body must have been read before."""
    task = asyncio.create_task(_left(receive))
    try:
        yield task
    finally:
        task.cancel()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _whole(receive: Receive) -> bytes:
    pieces: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerLeft
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        more = message.get("more_body", False)
        if size > LIMIT:
            if more:
                await _discard(receive)
            raise _too_large()
    return b"".join(pieces)


async def _discard(receive: Receive) -> None:
    """Let the sender finish, within limits: hung up on while it sends, it never reads the answer (RFC 9112, 9.6)."""
    left, more = _DISCARDED, True
    with suppress(TimeoutError):
        async with asyncio.timeout(_DISCARDING):
            while more and left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                more = message.get("more_body", False)


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {LIMIT} bytes", metadata={"limit": str(LIMIT)})
