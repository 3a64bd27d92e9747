"""Request bodies, read within limits, and callers that leave while they wait."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from starlette.datastructures import Headers
from starlette.types import Receive

from services.gateway.problems import BodyTooLarge, BodyTooSlow

T = TypeVar("T")

LIMIT = 1024 * 1024  # bytes
TIMEOUT = 30.0  # seconds for a body to arrive

_DISCARDED = 16 * LIMIT  # bytes of a body that is too large
_DISCARDING = 2.0  # seconds


class CallerLeft(Exception):
    """The client closed its connection: whatever is done for it can stop."""


async def read_body(headers: Headers, receive: Receive) -> bytes:
    """The whole body. Raises BodyTooLarge, BodyTooSlow or CallerLeft."""
    announced = headers.get("content-length", "")
    size = int(announced) if announced.isdigit() else 0
    if size > _DISCARDED or (size > LIMIT and "expect" in headers):
        raise _too_large()
    try:
        async with asyncio.timeout(TIMEOUT):
            return b"".join([piece async for piece in _pieces(receive)])
    except TimeoutError as error:
        raise BodyTooSlow(f"the body did not arrive within {TIMEOUT:g} seconds") from error


async def while_connected(receive: Receive, work: Awaitable[T]) -> T:
    """What the work returns; it is cancelled, and CallerLeft raised, when the client leaves before."""
    async with leaving(receive) as left:
        working = asyncio.ensure_future(work)
        try:
            await asyncio.wait((working, left), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise CallerLeft
            return working.result()
        finally:
            working.cancel()


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


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerLeft
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > LIMIT:
            await _discard(receive)
            raise _too_large()
        yield piece
        more = message.get("more_body", False)


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
